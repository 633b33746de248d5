"""One end of a puncture after its negotiation: keeps the hole open and carries messages (facts 02 section 5.3).

The part that initiator and responder go on with.  Unlike the peer it gives up when nothing answers at first, answers
the first ping with one of its own at once, and bounds what waits for the opening by bytes too.
"""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from ockam_ref.effects import Effects, Forward, Report, SetTimer
from ockam_ref.errors import DecodeError
from ockam_ref.events import AddressGone, MessageReceived, StopRequested, TimerFired, WorkerEvent
from ockam_ref.machine import Now, Transition
from ockam_ref.observations import PunctureNegotiated, PunctureOpened, PunctureSilent
from ockam_ref.puncture.ends import End, drop, farewell
from ockam_ref.puncture.limits import OPEN_TIMEOUT_S
from ockam_ref.wire.address import UDP, Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.puncture_message import (
    PuncturePayload,
    PunctureSignal,
    decode_puncture_message,
    encode_puncture_message,
)
from ockam_ref.wire.puncture_negotiation import Introduction
from ockam_ref.wire.route import Route

HEARTBEAT_S: Final = 1.0
"""The pause between two pings, which keeps the mappings of NATs alive; the peer's own."""

DEAD_AFTER_S: Final = 10.0
"""An open puncture without a pong for so long is dead; looked at with each ping.  The peer's own limit."""

SILENT_AFTER_S: Final = 2.5
"""An open puncture without a pong for so long is told to be silent: three pings have had no answer by then."""

MAX_WAITING_MESSAGES: Final = 8
"""Messages that wait for the opening, as many as a mailbox of the peer holds; one more is a recorded drop."""

MAX_WAITING_BYTES: Final = 1_048_576
"""Bytes of their payloads."""

_PING: Final = encode_puncture_message(PunctureSignal.PING)
_PONG: Final = encode_puncture_message(PunctureSignal.PONG)


