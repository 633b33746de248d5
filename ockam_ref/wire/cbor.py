"""The strict subset of CBOR that Ockam writes, and the tolerance with which it reads (facts 01 section 1).

Writers emit the shortest, definite form.  Readers are as lenient as the peer: longer heads, indefinite arrays and maps,
surplus elements and unknown keys are accepted; tags, indefinite strings and mixed-up types are not.  Readers take a
``Cursor`` and leave what follows the item; whether bytes may follow is up to the caller.

Structs: an *array struct* holds its fields by position (``encode_fields``, ``Fields``), a *map struct* by small numbers
(``encode_map_fields``, ``read_map_keys``), an *enum* is a pair of variant number and fields (``encode_variant``,
``read_enum_head``).
"""

import codecs
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.wire.cursor import Buffer, Cursor

T = TypeVar("T")

MAX_DEPTH: Final = 32
"""Arrays, maps and tags inside one another, in an item that is skipped or read as a generic value.

The peer has no such limit.  It bounds our stack; nothing of the protocol nests deeper than eight.
"""
MAX_U8: Final = 0xFF
MAX_U16: Final = 0xFFFF
MAX_U32: Final = 0xFFFF_FFFF
MAX_U64: Final = 0xFFFF_FFFF_FFFF_FFFF

FALSE: Final = b"\xf4"
TRUE: Final = b"\xf5"
NULL: Final = b"\xf6"

UINT: Final = 0x00
NEGATIVE: Final = 0x20
BYTES: Final = 0x40
TEXT: Final = 0x60
ARRAY: Final = 0x80
MAP: Final = 0xA0
TAG: Final = 0xC0
SIMPLE: Final = 0xE0
BREAK: Final = 0xFF
INDEFINITE: Final = 31
"""The argument of a head that announces no length."""

_ONE_BYTE: Final = tuple(bytes((byte,)) for byte in range(256))
_KINDS: Final = {
    UINT: "an unsigned integer",
    NEGATIVE: "a negative integer",
    BYTES: "a byte string",
    TEXT: "a text",
    ARRAY: "an array",
    MAP: "a map",
    TAG: "a tag",
    SIMPLE: "a simple value or float",
}


# writing


def encode_head(major: int, argument: int) -> bytes:
    """Return the shortest head of that major type (``UINT``, ``BYTES``, ...) and argument.

    Raises:
        MisuseError: the argument is not between 0 and 2**64 - 1.
    """
    if 0 <= argument < 24:
        return _ONE_BYTE[major | argument]
    if 0 <= argument <= MAX_U8:
        return bytes((major | 24, argument))
    if 0 <= argument <= MAX_U16:
        return _ONE_BYTE[major | 25] + argument.to_bytes(2, "big")
    if 0 <= argument <= MAX_U32:
        return _ONE_BYTE[major | 26] + argument.to_bytes(4, "big")
    if 0 <= argument <= MAX_U64:
        return _ONE_BYTE[major | 27] + argument.to_bytes(8, "big")
    raise MisuseError(ErrorCode.OUT_OF_RANGE, f"{argument} is not between 0 and 2**64 - 1")


def encode_uint(n: int) -> bytes:
    """Return an unsigned integer; ``MisuseError`` outside 0 to 2**64 - 1."""
    return encode_head(UINT, n)


def encode_bool(b: bool) -> bytes:  # noqa: FBT001 -- the subject of the function
    """Return ``f5`` or ``f4``."""
    return TRUE if b else FALSE


def bytes_head(n: int) -> bytes:
    """Return the head of a byte string of ``n`` bytes."""
    return encode_head(BYTES, n)


def text_head(n: int) -> bytes:
    """Return the head of a text of ``n`` bytes of UTF-8."""
    return encode_head(TEXT, n)


def array_head(n: int) -> bytes:
    """Return the head of an array of ``n`` elements."""
    return encode_head(ARRAY, n)


def map_head(n: int) -> bytes:
    """Return the head of a map of ``n`` entries."""
    return encode_head(MAP, n)


def encode_bytes(b: Buffer) -> bytes:
    """Return a byte string."""
    return bytes_head(len(b)) + b


