"""Generic CBOR values, for message bodies of applications.

Written like the protocol's own items: shortest heads, definite lengths, floats in 64 bits.  Read with the same
tolerance; tags, undefined and indefinite strings are refused.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Buffer, Cursor

CborValue: TypeAlias = (
    bool | int | float | str | bytes | bytearray | memoryview | Sequence["CborValue"] | Mapping[Any, "CborValue"] | None
)
"""Integers from -2**64 to 2**64 - 1; keys of mappings are integers, texts or bytes."""

_FLOATS = {0xF9: ">e", 0xFA: ">f", 0xFB: ">d"}


def encode_value(value: CborValue) -> bytes:
    """Return one CBOR item; the entries of a mapping keep their order.

    Raises:
        MisuseError: a type or a number CBOR does not have, or nesting deeper than ``MAX_DEPTH``.
    """
    parts: list[bytes] = []
    _encode(value, parts, cbor.MAX_DEPTH)
    return b"".join(parts)


def _encode(value: object, parts: list[bytes], depth: int) -> None:
    if depth == 0:
        raise MisuseError(ErrorCode.TOO_DEEP, f"the value nests more than {cbor.MAX_DEPTH} levels deep")
    match value:
        case None:
            parts.append(cbor.NULL)
        case bool():
            parts.append(cbor.encode_bool(value))
        case int():
            parts.append(cbor.encode_uint(value) if value >= 0 else cbor.encode_head(cbor.NEGATIVE, -1 - value))
        case float():
            parts.append(b"\xfb" + struct.pack(">d", value))
        case str():
            parts.append(cbor.encode_text(value))
        case bytes() | bytearray() | memoryview():
            parts.append(cbor.encode_bytes(value))
        case Mapping():
            parts.append(cbor.map_head(len(value)))
            for key, entry in value.items():
                if isinstance(key, bool) or not isinstance(key, int | str | bytes):
                    raise MisuseError(ErrorCode.WRONG_TYPE, f"a {type(key).__name__} cannot be the key of a CBOR map")
                _encode(key, parts, depth - 1)
                _encode(entry, parts, depth - 1)
        case Sequence():
            parts.append(cbor.array_head(len(value)))
            for element in value:
                _encode(element, parts, depth - 1)
        case _:
            raise MisuseError(ErrorCode.WRONG_TYPE, f"a {type(value).__name__} has no CBOR form")


def decode_value(data: Buffer) -> CborValue:
    """Return the first CBOR item as ``None``, ``bool``, ``int``, ``float``, ``str``, ``bytes``, ``list`` or ``dict``.

    Bytes after the item are ignored, and of a key that occurs twice the last one counts, as the peer does.

    Raises:
        DecodeError: malformed, a kind that is refused, or nesting deeper than ``MAX_DEPTH``.
    """
    return read_value(Cursor(data))


def read_value(cursor: Cursor, depth: int = cbor.MAX_DEPTH) -> CborValue:
    """Read one CBOR item as ``decode_value`` does, and leave what follows."""
    if depth == 0:
        raise cursor.fail(ErrorCode.TOO_DEEP, f"items nest more than {cbor.MAX_DEPTH} levels deep")
    match cursor.peek() & 0xE0:
        case cbor.UINT:
            return cbor.read_uint(cursor)
        case cbor.NEGATIVE:
            return _read_negative(cursor)
        case cbor.BYTES:
            return cbor.read_bytes(cursor)
        case cbor.TEXT:
            return cbor.read_text(cursor)
        case cbor.ARRAY:
            return [read_value(cursor, depth - 1) for _ in cbor.read_items(cursor, cbor.read_array_head(cursor))]
        case cbor.MAP:
            return _read_map(cursor, depth)
        case cbor.SIMPLE:
            return _read_simple(cursor)
        case _:
            raise cursor.fail(ErrorCode.WRONG_TYPE, "CBOR tags are not used here")


def _read_negative(cursor: Cursor) -> int:
    _, argument = cbor.read_head(cursor)
    if argument is None:
        raise cursor.fail(ErrorCode.WRONG_TYPE, "an integer has no indefinite form")
    return -1 - argument


def _read_map(cursor: Cursor, depth: int) -> dict[int | str | bytes, CborValue]:
    entries: dict[int | str | bytes, CborValue] = {}
    for _ in cbor.read_items(cursor, cbor.read_map_head(cursor)):
        key = read_value(cursor, depth - 1)
        if isinstance(key, bool) or not isinstance(key, int | str | bytes):
            raise cursor.fail(ErrorCode.WRONG_TYPE, "the key of a map is an integer, a text or bytes")
        entries[key] = read_value(cursor, depth - 1)
    return entries


def _read_simple(cursor: Cursor) -> bool | float | None:
    initial = cursor.peek()
    if initial in (0xF4, 0xF5):
        return cbor.read_bool(cursor)
    if initial != 0xF6 and initial not in _FLOATS:
        raise cursor.fail(ErrorCode.WRONG_TYPE, f"simple value {initial:#04x} has no meaning here")
    cursor.position += 1
    if initial == 0xF6:
        return None
    form = _FLOATS[initial]
    number: float = struct.unpack(form, cursor.view(struct.calcsize(form)))[0]
    return number
