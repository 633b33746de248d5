"""The node that was asked for a puncture: one worker for each request (facts 02 section 5.2)."""

from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from ockam_ref.effects import Effects, Forward, Tell
from ockam_ref.events import ChildStarted, StopRequested, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Transition, Worker
from ockam_ref.puncture import puncture, rendezvous_client
from ockam_ref.puncture.ends import END_NEEDS, draw_end, farewell, mailboxes, producer
from ockam_ref.puncture.puncture import Closed, Ended, Open
from ockam_ref.puncture.rendezvous_client import Asking, Binding, Failed, Known
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.puncture_negotiation import Introduction, encode_introduction
from ockam_ref.wire.route import Route


@dataclass(frozen=True, slots=True)
class PunctureResponder:
    """Configuration: who asked (``peer``) and the way back, and what the listener says of all its punctures."""

    listener: Address
    peer: Introduction
    return_route: Route
    rendezvous: Route
    bind: str
    spawner_id: FlowControlId


@dataclass(frozen=True, slots=True)
class Preparing:
    """Getting a socket and its public address."""

    config: PunctureResponder
    inner: rendezvous_client.Preparing


ResponderState: TypeAlias = Preparing | puncture.PunctureState

TRANSITIONS: Final = (
    Transition("Preparing", "events of the rendezvous client", "Preparing", "its own table"),
    Transition("Preparing", "the public address", "Closed", "PunctureNegotiated, Ping without last hop, Acknowledge"),
    Transition("Preparing", "no socket, no answer, AddressGone, StopRequested", "Ended", "PunctureClosed"),
    *puncture.TRANSITIONS,
)


def start(config: PunctureResponder, fresh: Fresh) -> Worker[ResponderState]:
    """Ask for a socket; the listener counts us."""
    end, flow = draw_end(fresh, config.listener), fresh.flow_control_ids[1]
    inner, effects = rendezvous_client.begin(end, config.rendezvous, config.bind)
    return Worker(
        mailboxes(end, flow, config.spawner_id),
        Preparing(config, inner),
        (Tell(config.listener, ChildStarted(end.sender, fresh.now)), producer(end, flow, config.spawner_id), *effects),
    )


def receive(state: ResponderState, event: WorkerEvent) -> tuple[ResponderState, Effects]:
    """Advance the negotiation or the puncture by one event; peer input never raises."""
    match state:
        case Preparing():
            return _preparing(state, event)
        case Closed() | Open() | Ended():
            return puncture.receive(state, event)
        case _:
            assert_never(state)


def _preparing(state: Preparing, event: WorkerEvent) -> tuple[ResponderState, Effects]:
    config, end = state.config, state.inner.end
    if isinstance(event, StopRequested):
        return Ended(), farewell(end, event.reason, event.now, stop=False)
    outcome, effects = rendezvous_client.receive(state.inner, event)
    match outcome:
        case Binding() | Asking():
            return Preparing(config, outcome), effects
        case Failed(reason):
            return Ended(), farewell(end, reason, event.now, stop=True)
        case Known(public_address):
            closed, begun = puncture.begin(end, config.peer, redirect=True, now=event.now)
            introduction = encode_introduction(Introduction(public_address, end.remote.value))
            acknowledge = Forward(end.questions, LocalMessage(config.return_route, (end.questions,), introduction))
            return closed, (*effects, *begun, acknowledge)
        case _:
            assert_never(outcome)


MACHINE: Final[Machine[PunctureResponder, ResponderState]] = Machine("puncture responder", start, receive, END_NEEDS)
