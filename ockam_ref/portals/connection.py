"""A running portal connection: bytes of a socket as Payload messages, and back (facts 05 sections 1 and 2).

Inlet and outlet share it; they differ in how a connection opens and in what the end of the local stream means for a
peer that knows no half-close.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from ockam_ref.channels.continuity import find_gaps
from ockam_ref.effects import (
    CancelTimer,
    CloseLink,
    Effect,
    Effects,
    FinishSending,
    Forward,
    Guard,
    Report,
    ReportDrained,
    SendBytes,
    SetTimer,
    StartReading,
    StopReading,
    StopWorker,
)
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.events import (
    AccessLost,
    AddressGone,
    BytesReceived,
    LinkClosed,
    LinkDrained,
    LinkFinished,
    MessageReceived,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.machine import LinkId, Now, Transition
from ockam_ref.observations import ConnectionClosed, ConnectionOpened, MessageDropped
from ockam_ref.portals.credit import NO_CREDIT, Credit, credit_answered, credit_sent
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage, find_channel_identifier
from ockam_ref.wire.portal_message import (
    Payload,
    PortalMessage,
    Signal,
    decode_portal_message,
    encode_portal_message,
    payload_head,
)
from ockam_ref.wire.route import Route

HALF_CLOSE_LINGER_S: Final = 2.0
"""How long an inlet whose client has finished waits for more of the answer, from a peer that knows no half-close."""

MAX_PAYLOAD_BYTES: Final = 1024 * 1024
"""Bytes of one Payload that we send; what a host reads at once beyond this makes several (a frame holds 16 MiB)."""

PORTABLE_PAYLOAD_BYTES: Final = 48 * 1024
"""Bytes of a Payload that fits one message of every transport, whatever channels and hops are on its way.

The peer's portals send no more, and its Unix sockets carry messages of 64 KiB at most.
"""

MAX_MARKS_TO_ANSWER: Final = 64
"""Marks that may wait for their Pong; a sender of our kind has five at most, what is beyond gets no answer."""

PING: Final = encode_portal_message(Signal.PING)
PONG: Final = encode_portal_message(Signal.PONG)
DISCONNECT: Final = encode_portal_message(Signal.DISCONNECT)
END_OF_STREAM: Final = payload_head(0)
"""An empty Payload writes nothing at any peer; between our own ends it says that the stream of its sender has ended."""

NO_COUNTER: Final = 65535
"""The peer's counter starts before 0."""

BROKEN_OFF: Final = 65534
"""A counter that is never due.  In front of Disconnect it says that the stream was cut: Disconnect alone means that it
ended, and every peer closes the connection at a wrong counter."""

NOTHING: Final[tuple[bytes, ...]] = ()
CLOSED: Final = (DISCONNECT,)
BROKE: Final = (encode_portal_message(Payload(b"", BROKEN_OFF)), DISCONNECT)


class Side(StrEnum):
    """Which end of the portal a connection is."""

    INLET = "inlet"
    OUTLET = "outlet"


def check_payload_limit(max_payload_bytes: int) -> None:
    """Check how long the Payloads of a portal may be.

    Raises:
        MisuseError: not from 1 to ``MAX_PAYLOAD_BYTES``.
    """
    if not 1 <= max_payload_bytes <= MAX_PAYLOAD_BYTES:
        detail = f"a Payload has 1 to {MAX_PAYLOAD_BYTES} bytes, not {max_payload_bytes}"
        raise MisuseError(ErrorCode.OUT_OF_RANGE, detail)


@dataclass(frozen=True, slots=True)
class Connection:
    """What does not change while a connection lives; ``peer`` is the identifier that every message must carry.

    Without ``handshake`` there is no Pong, and no credit either.  A read of more than ``max_payload_bytes`` is cut.
    """

    side: Side
    link: LinkId
    remote: Address
    portal: Address
    peer: bytes | None
    handshake: bool
    max_payload_bytes: int = MAX_PAYLOAD_BYTES


