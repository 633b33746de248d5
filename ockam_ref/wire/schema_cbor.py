"""Parts for the ``construct`` schemas of CBOR records: as lenient as the peer, and no more."""

# ruff: noqa: ANN401, D102 -- a schema holds values of any type, and the class says what its read and write do

import io
from collections.abc import Iterator, Mapping
from typing import Any

from construct import (
    BitsInteger,
    BitStruct,
    Computed,
    Error,
    Int8ub,
    Int16ub,
    Int32ub,
    Int64ub,
    Pass,
    Struct,
    Switch,
    ValidationError,
    this,
)

from ockam_ref.wire.cursor import Buffer
from ockam_ref.wire.schema import Part, Schema, name_of, peek, take

DEPTH = 32
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = range(7)
_BREAK = b"\xff"
_NULL = b"\xf6"

HEAD = Struct(
    "initial" / BitStruct("major" / BitsInteger(3), "information" / BitsInteger(5)),
    "argument"
    / Switch(
        this.initial.information,
        {24: Int8ub, 25: Int16ub, 26: Int32ub, 27: Int64ub, 28: Error, 29: Error, 30: Error, 31: Pass},
        default=Computed(this.initial.information),
    ),
)
"""Major type, and the argument in any width; ``None`` announces an indefinite form."""

_WIDTHS = ((24, Int8ub, 1 << 8), (25, Int16ub, 1 << 16), (26, Int32ub, 1 << 32), (27, Int64ub, 1 << 64))


