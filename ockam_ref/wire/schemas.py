"""The record formats of the wire, as ``construct`` schemas that read like the pages of ``spec/``.

``strict_parse(TRANSPORT_MESSAGE, data)`` gives the same value as ``decode_transport_message(data)`` or refuses the
same bytes, and ``TRANSPORT_MESSAGE.build(value)`` gives the bytes of ``encode_transport_message``.  Only tests and
documentation import this module: it is ten times slower than the codecs, and loads ``construct``.
"""

# ruff: noqa: ANN401 -- a schema holds values of any type

import io
from typing import Any

from construct import Byte, ConstructError, Int16ul, Int32ub, LazyBound, StreamError, ValidationError

from ockam_ref.wire.address import Address
from ockam_ref.wire.api import ApiError, Method, RequestHeader, ResponseHeader, Status
from ockam_ref.wire.channel_message import ChannelPayload, Close, RefreshCredentials
from ockam_ref.wire.cursor import Buffer
from ockam_ref.wire.portal_message import Payload, PortalMessage, Signal
from ockam_ref.wire.puncture_message import PuncturePayload, PunctureSignal
from ockam_ref.wire.puncture_negotiation import Introduction
from ockam_ref.wire.rendezvous_message import MyAddress, RendezvousPong, RendezvousRequest
from ockam_ref.wire.schema import (
    BARE_DATA,
    BARE_UINT,
    As,
    BareListOf,
    BareStruct,
    Part,
    Schema,
    ThenIgnored,
    strict_parse,
    take,
)
from ockam_ref.wire.schema_cbor import (
    ANY_ITEM,
    BOOL,
    BYTE_STRING,
    DEPTH,
    TEXT,
    AnyItem,
    ArrayStruct,
    EnumOf,
    ListOf,
    MapStruct,
    Nullable,
    Number,
    Uint,
)
from ockam_ref.wire.transport_message import TransportMessage
from ockam_ref.wire.udp_datagram import AnySlice, LegacySlice, Slice

__all__ = [
    "ADDRESS",
    "API_ERROR",
    "BARE_ADDRESS",
    "BARE_DATA",
    "BARE_ROUTE",
    "BARE_TRANSPORT_MESSAGE",
    "BARE_UINT",
    "CHANNEL_MESSAGE",
    "FRAME",
    "INTEGERS",
    "INTRODUCTION",
    "PORTAL_MESSAGE",
    "PUNCTURE_MESSAGE",
    "RENDEZVOUS_REQUEST",
    "RENDEZVOUS_RESPONSE",
    "REQUEST_HEADER",
    "RESPONSE_HEADER",
    "ROUTE",
    "TRANSPORT_MESSAGE",
    "UDP_DATAGRAM",
    "strict_parse",
]

MAX_HOPS = 255
MAX_FRAME = 16 * 1024 * 1024

U8 = Uint(0xFF)
U16 = Uint(0xFFFF)
U32 = Uint(0xFFFF_FFFF)

# addresses and routes

ADDRESS = As(Address, ArrayStruct("transport_type" / U8, "value" / BYTE_STRING))
ROUTE = ListOf(ADDRESS, maximum=MAX_HOPS)

BARE_ADDRESS = As(Address, BareStruct("transport_type" / Byte, "value" / BARE_DATA))
BARE_ROUTE = BareListOf(BARE_ADDRESS, maximum=MAX_HOPS)

# the message of the TCP transport, and its frame

TRANSPORT_MESSAGE = ThenIgnored(
    As(
        TransportMessage,
        ArrayStruct(
            "onward_route" / ROUTE,
            "return_route" / ROUTE,
            "payload" / BYTE_STRING,
            "tracing_context" / Nullable(TEXT, written_as="{}"),
        ),
    )
)


class _Frame(Part):
    """A length of four bytes, at most 16 MiB, and a message of that length."""

    def read(self, stream: io.BytesIO) -> Any:
        length = Int32ub.parse_stream(stream)
        if length > MAX_FRAME:
            raise ValidationError(f"{length} bytes are too many for a frame")
        return TRANSPORT_MESSAGE.parse(take(stream, length))

    def write(self, value: TransportMessage) -> bytes:
        message = TRANSPORT_MESSAGE.build(value)
        return Int32ub.build(len(message)) + message


