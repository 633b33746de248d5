"""Parts for the ``construct`` schemas of the wire formats: the frame of a schema, and canonical BARE.

The schemas are the readable oracle beside the codecs, and share no code with them; tests and documentation import
them, nothing else does.  The parts close what is too lenient in ``construct`` itself: numbers are bounded, lists are
counted, unknown variants are refused, and ``strict_parse`` wants every byte to be accounted for.
"""

# ruff: noqa: ANN401, D102 -- a schema holds values of any type, and the class says what its read and write do

import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from construct import (
    Construct,
    ConstructError,
    GreedyBytes,
    StreamError,
    Terminated,
    ValidationError,
    stream_read,
    stream_write,
)

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.cursor import Buffer

if TYPE_CHECKING:
    Schema: TypeAlias = Construct[Any, Any]
else:
    Schema = Construct


def strict_parse(schema: Schema, data: Buffer) -> Any:
    """Return the value of all of ``data``.

    Raises:
        DecodeError: the schema refuses the bytes, or leaves some of them over.
    """
    stream = io.BytesIO(bytes(data))
    try:
        value = schema.parse_stream(stream)
        Terminated.parse_stream(stream)
    except StreamError as error:
        raise DecodeError(ErrorCode.TRUNCATED, str(error), offset=stream.tell()) from error
    except ConstructError as error:
        raise DecodeError(ErrorCode.WRONG_TYPE, str(error), offset=stream.tell()) from error
    return value


class Part(Schema, ABC):
    """A schema in two functions, ``read`` and ``write``, of a stream."""

    @abstractmethod
    def read(self, stream: io.BytesIO) -> Any:
        """Return one value."""

    @abstractmethod
    def write(self, value: Any) -> bytes:
        """Return the bytes of one value."""

    def _parse(self, stream: Any, context: Any, path: Any) -> Any:
        del context, path
        return self.read(stream)

    def _build(self, obj: Any, stream: Any, context: Any, path: Any) -> Any:
        del context
        data = self.write(obj)
        stream_write(stream, data, len(data), path)
        return obj


def take(stream: io.BytesIO, length: int) -> bytes:
    """Read exactly ``length`` bytes; nothing is allocated for a length that is not there."""
    if length > stream.getbuffer().nbytes - stream.tell():
        raise StreamError(f"{length} bytes are not there")
    return stream_read(stream, length, None)


def peek(stream: io.BytesIO) -> bytes:
    """Return the next byte, or nothing at the end."""
    position = stream.tell()
    byte = stream.read(1)
    stream.seek(position)
    return byte


class ThenIgnored(Part):
    """A value, then any bytes, which the peer does not look at."""

    def __init__(self, inner: Schema) -> None:
        super().__init__()
        self.inner = inner

    def read(self, stream: io.BytesIO) -> Any:
        value = self.inner.parse_stream(stream)
        GreedyBytes.parse_stream(stream)
        return value

    def write(self, value: Any) -> bytes:
        return self.inner.build(value)


class As(Part):
    """A schema of named fields whose values become a frozen value, and back."""

    def __init__(self, make: Callable[..., Any], inner: Schema) -> None:
        super().__init__()
        self.make = make
        self.inner = inner

    def read(self, stream: io.BytesIO) -> Any:
        return self.make(**self.inner.parse_stream(stream))

    def write(self, value: Any) -> bytes:
        return self.inner.build(value)


def name_of(field: Schema) -> str:
    """Return the name that ``"name" / schema`` gave to a field."""
    return str(field.name)


# BARE


class _BareUint(Part):
    def read(self, stream: io.BytesIO) -> int:
        groups: list[int] = []
        while True:
            byte = take(stream, 1)[0]
            groups.append(byte & 0x7F)
            if len(groups) == 10 and byte != 1:
                raise ValidationError("the tenth byte must be 1")
            if byte < 0x80:
                return sum(group << 7 * index for index, group in enumerate(groups))

    def write(self, value: int) -> bytes:
        groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
        return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


BARE_UINT = _BareUint()


class _BareData(Part):
    def read(self, stream: io.BytesIO) -> bytes:
        return take(stream, BARE_UINT.parse_stream(stream))

    def write(self, value: Buffer) -> bytes:
        return BARE_UINT.build(len(value)) + bytes(value)


BARE_DATA = _BareData()


class BareListOf(Part):
    """A count and as many elements."""

    def __init__(self, element: Schema, maximum: int) -> None:
        super().__init__()
        self.element = element
        self.maximum = maximum

    def read(self, stream: io.BytesIO) -> tuple[Any, ...]:
        count = BARE_UINT.parse_stream(stream)
        if count > self.maximum:
            raise ValidationError(f"{count} elements are too many")
        return tuple(self.element.parse_stream(stream) for _ in range(count))

    def write(self, value: tuple[Any, ...]) -> bytes:
        return BARE_UINT.build(len(value)) + b"".join(map(self.element.build, value))


class BareStruct(Part):
    """Named fields back to back."""

    def __init__(self, *fields: Schema) -> None:
        super().__init__()
        self.fields = fields

    def read(self, stream: io.BytesIO) -> dict[str, Any]:
        return {name_of(field): field.parse_stream(stream) for field in self.fields}

    def write(self, value: Any) -> bytes:
        return b"".join(field.build(getattr(value, name_of(field))) for field in self.fields)
