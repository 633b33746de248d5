"""What a secure channel encrypts (facts 04 section 3.2): an enum of three messages, in an array with some padding."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, TypeVar, assert_never

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.cbor import (
    Fields,
    array_head,
    bytes_head,
    encode_variant,
    read_bytes_view,
    read_enum_head,
    read_list,
    read_raw,
    skip,
)
from ockam_ref.wire.cursor import Buffer, Cursor
from ockam_ref.wire.route import Route, encode_route_cbor, read_route_cbor
from ockam_ref.wire.usual_form import read_usual_routes, usual_bytes_bounds

T = TypeVar("T")


class ChannelPayload(NamedTuple):
    """A routed message for the other side; the payload of a decoded one is a view."""

    onward_route: Route
    return_route: Route
    payload: bytes | memoryview


@dataclass(frozen=True, slots=True)
class RefreshCredentials:
    """A new presentation of the sender's identity: the CBOR items as they stood, for ``identities`` to read."""

    change_history: bytes
    credentials: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """The sender's end of the channel is gone."""


ChannelMessage: TypeAlias = ChannelPayload | RefreshCredentials | Close

_PADDED: Final = b"\x82"
_NO_PADDING: Final = b"\x40"
_PAYLOAD_PREFIX: Final = b"\x82\x82\x00\x81\x83"
_PREFIX_BYTES: Final = len(_PAYLOAD_PREFIX)
_CLOSE: Final = Close()


def encode_channel_message(message: ChannelMessage) -> bytes:
    """Return the plaintext, with empty padding."""
    match message:
        case ChannelPayload(onward_route, return_route, payload):
            prefix, suffix = channel_payload_parts(onward_route, return_route, len(payload))
            return b"".join((prefix, payload, suffix))
        case RefreshCredentials(change_history, credentials):
            presented = b"\x82" + change_history + array_head(len(credentials)) + b"".join(credentials)
            return _PADDED + encode_variant(1, presented) + _NO_PADDING
        case Close():
            return _PADDED + encode_variant(2) + _NO_PADDING
        case _:
            assert_never(message)


def channel_payload_parts(onward_route: Route, return_route: Route, payload_length: int) -> tuple[bytes, bytes]:
    """Return what stands before and after the payload of a ``ChannelPayload``."""
    routes = encode_route_cbor(onward_route), encode_route_cbor(return_route)
    return b"".join((_PAYLOAD_PREFIX, *routes, bytes_head(payload_length))), _NO_PADDING


def decode_channel_message(data: Buffer) -> ChannelMessage:
    """Read a plaintext; a payload is a view of ``data``, padding and trailing bytes are ignored.

    Raises:
        DecodeError: see facts 04 section 3.3.
    """
    message = _decode_usual_payload(data)
    return decode_any_channel_message(data) if message is None else message


def decode_any_channel_message(data: Buffer) -> ChannelMessage:
    """Read a plaintext in any of the accepted forms; ``decode_channel_message`` gives the same answers sooner."""
    fields = Fields(Cursor(data), "padded message")
    message = fields.required(_read_message)
    fields.required(read_bytes_view)
    fields.finish()
    return message


def _decode_usual_payload(data: Buffer) -> ChannelPayload | None:
    """Read a payload as nodes write it; ``None`` when anything is unusual.

    A benchmark asked for it: this runs once per packet.
    """
    if data[:_PREFIX_BYTES] != _PAYLOAD_PREFIX:
        return None
    try:
        onward_route, return_route, position = read_usual_routes(data, _PREFIX_BYTES)
        start, stop = usual_bytes_bounds(data, position)
        if data[stop] != _NO_PADDING[0]:
            return None
    except IndexError:
        return None
    return ChannelPayload(onward_route, return_route, memoryview(data)[start:stop])


def _read_message(cursor: Cursor) -> ChannelMessage:
    start = cursor.position
    match read_enum_head(cursor):
        case 0:
            return _read_only_field(cursor, "payload variant", _read_payload)
        case 1:
            return _read_only_field(cursor, "refresh variant", _read_refresh)
        case 2:
            skip(cursor)
            return _CLOSE
        case index:
            raise DecodeError(ErrorCode.UNKNOWN_VARIANT, f"{index} is no channel message", offset=start)


def _read_only_field(cursor: Cursor, name: str, reader: Callable[[Cursor], T]) -> T:
    fields = Fields(cursor, name)
    value = fields.required(reader)
    fields.finish()
    return value


def _read_payload(cursor: Cursor) -> ChannelPayload:
    fields = Fields(cursor, "payload message")
    message = ChannelPayload(
        fields.required(read_route_cbor), fields.required(read_route_cbor), fields.required(read_bytes_view)
    )
    fields.finish()
    return message


def _read_refresh(cursor: Cursor) -> RefreshCredentials:
    fields = Fields(cursor, "refresh message")
    message = RefreshCredentials(fields.required(read_raw), fields.required(_read_credentials))
    fields.finish()
    return message


def _read_credentials(cursor: Cursor) -> tuple[bytes, ...]:
    return read_list(cursor, read_raw)