FRAME = _Frame()

# the message of Unix sockets, WebSocket and Bluetooth


class _BareVersion(Part):
    """Version 1 or 2, which say the same; 1 when written."""

    def read(self, stream: io.BytesIO) -> int:
        version = Byte.parse_stream(stream)
        if version not in (1, 2):
            raise ValidationError(f"version {version} is unknown")
        return version

    def write(self, value: Any) -> bytes:
        del value
        return b"\x01"


class _BareContext(Part):
    """``01`` and a text, then anything; none where that is not there or is no text, and ``{}`` when none is written."""

    def read(self, stream: io.BytesIO) -> str | None:
        rest = io.BytesIO(stream.read())
        try:
            return BARE_DATA.parse_stream(rest).decode() if rest.read(1) == b"\x01" else None
        except (StreamError, ValidationError, UnicodeDecodeError):
            return None

    def write(self, value: str | None) -> bytes:
        return b"\x01" + BARE_DATA.build(("{}" if value is None else value).encode())


class _BareTransportMessage(Part):
    """A version and a message."""

    version = _BareVersion()
    message = As(
        TransportMessage,
        BareStruct(
            "onward_route" / BARE_ROUTE,
            "return_route" / BARE_ROUTE,
            "payload" / BARE_DATA,
            "tracing_context" / _BareContext(),
        ),
    )

    def read(self, stream: io.BytesIO) -> TransportMessage:
        self.version.parse_stream(stream)
        message: TransportMessage = self.message.parse_stream(stream)
        return message

    def write(self, value: TransportMessage) -> bytes:
        return self.version.build(None) + self.message.build(value)


BARE_TRANSPORT_MESSAGE = _BareTransportMessage()
# datagrams of the UDP transport


class _UdpDatagram(Part):
    """Since 0.145 slice number and number of slices; before it, a byte offset and whether the slice is the last."""

    numbered = ArrayStruct("version" / U8, "number" / U16, "offset" / U16, "total" / U16, "data" / BYTE_STRING)
    legacy = ArrayStruct("version" / U8, "number" / U16, "offset" / U32, "is_last" / BOOL, "data" / BYTE_STRING)

    def read(self, stream: io.BytesIO) -> AnySlice:
        start = stream.tell()
        try:
            return Slice(**self.numbered.parse_stream(stream))
        except ConstructError:
            stream.seek(start)
            return LegacySlice(**self.legacy.parse_stream(stream))

    def write(self, value: AnySlice) -> bytes:
        return self.numbered.build(value) if isinstance(value, Slice) else self.legacy.build(value)


UDP_DATAGRAM = ThenIgnored(_UdpDatagram())

# portals


class _PortalMessage(Part):
    """A tag; for tag 3 data, and a counter if three bytes or more follow of which the first is 1; then anything."""

    def read(self, stream: io.BytesIO) -> PortalMessage:
        tag = Byte.parse_stream(stream)
        if tag == 3:
            data = BARE_DATA.parse_stream(stream)
            rest = stream.read()
            return Payload(data, Int16ul.parse(rest[1:3]) if len(rest) >= 3 and rest[0] == 1 else None)
        stream.read()
        if tag > 3:
            raise ValidationError(f"tag {tag} is unknown")
        return Signal(tag)

    def write(self, value: PortalMessage) -> bytes:
        if isinstance(value, Signal):
            return Byte.build(value.value)
        counter = b"" if value.counter is None else b"\x01" + Int16ul.build(value.counter)
        return b"\x03" + BARE_DATA.build(value.data) + counter


PORTAL_MESSAGE = _PortalMessage()

# the plaintext of a secure channel


class _Close(Part):
    """Any one item; an empty array when written."""

    def read(self, stream: io.BytesIO) -> Close:
        ANY_ITEM.parse_stream(stream)
        return Close()

    def write(self, value: Close) -> bytes:
        del value
        return b"\x80"


class _OnlyField(Part):
    """The fields of a variant that has one."""

    def __init__(self, inner: Schema) -> None:
        super().__init__()
        self.fields = ArrayStruct("content" / inner)
        self.inner = inner

    def read(self, stream: io.BytesIO) -> Any:
        return self.fields.parse_stream(stream)["content"]

    def write(self, value: Any) -> bytes:
        return b"\x81" + self.inner.build(value)


