"""How messages lie in a link: what every form of it provides, so that one worker (``NodeLink``) serves all links.

A form is a value made of functions.  Cutting is a machine of its own, ``cut(state, data) -> (state, bodies)``, over
frozen states; ``ockam_ref.links.forms`` names the forms that there are.
"""

from collections.abc import Callable, Iterable, Sequence
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


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which messages lie in a link.

    Attributes:
        name: what plug-ins call it.
        hello: what is sent at once when the link opens, if anything.
        first: the cutting state of a link that has just opened.
        cut: take a read of a stream, or one packet; never raises.
        decode: read one body; raises ``DecodeError``.
        pack: return what each ``SendBytes`` carries for one message; ``MisuseError`` (``TOO_LONG``) when it cannot be
            carried.  The second argument is the largest packet of the link in bytes, where packets are bounded.
        undecodable_ends: whether a body that cannot be read ends the link, or is a recorded drop.
    """

    name: str
    hello: Packet
    first: Any
    cut: Callable[[Any, bytes | memoryview], Cut]
    decode: Callable[[memoryview], TransportMessage]
    pack: Callable[[TransportMessage, int | None], Iterable[Packet]]
    undecodable_ends: bool
