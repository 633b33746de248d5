"""The node that was asked for a puncture: one worker for each request (facts 02 section 5.2)."""

from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from ockam_ref.effects import Effects, Forward, Tell
from ockam_ref.events import ChildSettled, ChildStarted, StopRequested, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Now, Transition, Worker
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


@dataclass(frozen=True, slots=True)
class Puncturing:
    """The puncture is negotiated."""

    listener: Address
    inner: Closed | Open


ResponderState: TypeAlias = Preparing | Puncturing | Ended

TRANSITIONS: Final = (
    *rendezvous_client.TRANSITIONS,
    Transition("Asking", "MyAddress", "Closed", "PunctureNegotiated, Ping without its last hop, then Acknowledge"),
    *puncture.TRANSITIONS,
)


def start(config: PunctureResponder, fresh: Fresh) -> Worker[ResponderState]:
    """Ask for a socket; the listener counts us."""
    end, flow = draw_end(fresh), fresh.flow_control_ids[1]
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
        case Puncturing(listener, inner):
            after, effects = puncture.receive(inner, event)
            if isinstance(after, Ended):
                return after, (_settled(listener, inner.end.sender, event.now), *effects)
            return (state if after is inner else Puncturing(listener, after)), effects
        case Ended():
            return state, ()
        case _:
            assert_never(state)


def _preparing(state: Preparing, event: WorkerEvent) -> tuple[ResponderState, Effects]:
    config, end = state.config, state.inner.end
    if isinstance(event, StopRequested):
        return _end(state, event.reason, event.now, stop=False)
    outcome, effects = rendezvous_client.receive(state.inner, event)
    match outcome:
        case Binding() | Asking():
            return Preparing(config, outcome), effects
        case Failed(reason):
            return _end(state, reason, event.now, stop=True)
        case Known(public_address):
            closed, begun = puncture.begin(end, config.peer, redirect=True, now=event.now)
            introduction = encode_introduction(Introduction(public_address, end.remote.value))
            acknowledge = Forward(end.questions, LocalMessage(config.return_route, (end.questions,), introduction))
            return Puncturing(config.listener, closed), (*effects, *begun, acknowledge)
        case _:
            assert_never(outcome)


def _end(state: Preparing, reason: str, now: Now, *, stop: bool) -> tuple[Ended, Effects]:
    end = state.inner.end
    return Ended(), (_settled(state.config.listener, end.sender, now), *farewell(end, reason, stop=stop))


def _settled(listener: Address, sender: Address, now: Now) -> Tell:
    return Tell(listener, ChildSettled(sender, now))


MACHINE: Final[Machine[PunctureResponder, ResponderState]] = Machine("puncture responder", start, receive, END_NEEDS)
