"""The inlet: clients connect to it, an outlet somewhere connects to their target (facts 05 section 2.2).

Two machines: the inlet, which knows the way, and one connection for each client.  Nothing is read from a client
before Pong, so nothing can be lost; a client that gives up while it waits is noticed.
"""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from ockam_ref.channels.continuity import find_gaps
from ockam_ref.effects import (
    AddConsumerOfProducer,
    CancelTimer,
    CloseLink,
    Effects,
    Own,
    Report,
    SetTimer,
    StartWorker,
    StopWorker,
    Watch,
)
from ockam_ref.events import (
    AccessLost,
    AddressGone,
    LinkAccepted,
    LinkClosed,
    MessageReceived,
    PauseChanged,
    RouteChanged,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.machine import Fresh, LinkId, Machine, Mailbox, Needs, Now, Transition, Worker
from ockam_ref.observations import ConnectionClosed
from ockam_ref.portals import connection as running
from ockam_ref.portals.connection import (
    DISCONNECT,
    MAX_PAYLOAD_BYTES,
    PING,
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
)
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AccessControl
from ockam_ref.wire.address import Address
from ockam_ref.wire.portal_message import Signal
from ockam_ref.wire.route import Route

PONG_TIMEOUT_S: Final = 10.0
"""How long a client waits for the outlet unless told otherwise; the peer would let it wait for ever."""


LATE_PONG_S: Final = 30.0
"""How long a connection without a client waits for a late Pong, to tell the outlet that nobody is there."""


@dataclass(frozen=True, slots=True)
class Inlet:
    """Configuration: the way to the outlet, the identifier at its far end if a channel is on it, and the mode.

    A way over hops that carry short messages only needs a smaller ``max_payload_bytes``, here and at the outlet.
    ``incoming`` and ``outgoing`` hold for every message from and to the other end, and a connection whose peer
    ``incoming`` does not allow, or no longer allows, is closed.
    """

    route: Route
    peer: bytes | None = None
    pong_timeout_s: float = PONG_TIMEOUT_S
    skip_handshake: bool = False
    paused: bool = False
    max_payload_bytes: int = MAX_PAYLOAD_BYTES
    incoming: AccessControl = ALLOW_ALL
    outgoing: AccessControl = ALLOW_ALL


@dataclass(frozen=True, slots=True)
class InletState:
    """The inlet is paused or not, and knows one way for clients to come."""

    address: Address
    config: Inlet


INLET_TRANSITIONS: Final = (
    Transition("InletState", "LinkAccepted", "InletState", "a connection is started"),
    Transition("InletState", "RouteChanged", "InletState", "for connections from now on"),
    Transition("InletState", "PauseChanged", "InletState", "while paused, clients are closed at once"),
)


def start_inlet(config: Inlet, fresh: Fresh) -> Worker[InletState]:
    """Take no messages; the host tells the inlet of its clients."""
    check_payload_limit(config.max_payload_bytes)
    (address,) = fresh.addresses
    return Worker((Mailbox(address, DENY_ALL),), InletState(address, config))


def receive_inlet(state: InletState, event: WorkerEvent) -> tuple[InletState, Effects]:
    """Start a connection for each client, along the way that is known now."""
    match event:
        case LinkAccepted(link):
            config = state.config
            if config.paused or not config.route:
                reason = "the inlet has no way to its outlet at the moment"
                closed = ConnectionClosed(state.address, state.address, Side.INLET, reason, 0, 0, False, True)
                return state, (CloseLink(link, reason), Report(closed))
            return state, (StartWorker(InletConnection(link, state.address, config)),)
        case RouteChanged(route, peer):
            return replace(state, config=replace(state.config, route=route, peer=peer)), ()
        case PauseChanged(paused):
            return replace(state, config=replace(state.config, paused=paused)), ()
        case _:
            return state, ()


@dataclass(frozen=True, slots=True)
class InletConnection:
    """Configuration of one connection, written by its inlet."""

    link: LinkId
    portal: Address
    inlet: Inlet


@dataclass(frozen=True, slots=True)
class AwaitingPong:
    """Ping is sent; the client's bytes wait in its socket."""

    connection: Connection
    first_hop: Address


@dataclass(frozen=True, slots=True)
class HungUp:
    """The client is gone, or was given up; if the outlet answers after all, it is told."""

    connection: Connection


InletConnectionState: TypeAlias = AwaitingPong | HungUp | Running | Ended

TRANSITIONS: Final = (
    Transition("AwaitingPong", "Pong", "Running", "reading begins"),
    Transition("AwaitingPong", "Disconnect", "Ended", "the target refused: the client is closed"),
    Transition("AwaitingPong", "any other message", "AwaitingPong", "a recorded drop"),
    Transition("AwaitingPong", "AddressGone, AccessLost, StopRequested", "Ended", "the client is closed"),
    Transition("AwaitingPong", "TimerFired", "HungUp", "the client is closed"),
    Transition("AwaitingPong", "LinkClosed", "HungUp", "the client gave up"),
    Transition("HungUp", "Pong", "Ended", "Disconnect is sent"),
    Transition("HungUp", "Disconnect, TimerFired, AddressGone, AccessLost, StopRequested", "Ended"),
    *running.TRANSITIONS,
)


def start(config: InletConnection, fresh: Fresh) -> Worker[InletConnectionState]:
    """Send Ping along the way; without handshake, begin at once."""
    inlet = config.inlet
    (remote,) = fresh.addresses
    connection = Connection(
        Side.INLET,
        config.link,
        remote,
        config.portal,
        inlet.peer,
        handshake=not inlet.skip_handshake,
        max_payload_bytes=inlet.max_payload_bytes,
    )
    first_hop = inlet.route[0]
    effects: Effects = (
        Own(config.link),
        AddConsumerOfProducer(remote, first_hop),
        Watch(first_hop),
        say(connection, inlet.route, PING),
        *guard(inlet.incoming, inlet.peer),
    )
    mailboxes = (Mailbox(remote, inlet.incoming, inlet.outgoing),)
    if inlet.skip_handshake:
        state, started = begin(connection, inlet.route, None, fresh.now)
        return Worker(mailboxes, state, (*effects, *started))
    deadline = SetTimer("pong", fresh.now.monotonic + inlet.pong_timeout_s)
    return Worker(mailboxes, AwaitingPong(connection, first_hop), (*effects, deadline))


def receive(state: InletConnectionState, event: WorkerEvent) -> tuple[InletConnectionState, Effects]:
    """Advance one client's connection by one event; peer input never raises."""
    match state:
        case Running():
            return running.receive(state, event)
        case AwaitingPong():
            return _awaiting(state, event)
        case HungUp():
            return _hung_up(state, event)
        case Ended():
            return state, ()
        case _:
            assert_never(state)


def _awaiting(state: AwaitingPong, event: WorkerEvent) -> tuple[InletConnectionState, Effects]:
    connection = state.connection
    match event:
        case MessageReceived(_, source, message, now):
            match read_portal_message(connection, source, message):
                case Signal.PONG if message.return_route:
                    route = message.return_route
                    begun, effects = begin(connection, route, find_gaps(message.local_info), now)
                    watch = () if route[0] == state.first_hop else (Watch(route[0]),)
                    return begun, (CancelTimer("pong"), *watch, *effects)
                case Signal.DISCONNECT:
                    reason = "the outlet could not reach its target, or refused the connection"
                    return Ended(), ending(connection, reason, close=True)
                case Report() as dropped:
                    return state, (dropped,)
                case _:
                    return state, (drop("not-a-pong", "a Pong with a return route is due", source, message),)
        case TimerFired(_, now):
            gone = ending(connection, "the outlet did not answer in time", close=True, stop=False, answered=False)
            return HungUp(connection), (_late_pong_deadline(now), *gone)
        case AddressGone(address) if address == state.first_hop:
            return Ended(), ending(connection, "the way to the outlet is gone", close=True, answered=False)
        case AccessLost(reason):
            return Ended(), ending(connection, reason, close=True)
        case LinkClosed(_, reason, now):
            return HungUp(connection), (_late_pong_deadline(now), *ending(connection, reason, close=False, stop=False))
        case StopRequested(reason):
            return Ended(), ending(connection, reason, close=True, stop=False)
        case _:
            return state, ()


def _late_pong_deadline(now: Now) -> SetTimer:
    return SetTimer("pong", now.monotonic + LATE_PONG_S)


def _hung_up(state: HungUp, event: WorkerEvent) -> tuple[InletConnectionState, Effects]:
    connection = state.connection
    gone = (StopWorker(connection.remote, "the client is gone"),)
    match event:
        case MessageReceived(_, source, message):
            match read_portal_message(connection, source, message):
                case Signal.PONG if message.return_route:
                    return Ended(), (say(connection, message.return_route, DISCONNECT), *gone)
                case Signal.DISCONNECT:
                    return Ended(), gone
                case Report() as dropped:
                    return state, (dropped,)
                case _:
                    return state, (drop("not-a-pong", "the client is gone", source, message),)
        case TimerFired() | AddressGone() | AccessLost():
            return Ended(), gone
        case StopRequested():
            return Ended(), ()
        case _:
            return state, ()


INLET: Final[Machine[Inlet, InletState]] = Machine("inlet", start_inlet, receive_inlet, Needs(addresses=1))
CONNECTION: Final[Machine[InletConnection, InletConnectionState]] = Machine(
    "inlet connection", start, receive, Needs(addresses=1)
)