CHANNEL_PAYLOAD = As(
    ChannelPayload, ArrayStruct("onward_route" / ROUTE, "return_route" / ROUTE, "payload" / BYTE_STRING)
)
REFRESH_CREDENTIALS = As(
    RefreshCredentials, ArrayStruct("change_history" / ANY_ITEM, "credentials" / ListOf(AnyItem()))
)


class _Padded(Part):
    """A message and padding, which nobody looks at and which is written empty."""

    inner = EnumOf(
        {
            0: (ChannelPayload, _OnlyField(CHANNEL_PAYLOAD)),
            1: (RefreshCredentials, _OnlyField(REFRESH_CREDENTIALS)),
            2: (Close, _Close()),
        }
    )
    fields = ArrayStruct("message" / inner, "padding" / BYTE_STRING)

    def read(self, stream: io.BytesIO) -> Any:
        return self.fields.parse_stream(stream)["message"]

    def write(self, value: Any) -> bytes:
        return b"\x82" + self.inner.build(value) + b"\x40"


CHANNEL_MESSAGE = ThenIgnored(_Padded())

# rendezvous, negotiation and puncture


class _Integers(Part):
    """Bytes as an array of integers."""

    def read(self, stream: io.BytesIO) -> bytes:
        return bytes(ListOf(U8).parse_stream(stream))

    def write(self, value: Buffer) -> bytes:
        return ListOf(U8).build(tuple(value))


class _Unit(Part):
    """The place of the fields of a variant without any: one item of any kind; an empty array when written."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def read(self, stream: io.BytesIO) -> Any:
        ANY_ITEM.parse_stream(stream)
        return self.value

    def write(self, value: Any) -> bytes:
        del value
        return b"\x80"


INTEGERS = _Integers()
PING, GET_MY_ADDRESS = RendezvousRequest
RENDEZVOUS_REQUEST = ThenIgnored(EnumOf({0: (PING, _Unit(PING)), 1: (GET_MY_ADDRESS, _Unit(GET_MY_ADDRESS))}))
RENDEZVOUS_RESPONSE = ThenIgnored(
    EnumOf(
        {
            0: (RendezvousPong, _Unit(RendezvousPong())),
            1: (MyAddress, As(MyAddress, ArrayStruct("address" / TEXT))),
        }
    )
)
INTRODUCTION = ThenIgnored(
    As(Introduction, ArrayStruct("public_address" / TEXT, "remote_worker" / INTEGERS)),
)
PUNCTURE_PAYLOAD = As(
    PuncturePayload, ArrayStruct("onward_route" / ROUTE, "return_route" / ROUTE, "payload" / INTEGERS)
)
PUNCTURE_MESSAGE = ThenIgnored(
    EnumOf(
        {
            0: (PunctureSignal.PING, _Unit(PunctureSignal.PING)),
            1: (PunctureSignal.PONG, _Unit(PunctureSignal.PONG)),
            2: (PuncturePayload, PUNCTURE_PAYLOAD),
        }
    )
)

# requests and responses

REQUEST_HEADER = As(
    RequestHeader,
    MapStruct({1: "id" / U32, 2: "path" / TEXT, 3: "method" / Nullable(Number(Method)), 4: "has_body" / BOOL}),
)
RESPONSE_HEADER = As(
    ResponseHeader,
    MapStruct({1: "id" / U32, 2: "re" / U32, 3: "status" / Nullable(Number(Status)), 4: "has_body" / BOOL}),
)


def _error(depth: int) -> Schema:
    if depth == 0:
        return Refused()
    fields = {
        1: "path" / Nullable(TEXT),
        2: "method" / Nullable(Number(Method)),
        3: "message" / Nullable(TEXT),
        4: "cause" / Nullable(LazyBound(lambda: _error(depth - 1))),
    }
    return As(ApiError, MapStruct(fields))


class Refused(Part):
    """Nothing is accepted here."""

    def read(self, stream: io.BytesIO) -> Any:
        raise StreamError(f"too deep at {stream.tell()}")

    def write(self, value: Any) -> bytes:
        raise ValidationError(f"{value} is too deep")


API_ERROR = _error(DEPTH)
