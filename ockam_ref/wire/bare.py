"""The parts of BARE that Ockam uses (facts 01 section 2).

Lengths, counts and enum numbers are ULEB128 (``uint``); integers of a fixed width are little endian.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.wire.cursor import Buffer, Cursor

T = TypeVar("T")

MAX_UINT: Final = 0xFFFF_FFFF_FFFF_FFFF
_LAST_SHIFT: Final = 63

_SHORT: Final = tuple(bytes((n,)) for n in range(128))


def encode_uint(n: int) -> bytes:
    """Return the minimal ULEB128 form; ``MisuseError`` outside 0 to 2**64 - 1."""
    if 0 <= n < 128:
        return _SHORT[n]
    if not 0 <= n <= MAX_UINT:
        raise MisuseError(ErrorCode.OUT_OF_RANGE, f"{n} is not between 0 and 2**64 - 1")
    encoded = bytearray()
    while n >= 128:
        encoded.append(n & 0x7F | 0x80)
        n >>= 7
    encoded.append(n)
    return bytes(encoded)


def read_uint(cursor: Cursor) -> int:
    """Read a ULEB128 number; forms longer than necessary are accepted, but a tenth byte must be ``01``.

    Raises:
        DecodeError: cut short, or above 2**64 - 1.
    """
    n = shift = 0
    while True:
        byte = cursor.u8()
        if shift == _LAST_SHIFT and byte != 1:
            cursor.position -= 1
            raise cursor.fail(ErrorCode.OUT_OF_RANGE, "the tenth byte of a number must be 1")
        n |= (byte & 0x7F) << shift
        if byte < 128:
            return n
        shift += 7


def _encode_fixed(n: int, width: int, *, signed: bool = False) -> bytes:
    try:
        return n.to_bytes(width, "little", signed=signed)
    except OverflowError as error:
        raise MisuseError(ErrorCode.OUT_OF_RANGE, f"{n} does not fit {width} bytes") from error


def encode_u8(n: int) -> bytes:
    """Return one byte."""
    return _encode_fixed(n, 1)


def encode_u16(n: int) -> bytes:
    """Return two bytes, little endian."""
    return _encode_fixed(n, 2)


def encode_u32(n: int) -> bytes:
    """Return four bytes, little endian."""
    return _encode_fixed(n, 4)


def encode_u64(n: int) -> bytes:
    """Return eight bytes, little endian."""
    return _encode_fixed(n, 8)


def encode_i16(n: int) -> bytes:
    """Return two bytes, little endian, two's complement."""
    return _encode_fixed(n, 2, signed=True)


def read_u8(cursor: Cursor) -> int:
    """Read one byte."""
    return cursor.u8()


def read_u16(cursor: Cursor) -> int:
    """Read two bytes, little endian."""
    return int.from_bytes(cursor.view(2), "little")


def read_u32(cursor: Cursor) -> int:
    """Read four bytes, little endian."""
    return int.from_bytes(cursor.view(4), "little")


def read_u64(cursor: Cursor) -> int:
    """Read eight bytes, little endian."""
    return int.from_bytes(cursor.view(8), "little")


def read_i16(cursor: Cursor) -> int:
    """Read two bytes, little endian, two's complement."""
    return int.from_bytes(cursor.view(2), "little", signed=True)


def encode_bool(b: bool) -> bytes:  # noqa: FBT001 -- the subject of the function
    """Return ``01`` or ``00``."""
    return b"\x01" if b else b"\x00"


def read_bool(cursor: Cursor) -> bool:
    """Read one byte; any but zero is true."""
    return cursor.u8() != 0


def encode_data(b: Buffer) -> bytes:
    """Return length and bytes."""
    return encode_uint(len(b)) + b


def read_data(cursor: Cursor) -> bytes:
    """Read length and bytes, as a copy."""
    return bytes(read_data_view(cursor))


def read_data_view(cursor: Cursor) -> memoryview:
    """Read length and bytes, as a view of the buffer."""
    return cursor.view(read_uint(cursor))


def encode_string(s: str) -> bytes:
    """Return length and UTF-8; ``MisuseError`` for lone surrogates."""
    try:
        return encode_data(s.encode())
    except UnicodeEncodeError as error:
        raise MisuseError(ErrorCode.BAD_TEXT, "the text holds a lone surrogate") from error


def read_string(cursor: Cursor) -> str:
    """Read length and UTF-8; ``DecodeError`` (``BAD_TEXT``) when it is none."""
    length = read_uint(cursor)
    start = cursor.position
    try:
        return str(cursor.view(length), "utf-8")
    except UnicodeDecodeError as error:
        cursor.position = start + error.start
        raise cursor.fail(ErrorCode.BAD_TEXT, "the string is not UTF-8") from error


def encode_optional(value: T | None, encoder: Callable[[T], bytes]) -> bytes:
    """Return ``00``, or ``01`` and the value."""
    return b"\x00" if value is None else b"\x01" + encoder(value)


def read_optional(cursor: Cursor, reader: Callable[[Cursor], T]) -> T | None:
    """Read an optional value; any first byte but zero means that it is there."""
    return reader(cursor) if cursor.u8() else None
