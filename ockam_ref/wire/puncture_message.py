"""What the two ends of a puncture say to each other (facts 02 section 5.3).

The payload is an array of integers, so random data grows to 1.9 times its size.
"""

from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.cbor import Fields, encode_integers, encode_variant, read_enum_head, read_integers, skip
from ockam_ref.wire.cursor import Buffer, Cursor
from ockam_ref.wire.route import Route, encode_route_cbor, read_route_cbor


class PunctureSignal(Enum):
    """The messages without content; the value is the variant number."""

    PING = 0
    PONG = 1


class PuncturePayload(NamedTuple):
    """A message for the other node: the routes behind the puncture, and the payload."""

    onward_route: Route
    return_route: Route
    payload: bytes | memoryview


PunctureMessage: TypeAlias = PunctureSignal | PuncturePayload

_SIGNALS: Final = tuple(PunctureSignal)
_ENCODED: Final = {signal: encode_variant(signal.value) for signal in PunctureSignal}
_PAYLOAD: Final = 2


def encode_puncture_message(message: PunctureMessage) -> bytes:
    """Return the payload of the carrying message."""
    if isinstance(message, PunctureSignal):
        return _ENCODED[message]
    onward_route, return_route, payload = message
    return encode_variant(
        _PAYLOAD, encode_route_cbor(onward_route), encode_route_cbor(return_route), encode_integers(payload)
    )


def decode_puncture_message(payload: Buffer) -> PunctureMessage:
    """Read a message; surplus elements and bytes after it are ignored.

    Raises:
        DecodeError: it is none, for instance because its payload is a byte string.
    """
    cursor = Cursor(payload)
    index = read_enum_head(cursor)
    if index < _PAYLOAD:
        skip(cursor)
        return _SIGNALS[index]
    if index > _PAYLOAD:
        raise DecodeError(ErrorCode.UNKNOWN_VARIANT, f"{index} is no puncture message")
    fields = Fields(cursor, "puncture payload")
    message = PuncturePayload(
        fields.required(read_route_cbor), fields.required(read_route_cbor), fields.required(read_integers)
    )
    fields.finish()
    return message
