"""How messages lie in a link: what every form of it provides, so that one worker (``NodeLink``) serves all links.

A form is a value made of functions.  Cutting is a machine of its own, ``cut(state, data) -> (state, bodies)``, over
frozen states; ``ockam_ref.links.forms`` names the forms that there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from ockam_ref.wire.transport_message import TransportMessage

Chunk: TypeAlias = bytes | bytearray | memoryview
Packet: TypeAlias = tuple[Chunk, ...]


class Fault(NamedTuple):
    """Something in the link that cannot be used and harms nothing: a recorded drop."""

    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The cutting state of a link that must be closed; nothing that comes is looked at any more."""

    reason: str


Cut: TypeAlias = tuple[Any, Sequence[memoryview | Fault]]
"""The next cutting state, and the bodies of messages that became complete."""


@dataclass(frozen=True, slots=True, repr=False)
class Form:
    """One way in which messages lie in a link."""

    name: str
    """What plug-ins call it."""
    hello: Packet
    """What is sent at once when the link opens, if anything."""
    first: Any
    """The cutting state of a link that has just opened."""
    cut: Callable[[Any, bytes | memoryview], Cut]
    """Take a read of a stream, or one packet; never raises."""
    decode: Callable[[memoryview], TransportMessage]
    """Read one body; raises ``DecodeError``."""
    pack: Callable[[TransportMessage, int | None], Sequence[Packet]]
    """Return what each ``SendBytes`` carries for one message; ``MisuseError`` (``TOO_LONG``) if it cannot be carried.

    The second argument is the largest packet of the link in bytes, where packets are bounded.
    """
    undecodable_ends: bool
    """Whether a body that cannot be read ends the link, or is a recorded drop."""

    def __repr__(self) -> str:
        return f"Form({self.name!r})"