def encode_text(s: str) -> bytes:
    """Return a text; ``MisuseError`` for lone surrogates, which UTF-8 does not know."""
    try:
        raw = s.encode()
    except UnicodeEncodeError as error:
        raise MisuseError(ErrorCode.BAD_TEXT, "the text holds a lone surrogate") from error
    return text_head(len(raw)) + raw


def encode_integers(b: Buffer) -> bytes:
    """Return bytes as an array of integers, which some messages of the peer use (facts 01 section 1.4)."""
    return array_head(len(b)) + _encode_elements(b)


_LARGE_ELEMENT: Final = b"\x18"
"""The head of an integer between 24 and 255; smaller ones are their own head."""
_ELEMENTS: Final = "".join(chr(n) if n < 24 else chr(0x10000 + (0x18 << 10) + n) for n in range(256))
"""For each byte a character whose UTF-16 has the bytes of the element as the low bytes of its units.

A character outside the basic plane is two units, and the low byte of the first can be made ``18``.  So the expansion
of a byte to one or two runs inside the codecs of the interpreter, fifteen times as fast as a loop of ours.
"""


_ELEMENTS_AT_ONCE: Final = 8192
"""On the way a byte takes eight; so many are on the way."""


def _encode_elements(b: Buffer) -> bytes:
    starts = range(0, len(b), _ELEMENTS_AT_ONCE)
    characters = (codecs.charmap_decode(b[at : at + _ELEMENTS_AT_ONCE], "strict", _ELEMENTS)[0] for at in starts)
    return b"".join(some.encode("utf-16-be")[1::2] for some in characters)


def encode_fields(*fields: bytes | None) -> bytes:
    """Return an array struct of encoded fields: absent ones at the end are left out, others become null."""
    count = len(fields)
    while count and fields[count - 1] is None:
        count -= 1
    return array_head(count) + b"".join(NULL if field is None else field for field in fields[:count])


def encode_map_fields(fields: Mapping[int, bytes | None]) -> bytes:
    """Return a map struct of encoded fields by key, in ascending order and without the absent ones."""
    present = [(key, field) for key, field in sorted(fields.items()) if field is not None]
    return map_head(len(present)) + b"".join(encode_uint(key) + field for key, field in present)


def encode_variant(index: int, *fields: bytes | None) -> bytes:
    """Return an enum: the pair of variant number and array of fields; ``82 nn 80`` without any."""
    return b"\x82" + encode_uint(index) + encode_fields(*fields)


# reading


def read_head(cursor: Cursor) -> tuple[int, int | None]:
    """Consume a head and return major type and argument; ``None`` is the argument of an indefinite item or a break.

    Raises:
        DecodeError: cut short, or one of the reserved additional informations 28 to 30.
    """
    initial = cursor.u8()
    information = initial & 0x1F
    if information < 24:
        return initial & 0xE0, information
    if information < 28:
        return initial & 0xE0, int.from_bytes(cursor.view(1 << (information - 24)), "big")
    if information == INDEFINITE:
        return initial & 0xE0, None
    cursor.position -= 1
    raise cursor.fail(ErrorCode.WRONG_TYPE, f"byte {initial:#04x} begins no CBOR item")


def _read_typed_head(cursor: Cursor, wanted: int) -> int | None:
    start = cursor.position
    major, argument = read_head(cursor)
    if major != wanted:
        cursor.position = start
        raise cursor.fail(ErrorCode.WRONG_TYPE, f"{_KINDS[wanted]} expected, found {_KINDS[major]}")
    return argument


def _read_definite_head(cursor: Cursor, wanted: int) -> int:
    start = cursor.position
    argument = _read_typed_head(cursor, wanted)
    if argument is None:
        cursor.position = start
        raise cursor.fail(ErrorCode.WRONG_TYPE, f"{_KINDS[wanted]} of known length expected")
    return argument


def read_uint(cursor: Cursor, maximum: int = MAX_U64) -> int:
    """Read an unsigned integer in any width; ``DecodeError`` (``OUT_OF_RANGE``) above ``maximum``."""
    start = cursor.position
    n = _read_definite_head(cursor, UINT)
    if n > maximum:
        cursor.position = start
        raise cursor.fail(ErrorCode.OUT_OF_RANGE, f"{n} is above {maximum}")
    return n


