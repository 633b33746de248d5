"""The outlet for datagrams: one connected socket to the target for each session of an inlet (see ``udp_session``)."""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from ockam_ref.effects import (
    AddConsumer,
    Effect,
    Effects,
    Forward,
    OpenLink,
    Report,
    SendBytes,
    SetTimer,
    StartReading,
    StartWorker,
    Tell,
    Watch,
)
from ockam_ref.errors import DecodeError
from ockam_ref.events import (
    AccessLost,
    AddressGone,
    BytesReceived,
    ChildSettled,
    LinkClosed,
    LinkFailed,
    LinkOpened,
    MessageReceived,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Needs, Now, Transition, Worker
from ockam_ref.observations import ConnectionOpened
from ockam_ref.portals.connection import (
    DISCONNECT,
    NOTHING,
    PONG,
    Connection,
    Ended,
    Side,
    drop,
    ending,
    guard,
    read_portal_message,
    say,
    take_leave,
)
from ockam_ref.portals.udp_session import (
    CHECK_EVERY_S,
    IDLE_S,
    MAX_DATAGRAM_BYTES,
    MAX_SESSIONS,
    carry,
    too_long,
)
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AccessControl, AllowSources
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage, find_channel_identifier
from ockam_ref.wire.portal_message import Payload, Signal, decode_portal_message
from ockam_ref.wire.route import Route

MAX_WAITING_DATAGRAMS: Final = 64
"""Datagrams of one session that wait while its socket is opened, for instance while a name is looked up."""

MAX_WAITING_BYTES: Final = 256 * 1024
"""Bytes of those datagrams; what comes beyond either limit is a recorded drop."""


@dataclass(frozen=True, slots=True)
class UdpOutlet:
    """Configuration: its name, the target ``host:port``, and who may use it: see ``portals.outlet.Outlet``."""

    address: Address
    target: str
    consumer_of: tuple[FlowControlId, ...] = ()
    incoming: AccessControl = ALLOW_ALL
    idle_s: float = IDLE_S
    outgoing: AccessControl = ALLOW_ALL


@dataclass(frozen=True, slots=True)
class UdpOutletState:
    """The outlet knows its sessions by name, so that it can tell the first datagram of one from the others."""

    config: UdpOutlet
    sessions: frozenset[Address] = frozenset()


OUTLET_TRANSITIONS: Final = (
    Transition("UdpOutletState", "Ping", "UdpOutletState", "Pong, from the outlet itself"),
    Transition("UdpOutletState", "Payload", "UdpOutletState", "to its session, which is started if there is none"),
    Transition("UdpOutletState", "Disconnect", "UdpOutletState", "to its session, if there is one"),
    Transition("UdpOutletState", "ChildSettled", "UdpOutletState", "a session is forgotten"),
)


def start_outlet(config: UdpOutlet, _: Fresh) -> Worker[UdpOutletState]:
    """Open the mailbox."""
    consumers = tuple(AddConsumer(config.address, flow_control) for flow_control in config.consumer_of)
    return Worker((Mailbox(config.address, config.incoming),), UdpOutletState(config), consumers)


def receive_outlet(state: UdpOutletState, event: WorkerEvent) -> tuple[UdpOutletState, Effects]:
    """Pass each datagram to the session of its sender; what follows our address in its route is ignored."""
    match event:
        case MessageReceived(_, source, message):
            return _pass_on(state, source, message)
        case ChildSettled(child):
            return replace(state, sessions=state.sessions - {child}), ()
        case _:
            return state, ()


def _pass_on(state: UdpOutletState, source: Address, message: LocalMessage) -> tuple[UdpOutletState, Effects]:
    config, route = state.config, message.return_route
    if not route:
        detail = "a datagram without a return route belongs to no session"
        return state, (drop("incomplete-route", detail, source, message),)
    try:
        content, peer = decode_portal_message(message.payload), find_channel_identifier(message.local_info)
    except DecodeError as error:
        return state, (drop("bad-portal-message", str(error), source, message),)
    if content is Signal.PING:
        return state, (Forward(config.address, LocalMessage(route, (), PONG)),)
    if content is Signal.PONG:
        return state, (drop("not-a-datagram", "an outlet takes no Pong", source, message),)
    key = _key(config.address, peer, route[-1])
    message = message._replace(onward_route=(key,))
    if key in state.sessions:
        return state, (Forward(config.address, message),)
    if content is Signal.DISCONNECT:
        return state, ()
    if len(state.sessions) >= MAX_SESSIONS:
        return state, (drop("session-limit", f"{MAX_SESSIONS} sessions are open", source, message),)
    started = StartWorker(UdpOutletSession(key, config, route, peer), first_message=message)
    return replace(state, sessions=state.sessions | {key}), (started,)


def _key(outlet: Address, peer: bytes | None, last: Address) -> Address:
    """Name a session: one for each outlet, peer and session of an inlet."""
    parts = (b"udp", outlet.value, (peer or b"").hex().encode(), b"%d" % last.transport_type, last.value)
    return Address(0, b"\x00".join(parts))


@dataclass(frozen=True, slots=True)
class UdpOutletSession:
    """Configuration of one session, written by its outlet; ``address`` is its name there."""

    address: Address
    outlet: UdpOutlet
    remote_route: Route
    peer: bytes | None


@dataclass(frozen=True, slots=True)
class Opening:
    """The socket is being opened; datagrams wait for it."""

    connection: Connection
    key: Address
    route: Route
    idle_s: float
    waiting: tuple[bytes | memoryview, ...] = ()


@dataclass(frozen=True, slots=True)
class Carrying:
    """Datagrams go both ways.  ``sent`` counts bytes to the target, ``received`` bytes from it."""

    connection: Connection
    key: Address
    route: Route
    idle_s: float
    mtu: int
    moved_at: float
    sent: int = 0
    received: int = 0


UdpOutletSessionState: TypeAlias = Opening | Carrying | Ended

TRANSITIONS: Final = (
    Transition("Opening", "Payload", "Opening", "it waits; what is too much is a recorded drop"),
    Transition("Opening", "LinkOpened", "Carrying", "what waited is sent"),
    Transition("Opening", "LinkFailed", "Ended", "Disconnect is sent"),
    Transition("Carrying", "Payload", "Carrying", "one datagram to the target; the way back is the newest"),
    Transition("Carrying", "BytesReceived", "Carrying", "one Payload"),
    Transition("Carrying", "TimerFired, nothing moved for the idle time", "Ended", "nobody is told"),
    Transition("Carrying", "LinkClosed", "Ended", "Disconnect is sent"),
    Transition("Opening", "Disconnect, AddressGone of the first hop", "Ended"),
    Transition("Carrying", "Disconnect, AddressGone of the first hop", "Ended"),
    Transition("Opening", "StopRequested, AddressGone of the outlet", "Ended", "Disconnect is sent"),
    Transition("Carrying", "StopRequested, AddressGone of the outlet", "Ended", "Disconnect is sent"),
    Transition("Opening", "AccessLost", "Ended", "Disconnect is sent"),
    Transition("Carrying", "AccessLost", "Ended", "Disconnect is sent"),
    Transition("Ended", "any", "Ended", "ignored"),
)


def start(config: UdpOutletSession, fresh: Fresh) -> Worker[UdpOutletSessionState]:
    """Ask for a socket of its own to the target."""
    outlet, key, route = config.outlet, config.address, config.remote_route
    (remote,), (link,) = fresh.addresses, fresh.links
    connection = Connection(Side.OUTLET, link, remote, outlet.address, config.peer, handshake=False)
    mailboxes = Mailbox(remote, DENY_ALL, outlet.outgoing), Mailbox(key, AllowSources(frozenset((outlet.address,))))
    opening = Watch(route[0]), Watch(outlet.address), OpenLink(link, outlet.target, transport="udp")
    effects = *opening, *guard(outlet.incoming, config.peer)
    return Worker(mailboxes, Opening(connection, key, route, outlet.idle_s), effects)


def receive(state: UdpOutletSessionState, event: WorkerEvent) -> tuple[UdpOutletSessionState, Effects]:
    """Advance one session by one event; peer input never raises."""
    match state:
        case Ended():
            return state, ()
        case Opening() | Carrying():
            return _live(state, event)
        case _:
            assert_never(state)


def _live(state: Opening | Carrying, event: WorkerEvent) -> tuple[UdpOutletSessionState, Effects]:
    connection = state.connection
    match event:
        case MessageReceived(_, source, message, now):
            return _take(state, source, message, now)
        case BytesReceived(_, data, now) if isinstance(state, Carrying):
            received = state.received + len(data)
            return _moved(state, now, sent=state.sent, received=received), (
                carry(connection.remote, state.route, data),
            )
        case LinkOpened(_, now, mtu) if isinstance(state, Opening):
            return _open(state, now, mtu)
        case TimerFired(_, now) if isinstance(state, Carrying):
            return _check(state, now)
        case LinkFailed(_, reason) if isinstance(state, Opening):
            return _end(state, f"the target could not be reached: {reason}", now=event.now, close=False)
        case LinkClosed(_, reason):
            return _end(state, reason, now=event.now, close=False)
        case AddressGone(address) if address == connection.portal:
            return _end(state, "the outlet is closed", now=event.now)
        case AddressGone(address) if address == state.route[0]:
            return _end(state, "the way to the inlet is gone", now=event.now, tell=NOTHING)
        case AccessLost(reason):
            ended, effects = _end(state, reason, now=event.now, tell=NOTHING)
            return ended, (*take_leave(connection, state.route, (DISCONNECT,)), *effects)
        case StopRequested(reason):
            return _end(state, reason, now=event.now, stop=False)
        case _:
            return state, ()


def _take(
    state: Opening | Carrying, source: Address, message: LocalMessage, now: Now
) -> tuple[UdpOutletSessionState, Effects]:
    match read_portal_message(state.connection, source, message):
        case Payload(data):
            watch: Effects = ()
            if message.return_route and message.return_route != state.route:
                if message.return_route[0] != state.route[0]:
                    watch = (Watch(message.return_route[0]),)
                state = replace(state, route=message.return_route)
            following, effects = _send(state, data, source, message, now)
            return following, (*watch, *effects)
        case Signal.DISCONNECT:
            return _end(state, "the inlet has ended the session", now=now, tell=NOTHING)
        case Report() as dropped:
            return state, (dropped,)
        case _:
            return state, (drop("not-a-datagram", "a session takes neither Ping nor Pong", source, message),)


def _send(
    state: Opening | Carrying, data: bytes | memoryview, source: Address, message: LocalMessage, now: Now
) -> tuple[Opening | Carrying, Effects]:
    mtu = MAX_DATAGRAM_BYTES if isinstance(state, Opening) else state.mtu
    if len(data) > mtu:
        return state, (too_long(data, mtu, source, message),)
    if isinstance(state, Carrying):
        moved = _moved(state, now, sent=state.sent + len(data), received=state.received)
        return moved, (SendBytes(state.connection.link, (data,)),)
    waiting = (*state.waiting, data)
    if len(waiting) > MAX_WAITING_DATAGRAMS or sum(map(len, waiting)) > MAX_WAITING_BYTES:
        return state, (drop("too-much-waits", "too much came before the socket was open", source, message),)
    return replace(state, waiting=waiting), ()


def _open(state: Opening, now: Now, mtu: int | None) -> tuple[Carrying, Effects]:
    connection, waiting = state.connection, state.waiting
    limit = MAX_DATAGRAM_BYTES if mtu is None else min(mtu, MAX_DATAGRAM_BYTES)
    fitting = [data for data in waiting if len(data) <= limit]
    sent = sum(map(len, fitting))
    following = Carrying(connection, state.key, state.route, state.idle_s, limit, now.monotonic, sent)
    nowhere = LocalMessage((), (), b"")
    return following, (
        StartReading(connection.link),
        Report(ConnectionOpened(connection.remote, connection.portal, Side.OUTLET)),
        _check_later(now),
        *(SendBytes(connection.link, (data,)) for data in fitting),
        *(too_long(data, limit, connection.portal, nowhere) for data in waiting if len(data) > limit),
    )


def _moved(state: Carrying, now: Now, *, sent: int, received: int) -> Carrying:
    """Return the state after a datagram; ``replace`` costs four times as much."""
    return Carrying(state.connection, state.key, state.route, state.idle_s, state.mtu, now.monotonic, sent, received)


def _check(state: Carrying, now: Now) -> tuple[UdpOutletSessionState, Effects]:
    if now.monotonic >= state.moved_at + state.idle_s:
        # an answer that crosses a Disconnect would find no session: the inlet has a clock of its own
        return _end(state, f"nothing came for {state.idle_s:g} s", now=now, tell=NOTHING)
    return state, (_check_later(now),)


def _check_later(now: Now) -> SetTimer:
    return SetTimer("check", now.monotonic + CHECK_EVERY_S)


def _end(
    state: Opening | Carrying,
    reason: str,
    *,
    now: Now,
    tell: tuple[bytes, ...] = (DISCONNECT,),
    close: bool = True,
    stop: bool = True,
) -> tuple[Ended, Effects]:
    connection = state.connection
    sent, received = (state.sent, state.received) if isinstance(state, Carrying) else (0, 0)
    effects: list[Effect] = [say(connection, state.route, payload) for payload in tell]
    effects.append(Tell(connection.portal, ChildSettled(state.key, now)))
    effects.extend(
        ending(
            connection,
            reason,
            close=close,
            stop=stop,
            sent=sent,
            received=received,
            opened=isinstance(state, Carrying),
        )
    )
    return Ended(), tuple(effects)


OUTLET: Final[Machine[UdpOutlet, UdpOutletState]] = Machine("udp outlet", start_outlet, receive_outlet)
SESSION: Final[Machine[UdpOutletSession, UdpOutletSessionState]] = Machine(
    "udp outlet session", start, receive, Needs(addresses=1, links=1)
)
