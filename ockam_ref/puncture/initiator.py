"""The node that asks for a puncture, through a route that already leads to the other one (facts 02 section 5.2)."""

from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from ockam_ref.effects import AddConsumerOfProducer, CancelTimer, Effects, Forward, SetTimer, Watch
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.events import AddressGone, MessageReceived, StopRequested, TimerFired, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Now, Transition, Worker
from ockam_ref.puncture import puncture, rendezvous_client
from ockam_ref.puncture.ends import ANY_ADDRESS, END_NEEDS, End, draw_end, drop, farewell, mailboxes, producer
from ockam_ref.puncture.limits import ACKNOWLEDGE_TIMEOUT_S
from ockam_ref.puncture.puncture import Closed, Ended, Open
from ockam_ref.puncture.rendezvous_client import Asking, Binding, Failed, Known, is_socket_address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.puncture_negotiation import Introduction, decode_introduction, encode_introduction
from ockam_ref.wire.route import Route


@dataclass(frozen=True, slots=True)
class Puncture:
    """Configuration: the route to the listener of the other node, and to the rendezvous service behind a socket.

    What comes through may reach consumers of ``flow_control_id``; ``bind`` is where the socket is bound.
    """

    route: Route
    rendezvous: Route
    flow_control_id: FlowControlId
    bind: str = ANY_ADDRESS
    timeout_s: float = ACKNOWLEDGE_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Preparing:
    """Getting a socket and its public address."""

    config: Puncture
    inner: rendezvous_client.Preparing


@dataclass(frozen=True, slots=True)
class AwaitingAcknowledge:
    """Initiate is sent."""

    end: End
    route: Route


InitiatorState: TypeAlias = Preparing | AwaitingAcknowledge | puncture.PunctureState

TRANSITIONS: Final = (
    Transition("Preparing", "events of the rendezvous client", "Preparing", "its own table"),
    Transition("Preparing", "the public address", "AwaitingAcknowledge", "Initiate"),
    Transition("Preparing", "no socket, no answer, AddressGone, StopRequested", "Ended", "PunctureClosed"),
    Transition("AwaitingAcknowledge", "Acknowledge", "Closed", "PunctureNegotiated, Ping"),
    Transition("AwaitingAcknowledge", "any other message", "AwaitingAcknowledge", "a recorded drop"),
    Transition(
        "AwaitingAcknowledge",
        "an Acknowledge that cannot be read, TimerFired, AddressGone, StopRequested",
        "Ended",
        "PunctureClosed",
    ),
    *puncture.TRANSITIONS,
)


def start(config: Puncture, fresh: Fresh) -> Worker[InitiatorState]:
    """Ask for a socket.

    Raises:
        MisuseError: one of the routes is empty.
    """
    if not config.route or not config.rendezvous:
        raise MisuseError(ErrorCode.INCOMPLETE_ROUTE, "a puncture needs routes to a listener and a rendezvous service")
    end, flow = draw_end(fresh), config.flow_control_id
    inner, effects = rendezvous_client.begin(end, config.rendezvous, config.bind)
    return Worker(
        mailboxes(end, flow, None),
        Preparing(config, inner),
        (
            producer(end, flow, None),
            AddConsumerOfProducer(end.questions, config.route[0]),
            Watch(config.route[0]),
            *effects,
        ),
    )


def receive(state: InitiatorState, event: WorkerEvent) -> tuple[InitiatorState, Effects]:
    """Advance the negotiation or the puncture by one event; peer input never raises."""
    match state:
        case Preparing():
            return _preparing(state, event)
        case AwaitingAcknowledge():
            return _awaiting(state, event)
        case Closed() | Open() | Ended():
            return puncture.receive(state, event)
        case _:
            assert_never(state)


def _preparing(state: Preparing, event: WorkerEvent) -> tuple[InitiatorState, Effects]:
    config, end = state.config, state.inner.end
    match event:
        case StopRequested(reason, now):
            return Ended(), farewell(end, reason, now, stop=False)
        case AddressGone(address, now) if address == config.route[0]:
            return _fail(end, "the way to the other node is gone", now)
    outcome, effects = rendezvous_client.receive(state.inner, event)
    match outcome:
        case Binding() | Asking():
            return Preparing(config, outcome), effects
        case Failed(reason):
            return _fail(end, reason, event.now)
        case Known(public_address):
            initiate = encode_introduction(Introduction(public_address, end.remote.value))
            return AwaitingAcknowledge(end, config.route), (
                *effects,
                SetTimer("acknowledge", event.now.monotonic + config.timeout_s),
                Forward(end.questions, LocalMessage(config.route, (end.questions,), initiate)),
            )
        case _:
            assert_never(outcome)


def _awaiting(state: AwaitingAcknowledge, event: WorkerEvent) -> tuple[InitiatorState, Effects]:
    end = state.end
    match event:
        case MessageReceived(destination, _, message, now) if destination == end.questions:
            return _acknowledged(state, message, now)
        case MessageReceived(_, source, message):
            return state, (drop("puncture-not-open", "the puncture is still being negotiated", source, message),)
        case TimerFired("acknowledge", now):
            return _fail(end, "the other node did not answer in time", now)
        case AddressGone(address, now) if address == state.route[0]:
            return _fail(end, "the way to the other node is gone", now)
        case AddressGone(address, now) if address == end.bind:
            return _fail(end, "the socket is gone", now)
        case StopRequested(reason, now):
            return Ended(), farewell(end, reason, now, stop=False)
        case _:
            return state, ()


def _acknowledged(state: AwaitingAcknowledge, message: LocalMessage, now: Now) -> tuple[InitiatorState, Effects]:
    end = state.end
    try:
        peer = decode_introduction(message.payload)
    except DecodeError as error:
        return _fail(end, f"the other node's answer cannot be read: {error}", now)
    if not is_socket_address(peer.public_address):
        return _fail(end, f"the other node says it is at {peer.public_address!r}, which is no address of a socket", now)
    closed, effects = puncture.begin(end, peer, redirect=False, now=now)
    return closed, (CancelTimer("acknowledge"), *effects)


def _fail(end: End, reason: str, now: Now) -> tuple[Ended, Effects]:
    return Ended(), farewell(end, reason, now, stop=True)


MACHINE: Final[Machine[Puncture, InitiatorState]] = Machine("puncture initiator", start, receive, END_NEEDS)