@dataclass(frozen=True, slots=True)
class Closed:
    """We ping and nothing has come back; ``redirect`` as long as the other end may not exist yet."""

    end: End
    peer: Route
    redirect: bool
    give_up_at: float
    waiting: tuple[LocalMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Open:
    """The other end answered our pings, the last time at ``last_pong``; ``silent`` if people know it was long ago."""

    end: End
    peer: Route
    last_pong: float
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: everything is ignored."""


PunctureState: TypeAlias = Closed | Open | Ended

TRANSITIONS: Final = (
    Transition("Closed", "Pong", "Open", "what waits is sent, PunctureOpened"),
    Transition("Closed", "MessageReceived, local", "Closed", "waits, or a recorded drop"),
    Transition("Closed", "Ping", "Closed", "answered; a redirected end pings the worker from now on"),
    Transition("Closed", "Payload", "Closed", "forwarded"),
    Transition("Closed", "TimerFired", "Closed", "Ping"),
    Transition("Closed", "TimerFired, too late; AddressGone, StopRequested", "Ended", "PunctureClosed"),
    Transition("Open", "Pong", "Open", "refreshed; PunctureOpened after silence"),
    Transition("Open", "MessageReceived, local", "Open", "Payload"),
    Transition("Open", "Ping", "Open", "answered"),
    Transition("Open", "Payload", "Open", "forwarded"),
    Transition("Open", "TimerFired", "Open", "Ping; PunctureSilent when three had no answer"),
    Transition("Open", "TimerFired, no Pong for 10 s; AddressGone, StopRequested", "Ended", "PunctureClosed"),
    Transition("Ended", "any", "Ended", "ignored"),
)


def begin(end: End, peer: Introduction, *, redirect: bool, now: Now) -> tuple[Closed, Effects]:
    """Ping at once.  The responder's first pings are redirected: the initiator's end does not exist yet."""
    udp = Address(UDP, peer.public_address.encode())
    closed = Closed(end, (end.bind, udp, Address(0, peer.remote_worker)), redirect, now.monotonic + OPEN_TIMEOUT_S)
    negotiated = Report(PunctureNegotiated(end.sender, peer.public_address))
    return closed, (negotiated, *_heartbeat(closed, now))


def receive(state: PunctureState, event: WorkerEvent) -> tuple[PunctureState, Effects]:
    """Advance the puncture by one event; peer input never raises."""
    if isinstance(state, Ended):
        return state, ()
    match event:
        case MessageReceived() if event.destination == state.end.sender:
            return _send(state, event)
        case MessageReceived() if event.destination == state.end.remote:
            return _receive_message(state, event)
        case TimerFired("heartbeat", now):
            reason = _is_over(state, now)
            if reason is not None:
                return Ended(), farewell(state.end, reason, now, stop=True)
            if isinstance(state, Open) and not state.silent and now.monotonic - state.last_pong >= SILENT_AFTER_S:
                silent = Report(PunctureSilent(state.end.sender, _public_address(state)))
                return replace(state, silent=True), (silent, *_heartbeat(state, now))
            return state, _heartbeat(state, now)
        case AddressGone(address, now) if address == state.end.bind:
            return Ended(), farewell(state.end, "the socket is gone", now, stop=True)
        case StopRequested(reason, now):
            return Ended(), farewell(state.end, reason, now, stop=False)
        case _:
            return state, ()


def _is_over(state: Closed | Open, now: Now) -> str | None:
    if isinstance(state, Open):
        dead = now.monotonic - state.last_pong >= DEAD_AFTER_S
        return f"no answer from the other end for {DEAD_AFTER_S:g} s" if dead else None
    late = now.monotonic >= state.give_up_at
    return f"the other end did not answer within {OPEN_TIMEOUT_S:g} s: the NATs let nothing through" if late else None


def _heartbeat(state: Closed | Open, now: Now) -> Effects:
    return _ping(state), SetTimer("heartbeat", now.monotonic + HEARTBEAT_S)


def _ping(state: Closed | Open) -> Forward:
    route = state.peer[:2] if isinstance(state, Closed) and state.redirect else state.peer
    return Forward(state.end.remote, LocalMessage(route, (state.end.remote,), _PING))


def _send(state: Closed | Open, event: MessageReceived) -> tuple[PunctureState, Effects]:
    if isinstance(state, Open):
        return state, (_payload(state, event.message),)
    waiting = state.waiting
    if len(waiting) >= MAX_WAITING_MESSAGES:
        detail = f"{MAX_WAITING_MESSAGES} messages wait for the puncture to open"
        return state, (drop("puncture-not-open", detail, event.source, event.message),)
    if len(event.message.payload) + sum(len(message.payload) for message in waiting) > MAX_WAITING_BYTES:
        detail = f"more than {MAX_WAITING_BYTES} bytes would wait for the puncture to open"
        return state, (drop("puncture-not-open", detail, event.source, event.message),)
    kept = event.message.with_payload(bytes(event.message.payload))  # a view may belong to a large frame
    return replace(state, waiting=(*waiting, kept)), ()


def _payload(state: Open, message: LocalMessage) -> Forward:
    payload = PuncturePayload(message.onward_route[1:], message.return_route, message.payload)
    return Forward(state.end.remote, LocalMessage(state.peer, (), encode_puncture_message(payload)))


def _receive_message(state: Closed | Open, event: MessageReceived) -> tuple[PunctureState, Effects]:
    end, message = state.end, event.message
    try:
        decoded = decode_puncture_message(message.payload)
    except DecodeError as error:
        return state, (drop("bad-puncture-message", str(error), event.source, message),)
    match decoded:
        case PunctureSignal.PING:
            pong = Forward(end.remote, LocalMessage(message.return_route, (end.remote,), _PONG))
            if isinstance(state, Closed) and state.redirect:
                state = replace(state, redirect=False)
                return state, (pong, _ping(state))
            return state, (pong,)
        case PunctureSignal.PONG:
            return _opened(state, event.now)
        case PuncturePayload(onward_route, return_route, payload):
            return state, (Forward(end.receiver, LocalMessage(onward_route, (end.sender, *return_route), payload)),)
        case _:
            assert_never(decoded)


def _opened(state: Closed | Open, now: Now) -> tuple[Open, Effects]:
    still = Open(state.end, state.peer, now.monotonic)
    opened = Report(PunctureOpened(state.end.sender, _public_address(state)))
    if isinstance(state, Open):
        return still, (opened,) if state.silent else ()
    return still, (opened, *(_payload(still, message) for message in state.waiting))


def _public_address(state: Closed | Open) -> str:
    return state.peer[1].value.decode()
