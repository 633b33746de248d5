"""The outlet: connects to a target for every Ping that reaches it (facts 05 section 2.3, 08 section 3).

Unlike the peer it says Disconnect when the target cannot be reached, so that the client need not wait.
"""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from ockam_ref.channels.continuity import find_gaps
from ockam_ref.effects import (
    AddConsumer,
    AddConsumerOfProducer,
    Effect,
    Effects,
    Forward,
    IfTaken,
    OpenLink,
    Report,
    StartWorker,
    Tell,
    Watch,
)
from ockam_ref.errors import DecodeError
from ockam_ref.events import (
    AccessLost,
    AddressGone,
    ChildSettled,
    ChildStarted,
    LinkFailed,
    LinkOpened,
    MessageReceived,
    StopRequested,
    WorkerEvent,
)
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Needs, Now, Transition, Worker
from ockam_ref.portals import connection as running
from ockam_ref.portals.connection import (
    BROKE,
    DISCONNECT,
    MAX_PAYLOAD_BYTES,
    PONG,
    Connection,
    Ended,
    Running,
    Side,
    begin,
    check_payload_limit,
    drop,
    ending,
    guard,
    read_portal_message,
    say,
    take_leave,
)
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AccessControl, AllowSources
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage, find_channel_identifier
from ockam_ref.wire.portal_message import Signal, decode_portal_message
from ockam_ref.wire.route import Route

MAX_OUTLET_CONNECTIONS: Final = 4096
"""Connections that one outlet holds at the same time; a Ping beyond that is a recorded drop."""

MAX_WAITING_MESSAGES: Final = 64
"""Messages of the mode without handshake that wait while the target is being reached."""

MAX_WAITING_BYTES: Final = 8 * 1024 * 1024
"""Bytes of those messages: 64 of the largest that the peer sends."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """Configuration: its name, the target ``host:port``, who may use it, the mode, and how much a Payload may carry.

    ``incoming`` and ``outgoing`` hold for every message from and to the other end, and a connection whose peer
    ``incoming`` no longer allows is cut.  ``transport`` is the name of the host's transport that leads to the target.
    """

    address: Address
    target: str
    consumer_of: tuple[FlowControlId, ...] = ()
    incoming: AccessControl = ALLOW_ALL
    skip_handshake: bool = False
    max_payload_bytes: int = MAX_PAYLOAD_BYTES
    transport: str = "tcp"
    outgoing: AccessControl = ALLOW_ALL


@dataclass(frozen=True, slots=True)
class OutletState:
    """The outlet counts its connections; ``asked`` are those that have not begun yet."""

    config: Outlet
    connections: int = 0
    asked: int = 0


OUTLET_TRANSITIONS: Final = (
    Transition("OutletState", "Ping", "OutletState", "a connection is started"),
    Transition("OutletState", "any other message", "OutletState", "a recorded drop; without handshake, passed on"),
    Transition("OutletState", "ChildStarted, ChildSettled", "OutletState", "the number of connections"),
)


def start_outlet(config: Outlet, _: Fresh) -> Worker[OutletState]:
    """Open the mailbox."""
    check_payload_limit(config.max_payload_bytes)
    consumers = tuple(AddConsumer(config.address, flow_control) for flow_control in config.consumer_of)
    return Worker((Mailbox(config.address, config.incoming),), OutletState(config), consumers)


def receive_outlet(state: OutletState, event: WorkerEvent) -> tuple[OutletState, Effects]:
    """Start a connection for each Ping; what follows our address in its route is ignored."""
    match event:
        case MessageReceived(_, source, message):
            return _connect(state, source, message)
        case ChildStarted():
            return replace(state, connections=state.connections + 1, asked=max(0, state.asked - 1)), ()
        case ChildSettled():
            return replace(state, connections=max(0, state.connections - 1)), ()
        case _:
            return state, ()


def _connect(state: OutletState, source: Address, message: LocalMessage) -> tuple[OutletState, Effects]:
    config = state.config
    if not message.return_route:
        return state, (drop("incomplete-route", "a Ping without a return route cannot be answered", source, message),)
    try:
        content, peer = decode_portal_message(message.payload), find_channel_identifier(message.local_info)
    except DecodeError as error:
        return state, (drop("bad-portal-message", str(error), source, message),)
    is_full = state.connections + state.asked >= MAX_OUTLET_CONNECTIONS
    if config.skip_handshake:
        return state, (_pass_on(config, peer, source, message, begins=content is Signal.PING and not is_full),)
    if content is not Signal.PING:
        return state, (drop("not-a-ping", "an outlet takes nothing but Ping", source, message),)
    if is_full:
        return state, (drop("connection-limit", f"{MAX_OUTLET_CONNECTIONS} connections are open", source, message),)
    child = OutletConnection(config, message.return_route, peer, find_gaps(message.local_info), source)
    return replace(state, asked=state.asked + 1), (StartWorker(child),)


def _pass_on(config: Outlet, peer: bytes | None, source: Address, message: LocalMessage, *, begins: bool) -> Effect:
    """Pass a message to the connection of its sender.  Only Ping begins one.

    The peer lets any message begin one, so that bytes still on their way when a target has closed reach that target
    anew, from the middle of their stream.
    """
    route = message.return_route
    key = _key(config.address, peer, route[-1])
    message = message._replace(onward_route=(key,))
    if not begins:
        return Forward(config.address, message)
    child = OutletConnection(config, route, peer, find_gaps(message.local_info), source, address=key)
    return StartWorker(child, first_message=message, if_taken=IfTaken.REUSE)


def _key(outlet: Address, peer: bytes | None, last: Address) -> Address:
    """Name a connection of the mode without handshake: one for each peer and last address (facts 08 section 3.4)."""
    return Address(
        0, b"\x00".join((outlet.value, (peer or b"").hex().encode(), b"%d" % last.transport_type, last.value))
    )


@dataclass(frozen=True, slots=True)
class OutletConnection:
    """Configuration of one connection, written by its outlet; ``source`` is the worker that brought the Ping.

    ``address`` is the name of a connection without handshake.
    """

    outlet: Outlet
    remote_route: Route
    peer: bytes | None
    gaps: int
    source: Address
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class Connecting:
    """The target is being reached; messages of the mode without handshake wait."""

    connection: Connection
    remote_route: Route
    gaps: int
    waiting: tuple[MessageReceived, ...] = ()


OutletConnectionState: TypeAlias = Connecting | Running | Ended

TRANSITIONS: Final = (
    Transition("Connecting", "LinkOpened", "Running", "Pong is sent, then the announcement of credit"),
    Transition("Connecting", "LinkFailed", "Ended", "Disconnect is sent"),
    Transition("Connecting", "Disconnect, AddressGone, AccessLost, StopRequested", "Ended"),
    Transition("Connecting", "any other message", "Connecting", "without handshake it waits"),
    Transition("Connecting", "more messages than may wait", "Ended", "Disconnect is sent"),
    *running.TRANSITIONS,
)


def start(config: OutletConnection, fresh: Fresh) -> Worker[OutletConnectionState]:
    """Ask for the target."""
    outlet = config.outlet
    (remote,), (link,) = fresh.addresses, fresh.links
    handshake = config.address is None
    connection = Connection(
        Side.OUTLET,
        link,
        remote,
        outlet.address,
        config.peer,
        handshake=handshake,
        max_payload_bytes=outlet.max_payload_bytes,
    )
    mailboxes: tuple[Mailbox, ...] = (Mailbox(remote, outlet.incoming, outlet.outgoing),)
    if config.address is not None:
        mailboxes = (
            Mailbox(remote, DENY_ALL, outlet.outgoing),
            Mailbox(config.address, AllowSources(frozenset((outlet.address,)))),
        )
    return Worker(
        mailboxes,
        Connecting(connection, config.remote_route, config.gaps),
        (
            Tell(outlet.address, ChildStarted(remote, fresh.now)),
            *((AddConsumerOfProducer(remote, config.source, exact=True),) if handshake else ()),
            Watch(config.remote_route[0]),
            OpenLink(link, outlet.target, outlet.transport),
            *guard(outlet.incoming, config.peer),
        ),
    )


def receive(state: OutletConnectionState, event: WorkerEvent) -> tuple[OutletConnectionState, Effects]:
    """Advance one target's connection by one event; peer input never raises."""
    following: OutletConnectionState
    match state:
        case Ended():
            return state, ()
        case Running():
            following, effects = running.receive(state, event)
        case Connecting():
            following, effects = _connecting(state, event)
        case _:
            assert_never(state)
    if isinstance(following, Ended):
        connection = state.connection
        settled = Tell(connection.portal, ChildSettled(connection.remote, event.now))
        effects = (settled, *effects)
    return following, effects


