"""Bodies of application messages: which bytes a value becomes (facts 01 section 2.4, 08 section 5).

No type travels with a payload; both ends must agree.
"""

from dataclasses import dataclass
from typing import TypeAlias, overload

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.wire.bare import encode_data, encode_string, read_data, read_string
from ockam_ref.wire.cbor_value import CborValue, decode_value, encode_value
from ockam_ref.wire.cursor import Buffer, Cursor


@dataclass(frozen=True, slots=True)
class Cbor:
    """A body that is one CBOR item."""

    value: CborValue


Body: TypeAlias = str | bytes | Cbor | None


def encode_body(value: str | Buffer | Cbor | None) -> bytes:
    """Return the payload: text as a BARE string, bytes as they are (release 0.148 and later), nothing for ``None``.

    Raises:
        MisuseError: a text with lone surrogates, or a value that has no form.
    """
    match value:
        case None:
            return b""
        case str():
            return encode_string(value)
        case Cbor():
            return encode_value(value.value)
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case _:
            raise MisuseError(ErrorCode.WRONG_TYPE, f"a {type(value).__name__} is no message body; wrap it in Cbor")


def bare_bytes(data: Buffer) -> bytes:
    """Return a byte string body as releases before 0.148 write it: with its BARE length."""
    return encode_data(data)


def read_bare_bytes(payload: Buffer) -> bytes:
    """Return the bytes of a body that has its BARE length; what follows is ignored.

    Raises:
        DecodeError: fewer bytes than announced.
    """
    return read_data(Cursor(payload))


@overload
def decode_body(payload: Buffer, kind: type[str]) -> str: ...
@overload
def decode_body(payload: Buffer, kind: type[bytes]) -> bytes: ...
@overload
def decode_body(payload: Buffer, kind: type[Cbor]) -> Cbor: ...
@overload
def decode_body(payload: Buffer, kind: type[None] | None) -> None: ...
def decode_body(payload: Buffer, kind: type[str] | type[bytes] | type[Cbor] | type[None] | None) -> Body:
    """Read a payload as that kind of body; ``bytes`` and ``None`` accept anything, trailing bytes are ignored.

    Raises:
        DecodeError: no text or no CBOR item stands there.
        MisuseError: bodies of that kind do not exist.
    """
    if kind is None or kind is type(None):
        return None
    if kind is str:
        return read_string(Cursor(payload))
    if kind is bytes:
        return bytes(payload)
    if kind is Cbor:
        return Cbor(decode_value(payload))
    raise MisuseError(ErrorCode.WRONG_TYPE, f"{kind!r} is no kind of message body")
