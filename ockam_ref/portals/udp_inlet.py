"""The inlet for datagrams: each source that writes to it has a session with an outlet (see ``udp_session``).

Two machines: the inlet, which owns the endpoint and knows the way, and one session for each source.
"""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from ockam_ref.effects import (
    AddConsumerOfProducer,
    Effect,
    Effects,
    Own,
    Report,
    SendDatagrams,
    SetTimer,
    StartReading,
    StartWorker,
    StopWorker,
    Tell,
    Watch,
)
from ockam_ref.events import (
    AccessLost,
    AddressGone,
    ChildSettled,
    DatagramsReceived,
    LinkClosed,
    MessageReceived,
    PauseChanged,
    RouteChanged,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.machine import Fresh, LinkId, Machine, Mailbox, Needs, Now, Transition, Worker
from ockam_ref.observations import ConnectionOpened, LinkLost, MessageDropped
from ockam_ref.portals.connection import (
    DISCONNECT,
    NOTHING,
    PING,
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
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AccessControl
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.portal_message import Payload, Signal
from ockam_ref.wire.route import Route

MAX_PINGS: Final = 8
"""Unanswered Pings, ``CHECK_EVERY_S`` apart, behind which an outlet is given up: lost one by one, they are no sign."""


@dataclass(frozen=True, slots=True)
class UdpInlet:
    """Configuration: the bound endpoint, the way to the outlet, and the identifier at its far end if one is known.

    ``incoming`` and ``outgoing`` as for ``portals.inlet.Inlet``.
    """

    link: LinkId
    route: Route
    peer: bytes | None = None
    idle_s: float = IDLE_S
    paused: bool = False
    incoming: AccessControl = ALLOW_ALL
    outgoing: AccessControl = ALLOW_ALL


@dataclass(frozen=True, slots=True)
class UdpInletState:
    """The inlet is paused or not, knows one way for new sessions, and counts those there are."""

    address: Address
    config: UdpInlet
    sessions: int = 0


INLET_TRANSITIONS: Final = (
    Transition("UdpInletState", "DatagramsReceived of a new source", "UdpInletState", "a session is started"),
    Transition("UdpInletState", "ChildSettled", "UdpInletState", "the number of sessions"),
    Transition("UdpInletState", "RouteChanged", "UdpInletState", "for sessions from now on"),
    Transition("UdpInletState", "PauseChanged", "UdpInletState", "while paused, new sources are dropped"),
    Transition("UdpInletState", "LinkClosed", "UdpInletState", "the inlet stops"),
)


def start_inlet(config: UdpInlet, fresh: Fresh) -> Worker[UdpInletState]:
    """Take datagrams of whoever writes to the endpoint, and no messages."""
    (address,) = fresh.addresses
    mailbox = Mailbox(address, DENY_ALL)
    return Worker((mailbox,), UdpInletState(address, config), (Own(config.link), StartReading(config.link)))


def receive_inlet(state: UdpInletState, event: WorkerEvent) -> tuple[UdpInletState, Effects]:
    """Start a session for each source, along the way that is known now."""
    match event:
        case DatagramsReceived(_, source, datagrams):
            return _admit(state, source, datagrams)
        case ChildSettled():
            return replace(state, sessions=max(0, state.sessions - 1)), ()
        case RouteChanged(route, peer):
            return replace(state, config=replace(state.config, route=route, peer=peer)), ()
        case PauseChanged(paused):
            return replace(state, config=replace(state.config, paused=paused)), ()
        case LinkClosed(link, reason):
            return state, (Report(LinkLost(state.address, link, reason)), StopWorker(state.address, reason))
        case _:
            return state, ()


def _admit(
    state: UdpInletState, source: str, datagrams: tuple[bytes | memoryview, ...]
) -> tuple[UdpInletState, Effects]:
    config = state.config
    if config.paused or not config.route:
        return state, (_refuse(state, "no-way", "the inlet has no way to its outlet at the moment"),)
    if state.sessions >= MAX_SESSIONS:
        return state, (_refuse(state, "session-limit", f"{MAX_SESSIONS} sessions are open; {source} gets none"),)
    session = UdpInletSession(source, state.address, config, datagrams)
    return replace(state, sessions=state.sessions + 1), (StartWorker(session),)


def _refuse(state: UdpInletState, rule: str, detail: str) -> Report:
    return Report(MessageDropped(rule, detail, state.address, state.config.route, ()))


@dataclass(frozen=True, slots=True)
class UdpInletSession:
    """Configuration of one session, written by its inlet: the source and what it has said so far."""

    source: str
    portal: Address
    inlet: UdpInlet
    datagrams: tuple[bytes | memoryview, ...]


@dataclass(frozen=True, slots=True)
class Carrying:
    """Datagrams go both ways.  ``sent`` counts bytes to the source, ``received`` bytes from it.

    ``awaiting`` is set while the outlet was sent something and not heard since; ``pings`` asked it in vain.
    """

    connection: Connection
    source: str
    route: Route
    idle_s: float
    moved_at: float
    awaiting: bool = True
    pings: int = 0
    sent: int = 0
    received: int = 0


UdpInletSessionState: TypeAlias = Carrying | Ended

TRANSITIONS: Final = (
    Transition("Carrying", "DatagramsReceived", "Carrying", "one Payload each, to the outlet"),
    Transition("Carrying", "Payload", "Carrying", "one datagram to the source"),
    Transition("Carrying", "Pong", "Carrying", "the outlet is there"),
    Transition("Carrying", "TimerFired", "Carrying", "Ping, if the outlet was not heard since it was sent something"),
    Transition("Carrying", "TimerFired, nothing moved for the idle time", "Ended", "Disconnect is sent"),
    Transition("Carrying", "TimerFired, too many Pings unanswered", "Ended", "the next datagram begins anew"),
    Transition("Carrying", "Disconnect", "Ended", "nothing is sent back"),
    Transition("Carrying", "AddressGone of the first hop or the inlet, StopRequested", "Ended", "Disconnect is sent"),
    Transition("Carrying", "AccessLost", "Ended", "Disconnect is sent"),
    Transition("Ended", "any", "Ended", "ignored"),
)


def start(config: UdpInletSession, fresh: Fresh) -> Worker[UdpInletSessionState]:
    """Take over the source, and send on what it has said; nobody is asked first."""
    inlet = config.inlet
    (remote,) = fresh.addresses
    connection = Connection(Side.INLET, inlet.link, remote, config.portal, inlet.peer, handshake=False)
    first_hop = inlet.route[0]
    state = Carrying(connection, config.source, inlet.route, inlet.idle_s, fresh.now.monotonic)
    carrying, carried = _carry(state, config.datagrams, fresh.now)
    effects = (
        Own(inlet.link, config.source),
        AddConsumerOfProducer(remote, first_hop),
        Watch(first_hop),
        Watch(config.portal),
        Report(ConnectionOpened(remote, config.portal, Side.INLET)),
        _check_later(fresh.now),
        *carried,
        *guard(inlet.incoming, inlet.peer),
    )
    return Worker((Mailbox(remote, inlet.incoming, inlet.outgoing),), carrying, effects)


def receive(state: UdpInletSessionState, event: WorkerEvent) -> tuple[UdpInletSessionState, Effects]:
    """Advance one source's session by one event; peer input never raises."""
    match state:
        case Ended():
            return state, ()
        case Carrying():
            return _carrying(state, event)
        case _:
            assert_never(state)


def _carrying(state: Carrying, event: WorkerEvent) -> tuple[UdpInletSessionState, Effects]:
    match event:
        case DatagramsReceived(_, _, datagrams, now):
            return _carry(state, datagrams, now)
        case MessageReceived(_, source, message, now):
            return _take(state, source, message, now)
        case TimerFired(_, now):
            return _check(state, now)
        case AddressGone(address) if address == state.connection.portal:
            return _end(state, "the inlet is closed", now=event.now)
        case AddressGone(address) if address == state.route[0]:
            return _end(state, "the way to the outlet is gone", now=event.now, tell=NOTHING)
        case AccessLost(reason):
            ended, effects = _end(state, reason, now=event.now, tell=NOTHING)
            return ended, (*take_leave(state.connection, state.route, (DISCONNECT,)), *effects)
        case StopRequested(reason):
            return _end(state, reason, now=event.now, stop=False)
        case _:
            return state, ()


def _carry(state: Carrying, datagrams: tuple[bytes | memoryview, ...], now: Now) -> tuple[Carrying, Effects]:
    remote, route = state.connection.remote, state.route
    carried = tuple(carry(remote, route, datagram, back=(remote,)) for datagram in datagrams)
    received = state.received + sum(map(len, datagrams))
    return _moved(state, now, awaiting=True, pings=state.pings, sent=state.sent, received=received), carried


def _take(state: Carrying, source: Address, message: LocalMessage, now: Now) -> tuple[UdpInletSessionState, Effects]:
    connection = state.connection
    match read_portal_message(connection, source, message):
        case Payload(data):
            if len(data) > MAX_DATAGRAM_BYTES:
                return state, (too_long(data, MAX_DATAGRAM_BYTES, source, message),)
            heard = _moved(state, now, awaiting=False, pings=0, sent=state.sent + len(data), received=state.received)
            return heard, (SendDatagrams(connection.link, state.source, (data,)),)
        case Signal.PONG:
            return replace(state, awaiting=False, pings=0), ()
        case Signal.DISCONNECT:
            return _end(state, "the outlet has ended the session", now=now, tell=NOTHING)
        case Report() as dropped:
            return state, (dropped,)
        case _:
            return state, (drop("not-a-datagram", "a session at an inlet takes no Ping", source, message),)


def _moved(state: Carrying, now: Now, *, awaiting: bool, pings: int, sent: int, received: int) -> Carrying:
    """Return the state after a datagram; ``replace`` costs four times as much."""
    return Carrying(
        state.connection, state.source, state.route, state.idle_s, now.monotonic, awaiting, pings, sent, received
    )


def _check(state: Carrying, now: Now) -> tuple[UdpInletSessionState, Effects]:
    if now.monotonic >= state.moved_at + state.idle_s:
        return _end(state, f"nothing came for {state.idle_s:g} s", now=now)
    if not state.awaiting:
        return state, (_check_later(now),)
    if state.pings >= MAX_PINGS:
        return _end(state, "the outlet does not answer", now=now, answered=False)
    ping = say(state.connection, state.route, PING)
    return replace(state, pings=state.pings + 1), (ping, _check_later(now))


def _check_later(now: Now) -> SetTimer:
    return SetTimer("check", now.monotonic + CHECK_EVERY_S)


def _end(
    state: Carrying,
    reason: str,
    *,
    now: Now,
    tell: tuple[bytes, ...] = (DISCONNECT,),
    stop: bool = True,
    answered: bool = True,
) -> tuple[Ended, Effects]:
    connection = state.connection
    effects: list[Effect] = [say(connection, state.route, payload) for payload in tell]
    effects.append(Tell(connection.portal, ChildSettled(connection.remote, now)))
    effects.extend(
        ending(
            connection,
            reason,
            close=False,
            stop=stop,
            sent=state.sent,
            received=state.received,
            opened=True,
            answered=answered,
        )
    )
    return Ended(), tuple(effects)


INLET: Final[Machine[UdpInlet, UdpInletState]] = Machine("udp inlet", start_inlet, receive_inlet, Needs(addresses=1))
SESSION: Final[Machine[UdpInletSession, UdpInletSessionState]] = Machine(
    "udp inlet session", start, receive, Needs(addresses=1)
)
