"""Cutting a byte stream into frames: one version byte, then ``u32`` length and body, for ever (facts 02 section 2.2).

Pure: ``receive(state, data)`` returns the next state and the bodies that are complete, as views where it can.  Bytes
that wait are kept as chunks and joined once, when the frame is whole.  The result does not depend on how the stream
was cut into reads.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.links.form import Broken, Form, Packet
from ockam_ref.machine import Transition
from ockam_ref.wire.transport_message import (
    MAX_MESSAGE_LENGTH,
    PROTOCOL_VERSION,
    TransportMessage,
    decode_transport_message,
    transport_message_parts,
)

MAX_WAITING_CHUNKS: Final = 64
"""Chunks of an unfinished frame are glued beyond this number: a peer that drips bytes costs no more than its bytes."""


@dataclass(frozen=True, slots=True)
class AwaitingVersion:
    """Nothing has arrived yet."""


@dataclass(frozen=True, slots=True)
class AwaitingFrame:
    """Between frames or inside one: ``waiting`` bytes in ``chunks``, of ``wanted`` that make the next step possible."""

    chunks: tuple[bytes | memoryview, ...] = ()
    waiting: int = 0
    wanted: int = 4


FramingState: TypeAlias = AwaitingVersion | AwaitingFrame | Broken
Frames: TypeAlias = list[memoryview]

TRANSITIONS: Final = (
    Transition("AwaitingVersion", "version byte 1", "AwaitingFrame", "what follows it is looked at in the same step"),
    Transition("AwaitingVersion", "any other byte", "Broken"),
    Transition("AwaitingFrame", "bytes", "AwaitingFrame", "complete bodies come out"),
    Transition("AwaitingFrame", "length above 16 MiB", "Broken", "the bodies before it come out"),
    Transition("Broken", "bytes", "Broken", "ignored"),
)

_BETWEEN_FRAMES: Final = AwaitingFrame()


def receive(state: FramingState, data: bytes | memoryview) -> tuple[FramingState, Frames]:
    """Take the next bytes of the stream; return the next state and the frame bodies that they complete.

    A version other than 1, or a length above ``MAX_MESSAGE_LENGTH``, breaks the stream: its caller closes the link
    after it has dealt with the bodies.
    """
    if not data or isinstance(state, Broken):
        return state, []
    if isinstance(state, AwaitingVersion):
        if data[0] != PROTOCOL_VERSION:
            return Broken(f"the peer speaks version {data[0]}, we speak {PROTOCOL_VERSION}"), []
        return _cut(memoryview(data)[1:])
    waiting = state.waiting + len(data)
    if waiting < state.wanted:
        chunks = (*state.chunks, data)
        return AwaitingFrame(chunks if len(chunks) <= MAX_WAITING_CHUNKS else glue(chunks), waiting, state.wanted), []
    return _cut(memoryview(b"".join((*state.chunks, data)) if state.chunks else data))


def _cut(view: memoryview) -> tuple[FramingState, Frames]:
    """Cut all whole frames from the front; what remains waits."""
    frames: Frames = []
    start, end = 0, len(view)
    while end - start >= 4:
        length = int.from_bytes(view[start : start + 4], "big")
        if length > MAX_MESSAGE_LENGTH:
            reason = f"the peer announced a message of {length} bytes; {MAX_MESSAGE_LENGTH} is the limit"
            return Broken(reason), frames
        stop = start + 4 + length
        if stop > end:
            return AwaitingFrame((view[start:],), end - start, 4 + length), frames
        frames.append(view[start + 4 : stop])
        start = stop
    if start == end:
        return _BETWEEN_FRAMES, frames
    return AwaitingFrame((view[start:],), end - start, 4), frames


def glue(chunks: tuple[bytes | memoryview, ...]) -> tuple[bytes | memoryview, ...]:
    """Join neighbours until each chunk is at least twice as long as the next.

    At most 24 chunks of a frame remain, and a byte is moved at most 24 times however slowly the frame drips in.
    """
    groups: list[tuple[int, int]] = []  # where a group begins in ``chunks``, and its length
    for position, chunk in enumerate(chunks):
        start, length = position, len(chunk)
        while groups and groups[-1][1] < 2 * length:
            start, before = groups.pop()
            length += before
        groups.append((start, length))
    stops = [start for start, _ in groups[1:]] + [len(chunks)]
    return tuple(b"".join(chunks[start:stop]) for (start, _), stop in zip(groups, stops, strict=True))


def pack(message: TransportMessage, _: int | None = None) -> tuple[Packet]:
    """Return one frame, its payload uncopied.

    Raises:
        MisuseError: the message is longer than a frame may be.
    """
    head, payload, tail = transport_message_parts(message)
    length = len(head) + len(payload) + len(tail)
    if length > MAX_MESSAGE_LENGTH:
        detail = f"a message of {length} bytes does not fit a frame; {MAX_MESSAGE_LENGTH} is the limit"
        raise MisuseError(ErrorCode.TOO_LONG, detail)
    return ((length.to_bytes(4, "big") + head, payload, tail),)


FRAMED: Final = Form(
    name="framed",
    hello=(bytes((PROTOCOL_VERSION,)),),
    first=AwaitingVersion(),
    cut=receive,
    decode=decode_transport_message,
    pack=pack,
    undecodable_ends=True,
)
"""Version byte and frames: TCP, and any other stream of bytes."""
