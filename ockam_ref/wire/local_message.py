"""The message inside a node (facts 01 section 4.1), and what the node knows about its origin (4.2)."""

from functools import lru_cache
from typing import Final, NamedTuple

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.address import Address
from ockam_ref.wire.cbor import encode_bytes, read_bytes
from ockam_ref.wire.cursor import Cursor
from ockam_ref.wire.route import Route

SECURE_CHANNEL_IDENTIFIER: Final = "SECURE_CHANNEL_IDENTIFIER"
"""The type of the local info that a secure channel's decryptor adds (facts 08 section 6)."""
IDENTIFIER_LENGTH: Final = 32


_MEMO_ENTRIES: Final = 1024
"""Every message of a channel carries the same local info, and each worker asks it who the peer is."""


class LocalInfo(NamedTuple):
    """Trusted metadata that workers of this node add; it has no form on any wire."""

    type_identifier: str
    data: bytes


class LocalMessage(NamedTuple):
    """A message on its way through a node; every edit returns a new message and shares the payload.

    ``payload`` may be a view of a received buffer.  A named tuple because several are made per packet.
    """

    onward_route: Route
    return_route: Route
    payload: bytes | memoryview
    local_info: tuple[LocalInfo, ...] = ()
    tracing_context: str | None = None

    def pop_front_onward_route(self) -> "LocalMessage":
        """Drop the next hop; ``MisuseError`` (``INCOMPLETE_ROUTE``) when there is none."""
        onward_route, return_route, payload, local_info, tracing_context = self
        if not onward_route:
            raise _incomplete()
        return LocalMessage(onward_route[1:], return_route, payload, local_info, tracing_context)

    def push_front_onward_route(self, address: Address) -> "LocalMessage":
        """Put a hop before all others."""
        return self.prepend_front_onward_route((address,))

    def prepend_front_onward_route(self, route: Route) -> "LocalMessage":
        """Put the hops of a route, in its order, before all others."""
        onward_route, return_route, payload, local_info, tracing_context = self
        return LocalMessage(route + onward_route, return_route, payload, local_info, tracing_context)

    def replace_front_onward_route(self, address: Address) -> "LocalMessage":
        """Put another hop in the place of the next; ``MisuseError`` (``INCOMPLETE_ROUTE``) when there is none."""
        onward_route, return_route, payload, local_info, tracing_context = self
        if not onward_route:
            raise _incomplete()
        return LocalMessage((address, *onward_route[1:]), return_route, payload, local_info, tracing_context)

    def push_front_return_route(self, address: Address) -> "LocalMessage":
        """Put a hop before the way back."""
        return self.prepend_front_return_route((address,))

    def prepend_front_return_route(self, route: Route) -> "LocalMessage":
        """Put the hops of a route, in its order, before the way back."""
        onward_route, return_route, payload, local_info, tracing_context = self
        return LocalMessage(onward_route, route + return_route, payload, local_info, tracing_context)

    def step_forward(self, address: Address) -> "LocalMessage":
        """Drop the next hop and put ``address`` before the way back, as a hop does.

        Raises:
            MisuseError: there is no next hop (``INCOMPLETE_ROUTE``).
        """
        onward_route, return_route, payload, local_info, tracing_context = self
        if not onward_route:
            raise _incomplete()
        return LocalMessage(onward_route[1:], (address, *return_route), payload, local_info, tracing_context)

    def with_payload(self, payload: bytes | memoryview) -> "LocalMessage":
        """Return the message with another payload."""
        return LocalMessage(self.onward_route, self.return_route, payload, self.local_info, self.tracing_context)


def _incomplete() -> MisuseError:
    return MisuseError(ErrorCode.INCOMPLETE_ROUTE, "the onward route is empty")


def channel_local_info(identifier: bytes) -> LocalInfo:
    """Return what a decryptor adds: the peer's identifier (32 bytes) as a CBOR byte string.

    Raises:
        MisuseError: the identifier has another length.
    """
    if len(identifier) != IDENTIFIER_LENGTH:
        raise MisuseError(ErrorCode.BAD_IDENTIFIER, f"an identifier has 32 bytes, not {len(identifier)}")
    return LocalInfo(SECURE_CHANNEL_IDENTIFIER, encode_bytes(identifier))


@lru_cache(_MEMO_ENTRIES)
def find_channel_identifier(local_info: tuple[LocalInfo, ...]) -> bytes | None:
    """Return the peer's identifier from the first entry of a secure channel, or ``None`` without one.

    Raises:
        DecodeError: the entry does not hold an identifier.
    """
    for type_identifier, data in local_info:
        if type_identifier == SECURE_CHANNEL_IDENTIFIER:
            cursor = Cursor(data)
            identifier = read_bytes(cursor)
            cursor.end()
            if len(identifier) != IDENTIFIER_LENGTH:
                raise DecodeError(ErrorCode.BAD_IDENTIFIER, f"an identifier has 32 bytes, not {len(identifier)}")
            return identifier
    return None
