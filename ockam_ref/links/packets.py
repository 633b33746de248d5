"""Messages in packets: each packet is one message in BARE and nothing else (facts 02 section 7).

For links that keep the boundaries of what is sent and lose nothing: WebSocket, whose binary messages these are.
"""

from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.links.form import Cut, Form, Packet
from ockam_ref.wire.bare_transport_message import bare_transport_message_parts, decode_bare_transport_message
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH, TransportMessage


def cut(state: None, packet: bytes | memoryview) -> Cut:
    """Return the packet as the body that it is."""
    return state, [memoryview(packet)]


def pack(message: TransportMessage, mtu: int | None = None) -> tuple[Packet]:
    """Return one packet, its payload uncopied.

    Raises:
        MisuseError: the message is longer than the link's packets, or than a message may be (``TOO_LONG``).
    """
    parts = bare_transport_message_parts(message)
    length = sum(map(len, parts))
    limit = MAX_MESSAGE_LENGTH if mtu is None else min(mtu, MAX_MESSAGE_LENGTH)
    if length > limit:
        raise MisuseError(ErrorCode.TOO_LONG, f"a message of {length} bytes fits no packet; {limit} is the limit")
    return (parts,)


PACKET: Final = Form(
    name="packet",
    hello=(),
    first=None,
    cut=cut,
    decode=decode_bare_transport_message,
    pack=pack,
    undecodable_ends=False,
)
"""One packet, one message; a packet that is no message ends nothing."""