def read_u8(cursor: Cursor) -> int:
    """Read an unsigned integer of at most 255."""
    return read_uint(cursor, MAX_U8)


def read_u16(cursor: Cursor) -> int:
    """Read an unsigned integer below 2**16."""
    return read_uint(cursor, MAX_U16)


def read_u32(cursor: Cursor) -> int:
    """Read an unsigned integer below 2**32."""
    return read_uint(cursor, MAX_U32)


def read_bool(cursor: Cursor) -> bool:
    """Read ``f4`` or ``f5``, nothing else."""
    initial = cursor.peek()
    if initial not in (0xF4, 0xF5):
        raise cursor.fail(ErrorCode.WRONG_TYPE, "a boolean expected")
    cursor.position += 1
    return initial == 0xF5


def read_bytes(cursor: Cursor) -> bytes:
    """Read a byte string of definite length, as a copy."""
    return bytes(read_bytes_view(cursor))


def read_bytes_view(cursor: Cursor) -> memoryview:
    """Read a byte string of definite length, as a view of the buffer."""
    return cursor.view(_read_definite_head(cursor, BYTES))


def read_text(cursor: Cursor) -> str:
    """Read a text of definite length; ``DecodeError`` (``BAD_TEXT``) when it is not UTF-8."""
    length = _read_definite_head(cursor, TEXT)
    return _utf8(cursor, length)


def _utf8(cursor: Cursor, length: int) -> str:
    start = cursor.position
    try:
        return str(cursor.view(length), "utf-8")
    except UnicodeDecodeError as error:
        cursor.position = start + error.start
        raise cursor.fail(ErrorCode.BAD_TEXT, "the text is not UTF-8") from error


def read_null_or(cursor: Cursor, reader: Callable[[Cursor], T]) -> T | None:
    """Read null as ``None``, anything else with ``reader``; undefined (``f7``) is not null."""
    if cursor.peek() == NULL[0]:
        cursor.position += 1
        return None
    return reader(cursor)


def read_array_head(cursor: Cursor) -> int | None:
    """Read the head of an array and return its count; ``None`` when a break ends it."""
    return _read_typed_head(cursor, ARRAY)


def read_map_head(cursor: Cursor) -> int | None:
    """Read the head of a map and return its number of entries; ``None`` when a break ends it."""
    return _read_typed_head(cursor, MAP)


def read_items(cursor: Cursor, count: int | None) -> Iterator[int]:
    """Yield the index of each item of an array or map whose head said ``count``; the caller consumes the item.

    An indefinite one (``None``) ends at its break, which is consumed.
    """
    index = 0
    while index != count:
        if count is None and cursor.peek() == BREAK:
            cursor.position += 1
            return
        yield index
        index += 1


def read_list(cursor: Cursor, reader: Callable[[Cursor], T], *, maximum: int | None = None) -> tuple[T, ...]:
    """Read an array whose elements all have one type; ``DecodeError`` (``TOO_LONG``) above ``maximum`` elements."""
    elements: list[T] = []
    for index in read_items(cursor, read_array_head(cursor)):
        if index == maximum:
            raise cursor.fail(ErrorCode.TOO_LONG, f"more than {maximum} elements")
        elements.append(reader(cursor))
    return tuple(elements)


def read_integers(cursor: Cursor) -> bytes:
    """Read bytes that are written as an array of integers (facts 01 section 1.4); a byte string is refused."""
    start = cursor.position
    count = read_array_head(cursor)
    elements = None if count is None else _read_last_elements(cursor, count)
    if elements is not None:
        return elements
    cursor.position = start
    return read_any_integers(cursor)


def read_any_integers(cursor: Cursor) -> bytes:
    """Read the same in any of the accepted forms; ``read_integers`` gives the same answers sooner."""
    return bytes(read_list(cursor, read_u8))


