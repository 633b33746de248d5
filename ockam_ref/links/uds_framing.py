"""Frames of a Unix domain socket: ``u16`` length and a message in BARE, for ever (facts 02 sections 3.2 and 6).

Pure: ``cut(unfinished, data)`` returns the next unfinished frame and the bodies that are complete, as views where it
can.  Its state is the frame that has begun, as plain bytes: a frame is so short that joining it again at each read
costs less than the read.  Nothing can break the stream, for every length may come.
"""

from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.links.form import Cut, Form, Packet
from ockam_ref.wire.bare_transport_message import bare_transport_message_parts, decode_bare_transport_message
from ockam_ref.wire.transport_message import TransportMessage

MAX_UDS_MESSAGE_LENGTH: Final = 65_535
"""Bytes of one message on a Unix socket: what its length of two bytes can say."""

_LENGTH: Final = 2


def cut(unfinished: bytes, data: bytes | memoryview) -> Cut:
    """Take the next bytes of the stream; return the unfinished frame and the bodies that they complete."""
    bodies: list[memoryview] = []
    view = memoryview(data)
    if unfinished:
        # only the frame that has begun is copied, not the whole read
        unfinished, view = _lengthen(unfinished, view, _LENGTH)
        if len(unfinished) < _LENGTH:
            return unfinished, []
        wanted = _LENGTH + int.from_bytes(unfinished[:_LENGTH], "big")
        unfinished, view = _lengthen(unfinished, view, wanted)
        if len(unfinished) < wanted:
            return unfinished, []
        bodies.append(memoryview(unfinished)[_LENGTH:])
    start, end = 0, len(view)
    while end - start >= _LENGTH:
        stop = start + _LENGTH + (view[start] << 8 | view[start + 1])
        if stop > end:
            break
        bodies.append(view[start + _LENGTH : stop])
        start = stop
    return bytes(view[start:]), bodies


def _lengthen(unfinished: bytes, view: memoryview, wanted: int) -> tuple[bytes, memoryview]:
    """Move bytes from the read to the unfinished frame until that has as many as wanted."""
    missing = wanted - len(unfinished)
    return (unfinished + view[:missing], view[missing:]) if missing > 0 else (unfinished, view)


def pack(message: TransportMessage, _: int | None = None) -> tuple[Packet]:
    """Return one frame, its payload uncopied.

    Raises:
        MisuseError: the message is longer than a frame may be (``TOO_LONG``).
    """
    head, payload, tail = bare_transport_message_parts(message)
    length = len(head) + len(payload) + len(tail)
    if length > MAX_UDS_MESSAGE_LENGTH:
        detail = f"a message of {length} bytes does not fit a frame; {MAX_UDS_MESSAGE_LENGTH} is the limit"
        raise MisuseError(ErrorCode.TOO_LONG, detail)
    return ((length.to_bytes(_LENGTH, "big") + head, payload, tail),)


UDS: Final = Form(
    name="uds",
    hello=(),
    first=b"",
    cut=cut,
    decode=decode_bare_transport_message,
    pack=pack,
    undecodable_ends=False,
)
"""Unix domain sockets, as nodes of release 0.78 and later write them: no version byte; a bad message ends nothing."""
