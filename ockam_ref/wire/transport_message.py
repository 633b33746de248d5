"""The message that TCP carries since release 0.128 (facts 01 section 4.6): one CBOR array inside a frame.

``[onward_route, return_route, payload, tracing_context]``; the last element may be missing or null.
"""

from typing import Final, Literal, NamedTuple

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.wire.cbor import Fields, bytes_head, encode_text, read_bytes_view, read_text
from ockam_ref.wire.cursor import Buffer, Cursor
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route, encode_route_cbor, read_route_cbor
from ockam_ref.wire.usual_form import read_usual_routes, usual_bytes_bounds

PROTOCOL_VERSION: Final = 1
"""The first byte of a TCP stream, each way, once."""
MAX_MESSAGE_LENGTH: Final = 16_777_216
"""Bytes of CBOR in one frame, inclusive."""
EMPTY_TRACING_CONTEXT: Final = "{}"
"""What a node without tracing writes: an empty JSON object."""

_EMPTY_CONTEXT: Final = b"\x62{}"


class TransportMessage(NamedTuple):
    """A message between two nodes; the routes are those of facts 01 section 5.5, the payload may be a view.

    ``tracing_context`` is an opaque text, by convention a JSON object, and never affects delivery; ``None`` when the
    sender left it out or wrote null.
    """

    onward_route: Route
    return_route: Route
    payload: bytes | memoryview
    tracing_context: str | None = None

    @property
    def is_heartbeat(self) -> bool:
        """Whether the message goes nowhere: to be dropped in silence."""
        return not self.onward_route

    def to_local(self) -> LocalMessage:
        """Return the message as it enters this node: with no local info, whatever its sender knew."""
        return LocalMessage(self.onward_route, self.return_route, self.payload, (), self.tracing_context)


def from_local(message: LocalMessage) -> TransportMessage:
    """Return what leaves the node: everything but the local info."""
    return TransportMessage(message.onward_route, message.return_route, message.payload, message.tracing_context)


def encode_transport_message(message: TransportMessage, *, elements: Literal[3, 4] = 4) -> bytes:
    """Return the CBOR array of a message.

    Four elements are what every node with the Rust standard library writes, with the text ``{}`` when there is no
    tracing context; Elixir nodes refuse anything else.
    ``elements=3`` leaves a context of ``None`` out, as small devices do.

    Raises:
        MisuseError: three elements and a context.
    """
    head, payload, tail = transport_message_parts(message)
    if elements == 3:
        if message.tracing_context is not None:
            raise MisuseError(ErrorCode.MISUSE, "a message of three elements has no room for a tracing context")
        head, tail = b"\x83" + head[1:], b""
    return b"".join((head, payload, tail))


def transport_message_parts(message: TransportMessage) -> tuple[bytes, bytes | memoryview, bytes]:
    """Return the four-element array in three parts: up to the payload, the payload itself uncopied, the rest."""
    onward_route, return_route, payload, tracing_context = message
    head = b"".join(
        (b"\x84", encode_route_cbor(onward_route), encode_route_cbor(return_route), bytes_head(len(payload)))
    )
    return head, payload, _EMPTY_CONTEXT if tracing_context is None else encode_text(tracing_context)


def decode_transport_message(data: Buffer) -> TransportMessage:
    """Read a message; its payload is a view of ``data``, and bytes after the array are ignored.

    Raises:
        DecodeError: see facts 01 section 4.6; the connection must then be closed.
    """
    message = _decode_usual(data)
    return decode_any_transport_message(data) if message is None else message


def decode_any_transport_message(data: Buffer) -> TransportMessage:
    """Read a message in any of the accepted forms; ``decode_transport_message`` gives the same answers sooner."""
    fields = Fields(Cursor(data), "transport message")
    message = TransportMessage(
        fields.required(read_route_cbor),
        fields.required(read_route_cbor),
        fields.required(read_bytes_view),
        fields.optional(read_text),
    )
    fields.finish()
    return message


def _decode_usual(data: Buffer) -> TransportMessage | None:
    """Read the form that nodes without tracing write; ``None`` when anything is unusual.

    A benchmark asked for it: this runs once per packet.
    """
    try:
        if data[0] != 0x84:
            return None
        onward_route, return_route, position = read_usual_routes(data, 1)
        start, stop = usual_bytes_bounds(data, position)
        if data[stop : stop + 3] != _EMPTY_CONTEXT:
            return None
    except IndexError:
        return None
    return TransportMessage(onward_route, return_route, memoryview(data)[start:stop], EMPTY_TRACING_CONTEXT)