@dataclass(frozen=True, slots=True)
class Running:
    """Bytes flow.  ``sent`` counts bytes to the local socket, ``received`` bytes from it.

    An inlet that ``owes_announcement`` has yet to answer the outlet's announcement of credit; the answer goes with the
    first bytes in either direction, so that it costs no journey of its own.

    ``gaps`` is how many packets its channel had out of order when the connection began, ``None`` before the other end
    was heard: one more, and bytes of this stream may be missing.
    """

    connection: Connection
    remote_route: Route
    gaps: int | None
    credit: Credit = NO_CREDIT
    sent: int = 0
    received: int = 0
    last_counter: int = NO_COUNTER
    marks_to_answer: int = 0
    local_finished: bool = False
    remote_finished: bool = False
    heard_at: float = 0.0
    owes_announcement: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: everything is ignored."""


RunningState: TypeAlias = Running | Ended

TRANSITIONS: Final = (
    Transition("Running", "BytesReceived", "Running", "one Payload; a mark now and then; may stop reading"),
    Transition("Running", "Payload", "Running", "written to the socket"),
    Transition("Running", "Ping, Pong, LinkDrained", "Running", "credit"),
    Transition("Running", "LinkFinished", "Running", "end of stream is sent, or an inlet lingers"),
    Transition("Running", "both directions finished", "Ended", "the socket is closed"),
    Transition("Running", "Disconnect", "Ended", "earlier bytes are written, nothing is sent back"),
    Transition("Running", "linger over", "Ended", "Disconnect is sent"),
    Transition("Running", "LinkClosed, StopRequested", "Ended", "the other end is told that the stream was cut"),
    Transition("Running", "message after a gap, wrong counter", "Ended", "cut: none of it is written; both are told"),
    Transition("Running", "Payload of an end that broke off", "Ended", "the socket is reset, nothing is sent back"),
    Transition("Running", "Pong, though there is no handshake", "Ended", "at an inlet: the modes differ"),
    Transition("Running", "AddressGone of the first hop", "Ended", "the socket is reset"),
    Transition("Running", "AccessLost", "Ended", "cut: the peer may not use it any more; both are told"),
    Transition("Ended", "any", "Ended", "ignored"),
)


def begin(connection: Connection, remote_route: Route, gaps: int | None, now: Now) -> tuple[Running, Effects]:
    """Start to carry bytes."""
    opened = ConnectionOpened(connection.remote, connection.portal, connection.side)
    state = Running(connection, remote_route, gaps, heard_at=now.monotonic)
    return state, (StartReading(connection.link), Report(opened))


def receive(state: Running, event: WorkerEvent) -> tuple[RunningState, Effects]:
    """Advance a running connection by one event; peer input never raises."""
    match event:
        case BytesReceived(_, data):
            return _read(state, data)
        case MessageReceived(_, source, message, now):
            return _take(state, source, message, now)
        case LinkDrained():
            answers = tuple(say(state.connection, state.remote_route, PONG) for _ in range(state.marks_to_answer))
            return replace(state, marks_to_answer=0), answers
        case LinkFinished(_, now):
            return _finish(state, now)
        case LinkClosed(_, reason):
            return end(state, reason, tell=BROKE, close=False)
        case AddressGone(address) if address == state.remote_route[0]:
            return end(state, "the way to the other end is gone", tell=NOTHING, close=True, broken=True)
        case AccessLost(reason):
            ended, effects = end(state, reason, tell=NOTHING, close=True, broken=True)
            told = BROKE if state.connection.handshake else BROKE[:1]
            return ended, (*take_leave(state.connection, state.remote_route, told), *effects)
        case TimerFired("linger", now) if state.local_finished and not state.credit.agreed:
            return _linger(state, now)
        case StopRequested(reason):
            return end(state, reason, tell=BROKE, close=True, stop=False, broken=True)
        case _:
            return state, ()


def say(connection: Connection, route: Route, payload: bytes) -> Forward:
    """Return a portal message to the other end."""
    return Forward(connection.remote, LocalMessage(route, (connection.remote,), payload))


def guard(control: AccessControl, peer: bytes | None) -> Effects:
    """Return what lets a connection hear that its peer may not use the portal any more."""
    return () if control is ALLOW_ALL else (Guard(control, peer),)


def take_leave(connection: Connection, route: Route, payloads: tuple[bytes, ...]) -> Effects:
    """Return the last words to a peer that may not use the portal any more.

    They leave from the portal itself: what leaves from the connection's own address no longer reaches that peer, and
    its client would wait for ever.
    """
    back = (connection.remote,)
    return tuple(Forward(connection.portal, LocalMessage(route, back, payload)) for payload in payloads)


def read_portal_message(connection: Connection, source: Address, message: LocalMessage) -> PortalMessage | Report:
    """Decode a message of the other end, or return the drop that says why it is not taken."""
    if len(message.onward_route) > 1:
        return drop("unknown-route", "hops follow the address of a portal connection", source, message)
    try:
        if find_channel_identifier(message.local_info) != connection.peer:
            detail = "the message comes from another identity than the connection"
            return drop("identifier-changed", detail, source, message)
        return decode_portal_message(message.payload)
    except DecodeError as error:
        return drop("bad-portal-message", str(error), source, message)


def _read(state: Running, data: bytes | memoryview) -> tuple[Running, Effects]:
    connection, route = state.connection, state.remote_route
    length, limit = len(data), connection.max_payload_bytes
    effects: list[Effect]
    if 0 < length <= limit:
        effects = [say(connection, route, b"".join((payload_head(length), data)))]
    else:
        pieces = (data[start : start + limit] for start in range(0, length, limit))
        effects = [say(connection, route, b"".join((payload_head(len(piece)), piece))) for piece in pieces]
    if state.owes_announcement:
        effects.append(say(connection, route, PONG))
    step = credit_sent(state.credit, length)
    if step.mark:
        effects.append(say(connection, route, PING))
    if step.pause:
        effects.append(StopReading(connection.link))
    return _moved(state, step.credit, state.sent, state.received + length, state.heard_at), tuple(effects)


def _take(state: Running, source: Address, message: LocalMessage, now: Now) -> tuple[RunningState, Effects]:
    connection = state.connection
    content = read_portal_message(connection, source, message)
    if isinstance(content, Report):
        return state, (content,)
    gaps = find_gaps(message.local_info)
    if gaps != state.gaps:
        if state.gaps is not None:
            reason = "the channel lost or reordered messages on their way"
            tell = NOTHING if content is Signal.DISCONNECT else BROKE
            return end(state, reason, tell=tell, close=True, broken=True)
        state = replace(state, gaps=gaps)
    match content:
        case Payload(data, counter):
            return _write(state, data, counter, now)
        case Signal.DISCONNECT:
            return end(state, "the other end closed the connection", tell=NOTHING, close=True)
        case Signal.PONG:
            return _answered(state) if connection.handshake else _refuse_handshake(state, message.return_route)
        case Signal.PING:
            if not connection.handshake or state.marks_to_answer >= MAX_MARKS_TO_ANSWER:
                return state, ()
            return replace(state, marks_to_answer=state.marks_to_answer + 1), (ReportDrained(connection.link),)
        case _:
            assert_never(content)


def _refuse_handshake(state: Running, return_route: Route) -> tuple[RunningState, Effects]:
    """An outlet that shakes hands takes no bytes under its name: without this the client would wait for ever."""
    if state.connection.side is Side.OUTLET or not return_route:
        return state, ()
    reason = "the outlet shakes hands and this inlet does not: both must use the same mode"
    return end(replace(state, remote_route=return_route), reason, tell=CLOSED, close=True)


def _write(state: Running, data: bytes | memoryview, counter: int | None, now: Now) -> tuple[RunningState, Effects]:
    if counter is not None:
        expected = 0 if state.last_counter == NO_COUNTER else state.last_counter + 1
        if counter != expected:
            if counter == BROKEN_OFF and not data:
                return end(state, "the other end broke off", tell=NOTHING, close=True, broken=True)
            return end(state, f"packet {counter} came, not {expected}", tell=BROKE, close=True, broken=True)
        state = replace(state, last_counter=counter)
    if state.remote_finished:
        return state, ()
    if data:
        written = SendBytes(state.connection.link, (data,))
        moved = _moved(state, state.credit, state.sent + len(data), state.received, now.monotonic)
        if state.owes_announcement:
            return moved, (written, say(state.connection, state.remote_route, PONG))
        return moved, (written,)
    if not state.credit.agreed:
        return state, ()
    state = replace(state, remote_finished=True)
    if state.local_finished:
        return end(state, "both sides have finished", tell=NOTHING, close=True)
    return state, (FinishSending(state.connection.link),)


def _moved(state: Running, credit: Credit, sent: int, received: int, heard_at: float) -> Running:
    """Return the state after a Payload; whatever was owed went with it.

    ``replace`` costs four times as much, and this runs for every Payload.
    """
    return Running(
        state.connection,
        state.remote_route,
        state.gaps,
        credit,
        sent,
        received,
        state.last_counter,
        state.marks_to_answer,
        state.local_finished,
        state.remote_finished,
        heard_at,
    )


def _answered(state: Running) -> tuple[Running, Effects]:
    connection, before = state.connection, state.credit
    step = credit_answered(before)
    effects: list[Effect] = []
    if step.credit.agreed and not before.agreed and connection.side is Side.INLET:
        if state.local_finished:  # the client was quicker than the announcement: no need to linger
            announcement = say(connection, state.remote_route, PONG)
            last = say(connection, state.remote_route, END_OF_STREAM)
            return replace(state, credit=step.credit), (announcement, last, CancelTimer("linger"))
        return replace(state, credit=step.credit, owes_announcement=True), ()
    if step.resume and not state.local_finished:
        effects.append(StartReading(connection.link))
    return replace(state, credit=step.credit), tuple(effects)


def _finish(state: Running, now: Now) -> tuple[RunningState, Effects]:
    connection = state.connection
    if state.credit.agreed:
        last: tuple[Forward, ...] = (say(connection, state.remote_route, END_OF_STREAM),)
        if state.owes_announcement:
            last = (say(connection, state.remote_route, PONG), *last)
        state = replace(state, local_finished=True, owes_announcement=False)
        if not state.remote_finished:
            return state, last
        ended, effects = end(state, "both sides have finished", tell=NOTHING, close=True)
        return ended, (*last, *effects)
    if connection.side is Side.INLET:
        lingering = replace(state, local_finished=True, heard_at=now.monotonic)
        return lingering, (SetTimer("linger", now.monotonic + HALF_CLOSE_LINGER_S),)
    return end(state, "the target closed the connection", tell=CLOSED, close=True)


def _linger(state: Running, now: Now) -> tuple[RunningState, Effects]:
    silent_until = state.heard_at + HALF_CLOSE_LINGER_S
    if now.monotonic < silent_until:
        return state, (SetTimer("linger", silent_until),)
    return end(state, "the client closed the connection", tell=CLOSED, close=True)


def end(
    state: Running, reason: str, *, tell: tuple[bytes, ...], close: bool, stop: bool = True, broken: bool = False
) -> tuple[Ended, Effects]:
    """End the connection: ``tell`` the other end, if it does not know; close the socket after its last bytes.

    ``broken`` says that bytes may be missing, which the local socket's other side must be able to see.
    """
    connection = state.connection
    if tell is BROKE and not connection.handshake:
        tell = BROKE[:1]  # with what follows, the peer's outlet may begin another connection
    effects: list[Effect] = [say(connection, state.remote_route, payload) for payload in tell]
    effects.extend(
        ending(
            connection,
            reason,
            close=close,
            stop=stop,
            broken=broken,
            sent=state.sent,
            received=state.received,
            opened=True,
        )
    )
    return Ended(), tuple(effects)


def ending(
    connection: Connection,
    reason: str,
    *,
    close: bool,
    stop: bool = True,
    broken: bool = False,
    sent: int = 0,
    received: int = 0,
    opened: bool = False,
    answered: bool = True,
) -> Effects:
    """Return the effects that end a connection in whatever state it is."""
    closed = ConnectionClosed(
        connection.remote, connection.portal, connection.side, reason, sent, received, opened, answered
    )
    return (
        *((CloseLink(connection.link, reason, broken),) if close else ()),
        Report(closed),
        *((StopWorker(connection.remote, reason),) if stop else ()),
    )


def drop(rule: str, detail: str, source: Address, message: LocalMessage) -> Report:
    """Record a message that goes no further."""
    return Report(MessageDropped(rule, detail, source, message.onward_route, message.return_route))
