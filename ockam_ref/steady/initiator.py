"""The end of a steady link that opened it, and that says which path it goes."""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from ockam_ref.effects import AddConsumerOfProducer, CancelTimer, Effects, Report, SetTimer
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.events import MessageReceived, PathOffered, StopRequested, TimerFired, WorkerEvent
from ockam_ref.links import recovery
from ockam_ref.machine import FlowControlId, Fresh, Machine, Now, Transition, Worker
from ockam_ref.observations import SteadyLinkMoved
from ockam_ref.steady import link
from ockam_ref.steady.limits import OPEN_TIMEOUT_S, RELAYED_PACKET_BYTES
from ockam_ref.steady.link import (
    END_NEEDS,
    IDLE_S,
    KEEP_ALIVE_S,
    End,
    Ended,
    Running,
    connection_from,
    drop,
    farewell,
    first_recovery,
    mailboxes,
    producer,
    say,
)
from ockam_ref.wire.address import Address
from ockam_ref.wire.route import Route
from ockam_ref.wire.steady_message import Carried, Here, Move, Open, decode_steady_message

ASK_AGAIN_S: Final = 0.5
"""The pause between two questions along a path; a relay may not be there yet."""


@dataclass(frozen=True, slots=True)
class SteadyLink:
    """Configuration: the route to the listener on the other node; what comes through may reach its consumers."""

    route: Route
    flow_control_id: FlowControlId
    timeout_s: float = OPEN_TIMEOUT_S
    packet: int = RELAYED_PACKET_BYTES


@dataclass(frozen=True, slots=True)
class Opening:
    """Open is sent, and again until it is answered."""

    end: End
    connection: int
    route: Route
    packet: int
    give_up_at: float


@dataclass(frozen=True, slots=True)
class Leading:
    """The link is open.  ``offered`` is a path that has not answered yet; ``epoch`` numbers paths as they are tried.

    ``listener`` is the address of the listener behind any path; ``current`` is the path in use, without its end.
    """

    inner: Running
    listener: Address
    far: Address
    current: Route
    packet: int
    heard_at: float
    epoch: int = 0
    offered: tuple[Route, int] | None = None


InitiatorState: TypeAlias = Opening | Leading | Ended

TRANSITIONS: Final = (
    Transition("Opening", "Here", "Leading", "SteadyLinkMoved"),
    Transition("Opening", "TimerFired", "Opening", "Open again"),
    Transition("Opening", "TimerFired too late, StopRequested", "Ended", "SteadyLinkClosed"),
    Transition("Leading", "PathOffered", "Leading", "Move along it, again until it answers"),
    Transition("Leading", "Here of the offered path", "Leading", "packets go along it from now on, SteadyLinkMoved"),
    Transition("Leading", "TimerFired, keep-alive", "Leading", "Move along the path in use"),
    Transition("Leading", "TimerFired, nothing heard for long", "Ended", "SteadyLinkClosed"),
    *link.transitions("Leading"),
)


def start(config: SteadyLink, fresh: Fresh) -> Worker[InitiatorState]:
    """Send Open along the route.

    Raises:
        MisuseError: the route has no hop in front of the listener.
    """
    if len(config.route) < 2:
        raise MisuseError(ErrorCode.INCOMPLETE_ROUTE, "a steady link needs a route with a hop and a listener")
    end = End(*fresh.addresses)
    opening = Opening(end, connection_from(fresh), config.route, config.packet, fresh.now.monotonic + config.timeout_s)
    return Worker(
        mailboxes(end, config.flow_control_id, None),
        opening,
        (
            producer(end, config.flow_control_id, None),
            AddConsumerOfProducer(end.remote, config.route[0]),
            *_open(opening, fresh.now),
        ),
    )


def receive(state: InitiatorState, event: WorkerEvent) -> tuple[InitiatorState, Effects]:
    """Advance the link by one event; peer input never raises."""
    match state:
        case Opening():
            return _opening(state, event)
        case Leading():
            return _leading(state, event)
        case Ended():
            return state, ()
        case _:
            assert_never(state)


# ---- opening


def _open(state: Opening, now: Now) -> Effects:
    asked = say(state.end, state.route, Open(state.connection, state.packet))
    return asked, SetTimer("ask", now.monotonic + ASK_AGAIN_S)


