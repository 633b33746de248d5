"""What one UDP datagram carries: a slice of an encoded message (facts 08 section 2, 02 section 4).

``[version, routing number, offset, measure, slice]``.  Since release 0.145 the offset is the number of the slice and
the measure the number of slices; from 0.130 to 0.144 they were a byte offset and whether the slice is the last.  An
integer or a boolean as fourth element tells the two apart.  We write the newer form only.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.wire.cbor import (
    FALSE,
    MAX_U16,
    MAX_U32,
    TRUE,
    Fields,
    bytes_head,
    encode_uint,
    read_bool,
    read_bytes_view,
    read_u8,
    read_u16,
    read_u32,
)
from ockam_ref.wire.cursor import Buffer, Cursor
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH
from ockam_ref.wire.usual_form import usual_bytes_bounds

FIRST_BYTE: Final = 0x85
"""What every datagram of this form begins with as nodes write it: the head of an array of five."""

MAX_DATAGRAM_LENGTH: Final = 508
"""Bytes of the longest datagram that a peer's receive buffer takes: the smallest IP packet without its headers."""

SLICE_LENGTH: Final = 493
"""Bytes of a message in every datagram but the last: ``MAX_DATAGRAM_LENGTH`` without the longest head."""

MAX_SLICES: Final = MAX_U16
"""Slices of one message; 33 MiB at our slice length, so that the limit of a message comes first."""

_ARRAY_AND_VERSION: Final = b"\x85\x01"
_UP_TO_256: Final = tuple(map(encode_uint, range(256)))
_BYTES: Final = tuple(bytes((n,)) for n in range(256))


class Slice(NamedTuple):
    """Slice number ``offset`` of ``total`` of the message with that routing number; ``data`` may be a view."""

    number: int
    offset: int
    total: int
    data: bytes | memoryview
    version: int = 1


class LegacySlice(NamedTuple):
    """The bytes from ``offset`` on, as releases 0.130 to 0.144 write them; ``data`` may be a view."""

    number: int
    offset: int
    is_last: bool
    data: bytes | memoryview
    version: int = 1


AnySlice: TypeAlias = Slice | LegacySlice


def encode_slice(piece: AnySlice) -> bytes:
    """Return the datagram of a slice, with the shortest heads.

    Raises:
        MisuseError: a number is out of its range (``OUT_OF_RANGE``).
    """
    version, number = _within(piece.version, 0xFF), _within(piece.number, MAX_U16)
    if isinstance(piece, Slice):
        offset, measure = _within(piece.offset, MAX_U16), encode_uint(_within(piece.total, MAX_U16))
    else:
        offset, measure = _within(piece.offset, MAX_U32), TRUE if piece.is_last else FALSE
    head = (b"\x85", encode_uint(version), encode_uint(number), encode_uint(offset), measure)
    return b"".join((*head, bytes_head(len(piece.data)), piece.data))


def _within(n: int, maximum: int) -> int:
    if not 0 <= n <= maximum:
        raise MisuseError(ErrorCode.OUT_OF_RANGE, f"{n} is not between 0 and {maximum}")
    return n


def cut_message(number: int, message: bytes, slice_length: int = SLICE_LENGTH) -> tuple[bytes, ...]:
    """Return the datagrams of an encoded message, none of them with an empty slice.

    The peer adds an empty last slice to a message that is a multiple of the slice length, and then refuses it; the
    number of slices here is the length divided by the slice length, rounded up (facts 08 section 2.1).

    Raises:
        MisuseError: the message is empty, longer than 16 MiB or makes more than 65 535 slices (``TOO_LONG``).
    """
    length = len(message)
    total = -(-length // slice_length)
    if not 0 < length <= MAX_MESSAGE_LENGTH or total > MAX_SLICES:
        raise MisuseError(ErrorCode.TOO_LONG, f"{length} bytes cannot be cut into slices of {slice_length}")
    datagrams: list[bytes] = []
    for heads in slice_heads(number, 0, total - 1, total, slice_length):
        starts = range(len(datagrams) * slice_length, length, slice_length)
        datagrams += [head + message[start : start + slice_length] for head, start in zip(heads, starts, strict=False)]
    datagrams.append(encode_slice(Slice(number, total - 1, total, message[(total - 1) * slice_length :])))
    return tuple(datagrams)


def slice_heads(number: int, start: int, stop: int, total: int, length: int) -> Iterator[list[bytes]]:
    """Yield what stands in front of slices ``start`` to ``stop``, each of ``length`` bytes, as nodes write it.

    They come in runs of heads of one length, none of which crosses a multiple of 256.
    """
    front = _ARRAY_AND_VERSION + encode_uint(number)
    back = encode_uint(total) + bytes_head(length)
    while start < stop:
        if start < 256:
            end = min(stop, 24 if start < 24 else 256)
            run = _UP_TO_256[start:end]
            begin = front
        else:
            end = min(stop, (start | 0xFF) + 1)
            run = _BYTES[start & 0xFF : (end - 1 & 0xFF) + 1]
            begin = front + b"\x19" + _BYTES[start >> 8]
        yield [begin + offset + back for offset in run]
        start = end


def decode_slice(data: Buffer) -> AnySlice:
    """Read a datagram; the slice is a view of ``data``, the version is not checked, bytes after the array are ignored.

    Raises:
        DecodeError: it is no array of at least five such elements; the datagram is then dropped.
    """
    piece = _decode_usual(data)
    return decode_any_slice(data) if piece is None else piece


def decode_any_slice(data: Buffer) -> AnySlice:
    """Read a datagram in any of the accepted forms; ``decode_slice`` gives the same answers sooner."""
    cursor = Cursor(data)
    fields = Fields(cursor, "datagram")
    version = fields.required(read_u8)
    number = fields.required(read_u16)
    offset = fields.required(read_u32)
    measure = fields.required(_read_measure)
    content = fields.required(read_bytes_view)
    fields.finish()
    if isinstance(measure, bool):
        return LegacySlice(number, offset, measure, content, version)
    if offset > MAX_U16:
        raise cursor.fail(ErrorCode.OUT_OF_RANGE, f"slice number {offset} is above {MAX_U16}")
    return Slice(number, offset, measure, content, version)


def _read_measure(cursor: Cursor) -> int | bool:
    return read_bool(cursor) if cursor.peek() >= 0xE0 else read_u16(cursor)


def _decode_usual(data: Buffer) -> Slice | None:
    """Read the form that nodes since 0.145 write; ``None`` when anything is unusual."""
    try:
        if data[0] != FIRST_BYTE or data[1] != 1:
            return None
        number, position = _usual_u16(data, 2)
        offset, position = _usual_u16(data, position)
        total, position = _usual_u16(data, position)
        start, stop = usual_bytes_bounds(data, position)
        if stop > len(data):
            return None
    except IndexError:
        return None
    return Slice(number, offset, total, memoryview(data)[start:stop])


def _usual_u16(data: Buffer, position: int) -> tuple[int, int]:
    """Return a number of at most 16 bits and the position behind it; ``IndexError`` for anything else."""
    head = data[position]
    if head == 0x19:
        return data[position + 1] << 8 | data[position + 2], position + 3
    if head < 24:
        return head, position + 1
    if head == 0x18:
        return data[position + 1], position + 2
    raise IndexError