def _connecting(state: Connecting, event: WorkerEvent) -> tuple[OutletConnectionState, Effects]:
    connection = state.connection
    match event:
        case LinkOpened(_, now):
            return _open(state, now)
        case LinkFailed(_, reason):
            said = say(connection, state.remote_route, DISCONNECT)
            return Ended(), (said, *ending(connection, f"the target could not be reached: {reason}", close=False))
        case MessageReceived():
            return _wait(state, event)
        case AddressGone():
            return Ended(), ending(connection, "the way to the inlet is gone", close=True)
        case AccessLost(reason):
            left = take_leave(connection, state.remote_route, (DISCONNECT,))
            return Ended(), (*left, *ending(connection, reason, close=True))
        case StopRequested(reason):
            said = say(connection, state.remote_route, DISCONNECT)
            return Ended(), (said, *ending(connection, reason, close=True, stop=False))
        case _:
            return state, ()


def _open(state: Connecting, now: Now) -> tuple[OutletConnectionState, Effects]:
    connection, route = state.connection, state.remote_route
    following: Running | Ended
    following, begun = begin(connection, route, state.gaps, now)
    if connection.handshake:
        return following, (say(connection, route, PONG), say(connection, route, PONG), *begun)
    effects: list[Effect] = [*begun]
    for message in state.waiting:
        if isinstance(following, Running):
            following, more = running.receive(following, message)
            effects.extend(more)
    return following, tuple(effects)


def _wait(state: Connecting, event: MessageReceived) -> tuple[OutletConnectionState, Effects]:
    connection = state.connection
    if not connection.handshake:
        waiting = (*state.waiting, event)
        size = sum(len(each.message.payload) for each in waiting)
        if len(waiting) <= MAX_WAITING_MESSAGES and size <= MAX_WAITING_BYTES:
            return replace(state, waiting=waiting), ()
        said = tuple(say(connection, state.remote_route, payload) for payload in BROKE)
        return Ended(), (*said, *ending(connection, "too much came before the target was reached", close=True))
    match read_portal_message(connection, event.source, event.message):
        case Signal.DISCONNECT:
            return Ended(), ending(connection, "the client hung up before the target was reached", close=True)
        case Report() as dropped:
            return state, (dropped,)
        case _:
            return state, ()


OUTLET: Final[Machine[Outlet, OutletState]] = Machine("outlet", start_outlet, receive_outlet)
CONNECTION: Final[Machine[OutletConnection, OutletConnectionState]] = Machine(
    "outlet connection", start, receive, Needs(addresses=1, links=1)
)