def _opening(state: Opening, event: WorkerEvent) -> tuple[InitiatorState, Effects]:
    match event:
        case MessageReceived(destination, _, message, now) if destination == state.end.remote:
            try:
                answer = decode_steady_message(message.payload)
            except DecodeError as error:
                return state, (drop("bad-steady-message", str(error), event),)
            back = message.return_route
            if not isinstance(answer, Here) or answer.connection != state.connection or not back:
                return state, (drop("bad-steady-message", "no answer to what was asked", event),)
            return _opened(state, back[-1], now)
        case MessageReceived():
            return state, (drop("steady-link-not-open", "the other node has not answered yet", event),)
        case TimerFired("ask", now):
            if now.monotonic >= state.give_up_at:
                return Ended(), farewell(state.end, "the other node did not answer in time", stop=True)
            return state, _open(state, now)
        case StopRequested(reason):
            return Ended(), farewell(state.end, reason, stop=False)
        case _:
            return state, ()


def _opened(state: Opening, far: Address, now: Now) -> tuple[Leading, Effects]:
    path, time = state.route[:-1], now.monotonic
    below = first_recovery(state.connection, state.packet, time)
    inner = Running(state.end, state.connection, (*path, far), 0, below)
    leading = Leading(inner, state.route[-1], far, path, state.packet, time)
    moved = Report(SteadyLinkMoved(state.end.sender, 0, path))
    return leading, (CancelTimer("ask"), SetTimer("alive", time + KEEP_ALIVE_S), moved)


# ---- open


def _leading(state: Leading, event: WorkerEvent) -> tuple[InitiatorState, Effects]:
    inner = state.inner
    match event:
        case MessageReceived(destination) if destination == inner.end.sender:
            return _wrap(state, *link.give(inner, event))
        case MessageReceived():
            return _heard(state, event)
        case TimerFired("recovery", now):
            return _wrap(state, *link.advance(inner, recovery.Due(now.monotonic)))
        case TimerFired("ask", now) if state.offered is not None:
            return state, _ask(state, state.offered, now)
        case TimerFired("alive", now):
            if now.monotonic - state.heard_at >= IDLE_S:
                return Ended(), farewell(inner.end, f"the other node was silent for {IDLE_S:g} s", stop=True)
            alive = say(inner.end, (*state.current, state.listener), Move(inner.connection, inner.epoch, state.packet))
            return state, (alive, SetTimer("alive", now.monotonic + KEEP_ALIVE_S))
        case PathOffered(route, packet, now):
            asking = replace(state, epoch=state.epoch + 1, offered=(route, packet))
            consumer = AddConsumerOfProducer(inner.end.remote, route[0])
            return asking, (consumer, *_ask(asking, (route, packet), now))
        case StopRequested(reason, now):
            return link.leave(inner, reason, now.monotonic)
        case _:
            return state, ()


def _ask(state: Leading, offered: tuple[Route, int], now: Now) -> Effects:
    route, packet = offered
    asked = say(state.inner.end, (*route, state.listener), Move(state.inner.connection, state.epoch, packet))
    return asked, SetTimer("ask", now.monotonic + ASK_AGAIN_S)


def _heard(state: Leading, event: MessageReceived) -> tuple[InitiatorState, Effects]:
    inner, time = state.inner, event.now.monotonic
    try:
        message = decode_steady_message(event.message.payload)
    except DecodeError as error:
        return state, (drop("bad-steady-message", str(error), event),)
    match message:
        case Carried(packet):
            state = replace(state, heard_at=time)
            return _wrap(state, *link.advance(inner, recovery.PacketsReceived((packet,), time)))
        case Here(connection, epoch) if connection == inner.connection:
            state = replace(state, heard_at=time)
            if state.offered is None or epoch != state.epoch:
                return state, ()
            return _move(state, state.offered, event.now)
        case _:
            return state, (drop("bad-steady-message", "no answer to what was asked", event),)


def _move(state: Leading, offered: tuple[Route, int], now: Now) -> tuple[InitiatorState, Effects]:
    """The offered path works: everything goes along it from now on, also what the old one may have swallowed."""
    route, packet = offered
    inner = replace(state.inner, path=(*route, state.far), epoch=state.epoch)
    state = replace(state, current=route, packet=packet, offered=None)
    after, effects = link.advance(inner, recovery.PathChanged(packet, now.monotonic))
    moved = Report(SteadyLinkMoved(inner.end.sender, state.epoch, route))
    return _wrap(state, after, (CancelTimer("ask"), moved, *effects))


def _wrap(state: Leading, inner: Running | Ended, effects: Effects) -> tuple[InitiatorState, Effects]:
    return (inner if isinstance(inner, Ended) else replace(state, inner=inner)), effects


MACHINE: Final[Machine[SteadyLink, InitiatorState]] = Machine("steady link initiator", start, receive, END_NEEDS)
