"""The end of a steady link that was opened by the other node: it answers along the path that the newest Move came."""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from ockam_ref.effects import CopyConsumers, Effects, SetTimer, Tell
from ockam_ref.errors import DecodeError
from ockam_ref.events import ChildSettled, ChildStarted, MessageReceived, StopRequested, TimerFired, WorkerEvent
from ockam_ref.links import recovery
from ockam_ref.links.recovery import MIN_PACKET_BYTES
from ockam_ref.links.recovery_packets import encode_gone
from ockam_ref.machine import FlowControlId, Fresh, Machine, Needs, Transition, Worker
from ockam_ref.steady import link
from ockam_ref.steady.link import (
    IDLE_S,
    MAX_PACKET_BYTES,
    End,
    Ended,
    Running,
    drop,
    farewell,
    first_recovery,
    mailboxes,
    producer,
    say,
)
from ockam_ref.wire.address import Address
from ockam_ref.wire.steady_message import Carried, Here, Move, Open, decode_steady_message


@dataclass(frozen=True, slots=True)
class SteadyResponder:
    """Configuration: the address that the initiator knows, which the listener made of the link's number."""

    address: Address
    listener: Address
    connection: int
    spawner_id: FlowControlId


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing was received yet."""

    config: SteadyResponder
    end: End


@dataclass(frozen=True, slots=True)
class Following:
    """The link is open."""

    config: SteadyResponder
    inner: Running
    heard_at: float


ResponderState: TypeAlias = Waiting | Following | Ended

TRANSITIONS: Final = (
    Transition("Waiting", "Open", "Following", "Here"),
    Transition("Waiting", "Move", "Ended", "the initiator is told that its link is gone"),
    Transition("Waiting", "any other message", "Waiting", "a recorded drop"),
    Transition("Waiting", "TimerFired, StopRequested", "Ended", "SteadyLinkClosed"),
    Transition("Following", "Open, Move of an older epoch", "Following", "Here"),
    Transition(
        "Following", "Move of this or a newer epoch", "Following", "Here; packets go along its path from now on"
    ),
    Transition("Following", "TimerFired, nothing heard for long", "Ended", "SteadyLinkClosed"),
    *link.transitions("Following"),
)


def start(config: SteadyResponder, fresh: Fresh) -> Worker[ResponderState]:
    """Open the mailboxes; the listener counts us, and hands us the message that began it."""
    end = End(fresh.addresses[0], config.address, fresh.addresses[1])
    flow = fresh.flow_control_ids[0]
    sender, remote, receiver = mailboxes(end, flow, config.spawner_id)
    return Worker(
        (remote, sender, receiver),
        Waiting(config, end),
        (
            Tell(config.listener, ChildStarted(config.address, fresh.now)),
            producer(end, flow, config.spawner_id),
            SetTimer("idle", fresh.now.monotonic + IDLE_S),
        ),
    )


def receive(state: ResponderState, event: WorkerEvent) -> tuple[ResponderState, Effects]:
    """Advance the link by one event; peer input never raises."""
    match state:
        case Waiting(config, end):
            after, effects = _waiting(state, event)
        case Following(config, inner):
            end = inner.end
            after, effects = _following(state, event)
        case Ended():
            return state, ()
        case _:
            assert_never(state)
    if isinstance(after, Ended):
        effects = (Tell(config.listener, ChildSettled(end.remote, event.now)), *effects)
    return after, effects


def _waiting(state: Waiting, event: WorkerEvent) -> tuple[ResponderState, Effects]:
    config, end = state.config, state.end
    match event:
        case MessageReceived(destination, _, message, now) if destination == end.remote:
            try:
                asked = decode_steady_message(message.payload)
            except DecodeError as error:
                return state, (drop("bad-steady-message", str(error), event),)
            if not isinstance(asked, Open):
                # a link that we have forgotten, or never had: its stream cannot go on here
                gone = say(end, message.return_route, Carried(encode_gone(config.connection)))
                return Ended(), (gone, *farewell(end, "the link that should go on is unknown here", stop=True))
            below = first_recovery(config.connection, _packet(asked), now.monotonic)
            inner = Running(end, config.connection, message.return_route, 0, below)
            return Following(config, inner, now.monotonic), _here(config, inner, event, 0)
        case MessageReceived():
            return state, (drop("steady-link-not-open", "the link does not exist yet", event),)
        case TimerFired("idle"):
            return Ended(), farewell(end, "nothing came", stop=True)
        case StopRequested(reason):
            return Ended(), farewell(end, reason, stop=False)
        case _:
            return state, ()


def _following(state: Following, event: WorkerEvent) -> tuple[ResponderState, Effects]:
    inner = state.inner
    match event:
        case MessageReceived(destination) if destination == inner.end.sender:
            return _wrap(state, *link.give(inner, event))
        case MessageReceived():
            return _heard(state, event)
        case TimerFired("recovery", now):
            return _wrap(state, *link.advance(inner, recovery.Due(now.monotonic)))
        case TimerFired("idle", now):
            if now.monotonic - state.heard_at >= IDLE_S:
                return Ended(), farewell(inner.end, f"the other node was silent for {IDLE_S:g} s", stop=True)
            return state, (SetTimer("idle", state.heard_at + IDLE_S),)
        case StopRequested(reason, now):
            return link.leave(inner, reason, now.monotonic)
        case _:
            return state, ()


def _heard(state: Following, event: MessageReceived) -> tuple[ResponderState, Effects]:
    config, inner, time = state.config, state.inner, event.now.monotonic
    try:
        message = decode_steady_message(event.message.payload)
    except DecodeError as error:
        return state, (drop("bad-steady-message", str(error), event),)
    state = replace(state, heard_at=time)
    match message:
        case Carried(packet):
            return _wrap(state, *link.advance(inner, recovery.PacketsReceived((packet,), time)))
        case Move(connection, epoch) if connection == inner.connection:
            here = _here(config, inner, event, epoch)
            path = event.message.return_route  # another one of the same epoch where a hop of it was made anew
            if epoch < inner.epoch or (epoch == inner.epoch and path == inner.path):
                return state, here
            moved = replace(inner, path=path, epoch=epoch)
            after, effects = link.advance(moved, recovery.PathChanged(_packet(message), time))
            return _wrap(state, after, (*here, *effects))
        case Open(connection) if connection == inner.connection:
            return state, _here(config, inner, event, 0)
        case _:
            return state, (drop("bad-steady-message", "no message for this end of a link", event),)


def _here(config: SteadyResponder, inner: Running, event: MessageReceived, epoch: int) -> Effects:
    """Answer, and take in what comes along any path along which the listener can be reached by now."""
    opened = CopyConsumers(config.listener, inner.end.remote)
    return opened, say(inner.end, event.message.return_route, Here(inner.connection, epoch))


def _packet(message: Open | Move) -> int:
    return min(max(message.packet, MIN_PACKET_BYTES), MAX_PACKET_BYTES)


def _wrap(state: Following, inner: Running | Ended, effects: Effects) -> tuple[ResponderState, Effects]:
    return (inner if isinstance(inner, Ended) else replace(state, inner=inner)), effects


MACHINE: Final[Machine[SteadyResponder, ResponderState]] = Machine(
    "steady link responder", start, receive, Needs(addresses=2, flow_control_ids=1)
)
