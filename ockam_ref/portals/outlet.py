"""The outlet: connects to a target for every Ping that reaches it (facts 05 section 2.3, 08 section 3).

Unlike the peer it says Disconnect when the target cannot be reached, so that the client need not wait.
"""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from ockam_ref.effects import (
    AddConsumer,
    AddConsumerOfProducer,
    Effect,
    Effects,
    IfTaken,
    OpenLink,
    Report,
    StartWorker,
    Tell,
    Watch,
)
from ockam_ref.errors import DecodeError
from ockam_ref.events import (
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
from ockam_ref.observations import MessageDropped
from ockam_ref.portals import connection as running
from ockam_ref.portals.connection import (
    DISCONNECT,
    PONG,
    Connection,
    Ended,
    Running,
    Side,
    begin,
    ending,
    read_portal_message,
    say,
)
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage, find_channel_identifier
from ockam_ref.wire.portal_message import Signal, decode_portal_message
from ockam_ref.wire.route import Route

MAX_OUTLET_CONNECTIONS: Final = 4096
"""Connections that one outlet holds at the same time; a Ping beyond that is a recorded drop."""

MAX_WAITING_MESSAGES: Final = 64
"""Messages of the mode without handshake that wait while the target is being reached."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """Configuration: its name, the target ``host:port``, who may use it, and the mode."""

    address: Address
    target: str
    consumer_of: tuple[FlowControlId, ...] = ()
    incoming: AccessControl = ALLOW_ALL
    skip_handshake: bool = False


@dataclass(frozen=True, slots=True)
class OutletState:
    """The outlet counts its connections; ``asked`` are those that have not begun yet."""

    config: Outlet
    connections: int = 0
    asked: int = 0


OUTLET_TRANSITIONS: Final = (
    Transition("Listening", "Ping", "Listening", "a connection is started"),
    Transition("Listening", "any other message", "Listening", "a recorded drop; without handshake, passed on"),
    Transition("Listening", "ChildStarted, ChildSettled", "Listening", "the number of connections"),
)


def start_outlet(config: Outlet, _: Fresh) -> Worker[OutletState]:
    """Open the mailbox."""
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
        return state, (_drop("incomplete-route", "a Ping without a return route cannot be answered", source, message),)
    peer = find_channel_identifier(message.local_info)
    if config.skip_handshake:
        key = _key(config.address, peer, message.return_route[-1])
        child = OutletConnection(config, message.return_route, peer, source, address=key)
        return state, (StartWorker(child, first_message=message, if_taken=IfTaken.REUSE),)
    try:
        content = decode_portal_message(message.payload)
    except DecodeError as error:
        return state, (_drop("bad-portal-message", str(error), source, message),)
    if content is not Signal.PING:
        return state, (_drop("not-a-ping", "an outlet takes nothing but Ping", source, message),)
    if state.connections + state.asked >= MAX_OUTLET_CONNECTIONS:
        return state, (_drop("connection-limit", f"{MAX_OUTLET_CONNECTIONS} connections are open", source, message),)
    child = OutletConnection(config, message.return_route, peer, source)
    return replace(state, asked=state.asked + 1), (StartWorker(child),)


def _key(outlet: Address, peer: bytes | None, last: Address) -> Address:
    """Name a connection of the mode without handshake: one for each peer and last address (facts 08 section 3.4)."""
    return Address(
        0, b"\x00".join((outlet.value, (peer or b"").hex().encode(), b"%d" % last.transport_type, last.value))
    )


def _drop(rule: str, detail: str, source: Address, message: LocalMessage) -> Report:
    return Report(MessageDropped(rule, detail, source, message.onward_route, message.return_route))


@dataclass(frozen=True, slots=True)
class OutletConnection:
    """Configuration of one connection, written by its outlet; ``source`` is the worker that brought the Ping."""

    outlet: Outlet
    remote_route: Route
    peer: bytes | None
    source: Address
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class Connecting:
    """The target is being reached; messages of the mode without handshake wait."""

    connection: Connection
    remote_route: Route
    skip_handshake: bool
    waiting: tuple[MessageReceived, ...] = ()


OutletConnectionState: TypeAlias = Connecting | Running | Ended

TRANSITIONS: Final = (
    Transition("Connecting", "LinkOpened", "Running", "Pong is sent, then the announcement of credit"),
    Transition("Connecting", "LinkFailed", "Ended", "Disconnect is sent"),
    Transition("Connecting", "Disconnect, AddressGone, StopRequested", "Ended"),
    Transition("Connecting", "any other message", "Connecting", "without handshake it waits"),
    *running.TRANSITIONS,
)


def start(config: OutletConnection, fresh: Fresh) -> Worker[OutletConnectionState]:
    """Ask for the target."""
    outlet = config.outlet
    (remote,), (link,) = fresh.addresses, fresh.links
    connection = Connection(Side.OUTLET, link, remote, outlet.address, config.peer)
    key = () if config.address is None else (Mailbox(config.address),)
    return Worker(
        (Mailbox(remote, outlet.incoming), *key),
        Connecting(connection, config.remote_route, outlet.skip_handshake),
        (
            Tell(outlet.address, ChildStarted(remote, fresh.now)),
            AddConsumerOfProducer(remote, config.source, exact=True),
            Watch(config.remote_route[0]),
            OpenLink(link, outlet.target),
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
        case StopRequested(reason):
            said = say(connection, state.remote_route, DISCONNECT)
            return Ended(), (said, *ending(connection, reason, close=True, stop=False))
        case _:
            return state, ()


def _open(state: Connecting, now: Now) -> tuple[OutletConnectionState, Effects]:
    connection, route = state.connection, state.remote_route
    following: Running | Ended
    following, begun = begin(connection, route, now)
    if not state.skip_handshake:
        return following, (say(connection, route, PONG), say(connection, route, PONG), *begun)
    effects: list[Effect] = [*begun]
    for message in state.waiting:
        if isinstance(following, Running):
            following, more = running.receive(following, message)
            effects.extend(more)
    return following, tuple(effects)


def _wait(state: Connecting, event: MessageReceived) -> tuple[OutletConnectionState, Effects]:
    connection = state.connection
    if state.skip_handshake:
        if len(state.waiting) < MAX_WAITING_MESSAGES:
            return replace(state, waiting=(*state.waiting, _without_extra_hops(event))), ()
        said = say(connection, state.remote_route, DISCONNECT)
        reason = f"more than {MAX_WAITING_MESSAGES} messages came before the target was reached"
        return Ended(), (said, *ending(connection, reason, close=True))
    match read_portal_message(connection, event.source, event.message):
        case Signal.DISCONNECT:
            return Ended(), ending(connection, "the client hung up before the target was reached", close=True)
        case Report() as dropped:
            return state, (dropped,)
        case _:
            return state, ()


def _without_extra_hops(event: MessageReceived) -> MessageReceived:
    """An outlet's name may be followed by more hops; the rule of a connection's own address does not apply."""
    message = event.message
    return event._replace(message=message._replace(onward_route=message.onward_route[:1]))


OUTLET: Final[Machine[Outlet, OutletState]] = Machine("outlet", start_outlet, receive_outlet)
CONNECTION: Final[Machine[OutletConnection, OutletConnectionState]] = Machine(
    "outlet connection", start, receive, Needs(addresses=1, links=1)
)