def shortest_head(major: int, argument: int) -> bytes:
    """Return the only head that writers use."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    information, integer, _ = next(width for width in _WIDTHS if argument < width[2])
    return bytes((major << 5 | information,)) + integer.build(argument)


def _read_head(stream: io.BytesIO, major: int, *, definite: bool = True) -> Any:
    head = HEAD.parse_stream(stream)
    if head.initial.major != major or (definite and head.argument is None):
        raise ValidationError(f"major type {major} expected")
    return head.argument


class Uint(Part):
    """An unsigned integer up to a maximum."""

    def __init__(self, maximum: int) -> None:
        super().__init__()
        self.maximum = maximum

    def read(self, stream: io.BytesIO) -> int:
        n: int = _read_head(stream, _UNSIGNED)
        if n > self.maximum:
            raise ValidationError(f"{n} is above {self.maximum}")
        return n

    def write(self, value: int) -> bytes:
        return shortest_head(_UNSIGNED, value)


class _Bool(Part):
    def read(self, stream: io.BytesIO) -> bool:
        byte = take(stream, 1)
        if byte not in {b"\xf4", b"\xf5"}:
            raise ValidationError("a boolean expected")
        return byte == b"\xf5"

    def write(self, value: bool) -> bytes:  # noqa: FBT001 -- the subject
        return b"\xf5" if value else b"\xf4"


class _ByteString(Part):
    def read(self, stream: io.BytesIO) -> bytes:
        return take(stream, _read_head(stream, _BYTES))

    def write(self, value: Buffer) -> bytes:
        return shortest_head(_BYTES, len(value)) + bytes(value)


class _Text(Part):
    def read(self, stream: io.BytesIO) -> str:
        return _utf8(take(stream, _read_head(stream, _TEXT)))

    def write(self, value: str) -> bytes:
        return shortest_head(_TEXT, len(value.encode())) + value.encode()


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ValidationError("not UTF-8") from error


BOOL = _Bool()
BYTE_STRING = _ByteString()
TEXT = _Text()


class AnyItem(Part):
    """One item of any kind, as its bytes."""

    def read(self, stream: io.BytesIO) -> bytes:
        start = stream.tell()
        self._pass(stream, DEPTH)
        return stream.getvalue()[start : stream.tell()]

    def write(self, value: bytes) -> bytes:
        return value

    def _pass(self, stream: io.BytesIO, depth: int) -> None:
        if depth == 0:
            raise ValidationError("too deep")
        head = HEAD.parse_stream(stream)
        major, argument = head.initial.major, head.argument
        if major in (_BYTES, _TEXT) and argument is not None:
            content = take(stream, argument)
            if major == _TEXT:
                _utf8(content)
        elif major in (_BYTES, _TEXT):
            for _ in _until(stream, None):
                chunk = take(stream, _read_head(stream, major))
                if major == _TEXT:
                    _utf8(chunk)
        elif major in (_ARRAY, _MAP):
            for _ in _until(stream, argument):
                for _ in range(major - _ARRAY + 1):
                    self._pass(stream, depth - 1)
        elif argument is None:
            raise ValidationError("a break out of place")
        elif major == _TAG:
            self._pass(stream, depth - 1)


ANY_ITEM = AnyItem()


def _until(stream: io.BytesIO, count: int | None) -> Iterator[int]:
    """Count the elements of an array or map: as many as announced, or up to the break."""
    index = 0
    while index < count if count is not None else peek(stream) != _BREAK:
        yield index
        index += 1
    if count is None:
        take(stream, 1)


class ListOf(Part):
    """An array whose elements all have one schema."""

    def __init__(self, element: Schema, maximum: int | None = None) -> None:
        super().__init__()
        self.element = element
        self.maximum = maximum

    def read(self, stream: io.BytesIO) -> tuple[Any, ...]:
        elements: list[Any] = []
        for index in _until(stream, _read_head(stream, _ARRAY, definite=False)):
            if index == self.maximum:
                raise ValidationError("too many elements")
            elements.append(self.element.parse_stream(stream))
        return tuple(elements)

    def write(self, value: tuple[Any, ...]) -> bytes:
        return shortest_head(_ARRAY, len(value)) + b"".join(map(self.element.build, value))


class Nullable(Part):
    """A field that may be missing or null; ``written_as`` replaces it on the wire when it is."""

    def __init__(self, inner: Schema, *, written_as: Any = None) -> None:
        super().__init__()
        self.inner = inner
        self.written_as = written_as

    def read(self, stream: io.BytesIO) -> Any:
        if peek(stream) == _NULL:
            take(stream, 1)
            return None
        return self.inner.parse_stream(stream)

    def write(self, value: Any) -> bytes:
        value = self.written_as if value is None else value
        return _NULL if value is None else self.inner.build(value)


def _is_optional(field: Any) -> bool:
    return isinstance(field.subcon, Nullable)


class ArrayStruct(Part):
    """Named fields by position: surplus elements are skipped, absent ones at the end are not written."""

    def __init__(self, *fields: Schema) -> None:
        super().__init__()
        self.fields = fields

    def read(self, stream: io.BytesIO) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for index in _until(stream, _read_head(stream, _ARRAY, definite=False)):
            if index < len(self.fields):
                values[name_of(self.fields[index])] = self.fields[index].parse_stream(stream)
            else:
                ANY_ITEM.parse_stream(stream)
        return _complete(values, self.fields)

    def write(self, value: Any) -> bytes:
        parts = [field.build(getattr(value, name_of(field))) for field in self.fields]
        while parts and parts[-1] == _NULL:
            parts.pop()
        return shortest_head(_ARRAY, len(parts)) + b"".join(parts)


class MapStruct(Part):
    """Named fields by number: unknown numbers are skipped, the last of several counts, absent ones are not written."""

    def __init__(self, fields: Mapping[int, Schema]) -> None:
        super().__init__()
        self.fields = fields

    def read(self, stream: io.BytesIO) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for _ in _until(stream, _read_head(stream, _MAP, definite=False)):
            field = self.fields.get(Uint(0xFFFF_FFFF).parse_stream(stream))
            if field is None:
                ANY_ITEM.parse_stream(stream)
            else:
                values[name_of(field)] = field.parse_stream(stream)
        return _complete(values, tuple(self.fields.values()))

    def write(self, value: Any) -> bytes:
        parts = [
            (key, self.fields[key].build(getattr(value, name_of(self.fields[key])))) for key in sorted(self.fields)
        ]
        present = [shortest_head(_UNSIGNED, key) + part for key, part in parts if part != _NULL]
        return shortest_head(_MAP, len(present)) + b"".join(present)


def _complete(values: dict[str, Any], fields: tuple[Schema, ...]) -> dict[str, Any]:
    for field in fields:
        if name_of(field) not in values:
            if not _is_optional(field):
                raise ValidationError(f"{name_of(field)} is missing")
            values[name_of(field)] = None
    return values


class EnumOf(Part):
    """A definite pair of variant number and content; ``variants`` has a value or its class, and a schema, by number."""

    def __init__(self, variants: dict[int, tuple[Any, Schema]]) -> None:
        super().__init__()
        self.variants = variants

    def read(self, stream: io.BytesIO) -> Any:
        if _read_head(stream, _ARRAY) != 2:
            raise ValidationError("a pair expected")
        index = Uint(0xFFFF_FFFF).parse_stream(stream)
        if index not in self.variants:
            raise ValidationError(f"variant {index} is unknown")
        return self.variants[index][1].parse_stream(stream)

    def write(self, value: Any) -> bytes:
        index, schema = next((i, s) for i, (kind, s) in self.variants.items() if kind in (value, type(value)))
        return shortest_head(_ARRAY, 2) + shortest_head(_UNSIGNED, index) + schema.build(value)


class Number(Part):
    """An enum that is written as its bare number; unknown ones are refused."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self.kind = kind

    def read(self, stream: io.BytesIO) -> Any:
        number = Uint(0xFFFF_FFFF).parse_stream(stream)
        try:
            return self.kind(number)
        except ValueError as error:
            raise ValidationError(f"{number} is unknown") from error

    def write(self, value: Any) -> bytes:
        return shortest_head(_UNSIGNED, int(value))