def _read_last_elements(cursor: Cursor, count: int) -> bytes | None:
    """Read shortest elements that end with the buffer, as nodes write them; ``None`` when anything is unusual.

    A benchmark asked for it: a puncture carries every payload like this.  In a run of ``18`` each pair is the element
    24; all others of them are heads, and go.  Whether the rest was well formed shows when it is written again.
    """
    if not count <= cursor.remaining <= 2 * count:
        return None
    raw = bytes(cursor.data[cursor.position :])
    pieces = raw.split(2 * _LARGE_ELEMENT)
    elements = _LARGE_ELEMENT.join([piece.translate(None, _LARGE_ELEMENT) for piece in pieces])
    if len(elements) != count or _encode_elements(elements) != raw:
        return None
    cursor.position += len(raw)
    return elements


def read_map_keys(cursor: Cursor) -> Iterator[int]:
    """Yield each key of a map struct; the caller reads or skips the value.

    Keys come in any order and may repeat (the last one counts); unknown ones, such as the old type tag at key 0, are to
    be skipped.
    """
    for _ in read_items(cursor, read_map_head(cursor)):
        yield read_u32(cursor)


def read_enum_head(cursor: Cursor) -> int:
    """Read the outer array of an enum, definite and of two, and the variant number; the caller reads the second item.

    Raises:
        DecodeError: anything else (``WRONG_TYPE``).
    """
    start = cursor.position
    if read_array_head(cursor) != 2:
        cursor.position = start
        raise cursor.fail(ErrorCode.WRONG_TYPE, "an enum is an array of exactly two")
    return read_u32(cursor)


class Fields:
    """Reads an array struct field by field, then ``finish()``.

    ``name`` is the struct, for error messages.
    """

    __slots__ = ("_cursor", "_index", "_left", "_name")

    def __init__(self, cursor: Cursor, name: str) -> None:
        self._cursor = cursor
        self._name = name
        self._index = 0
        self._left = read_array_head(cursor)

    def next(self) -> bool:
        """Return whether there is another element, and count it as read."""
        if self._left is None:
            if self._cursor.peek() == BREAK:
                return False
        elif self._left == 0:
            return False
        else:
            self._left -= 1
        self._index += 1
        return True

    def required(self, reader: Callable[[Cursor], T]) -> T:
        """Read a mandatory field; ``DecodeError`` (``MISSING_FIELD``) when the array is over."""
        if not self.next():
            raise self._cursor.fail(ErrorCode.MISSING_FIELD, f"{self._name}: element {self._index} is missing")
        return reader(self._cursor)

    def optional(self, reader: Callable[[Cursor], T]) -> T | None:
        """Read an optional field; missing and null are ``None``."""
        return read_null_or(self._cursor, reader) if self.next() else None

    def finish(self) -> None:
        """Skip surplus elements and the break."""
        while self.next():
            skip(self._cursor)
        if self._left is None:
            self._cursor.position += 1


def skip(cursor: Cursor, depth: int = MAX_DEPTH) -> None:
    """Pass over one item of any kind, at most ``depth`` levels deep.

    Raises:
        DecodeError: malformed, cut short, text that is not UTF-8, a break out of place, or ``TOO_DEEP``.
    """
    if depth == 0:
        raise cursor.fail(ErrorCode.TOO_DEEP, f"items nest more than {MAX_DEPTH} levels deep")
    start = cursor.position
    major, argument = read_head(cursor)
    if major in (BYTES, TEXT):
        _skip_string(cursor, major, argument)
    elif major in (ARRAY, MAP):
        for _ in read_items(cursor, argument):
            skip(cursor, depth - 1)
            if major == MAP:
                skip(cursor, depth - 1)
    elif argument is None:
        cursor.position = start
        raise cursor.fail(ErrorCode.WRONG_TYPE, "a break or an indefinite form out of place")
    elif major == TAG:
        skip(cursor, depth - 1)


def _skip_string(cursor: Cursor, major: int, length: int | None) -> None:
    if length is None:
        for _ in read_items(cursor, None):
            _skip_string(cursor, major, _read_definite_head(cursor, major))
    elif major == BYTES:
        cursor.view(length)
    else:
        _utf8(cursor, length)


def read_raw(cursor: Cursor) -> bytes:
    """Read one item of any kind and return its bytes as they are."""
    start = cursor.position
    skip(cursor)
    return bytes(cursor.data[start : cursor.position])
