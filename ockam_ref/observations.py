"""What a node tells people: drops with the rule that said no, connections, channels, relays.

Observations are values in ``Report`` effects, so tests assert them and hosts print, count or wait for them.  None
holds a key or a payload.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from ockam_ref.machine import LinkId
from ockam_ref.routing.explanation import Explanation
from ockam_ref.wire.address import Address
from ockam_ref.wire.route import Route

MAX_SHOWN_HOPS: Final = 16
"""Hops of a route that a recorded drop keeps."""

MAX_SHOWN_VALUE_BYTES: Final = 64
"""Bytes of each address in them."""

MAX_SHOWN_CHARACTERS: Final = 256
"""Characters of its sentence."""


@dataclass(frozen=True, slots=True)
class MessageDropped:
    """A message went no further; ``rule`` names what refused it, ``detail`` says it in a sentence."""

    rule: str
    detail: str
    source: Address
    onward_route: Route
    return_route: Route

    def shortened(self) -> "MessageDropped":
        """Return what may be kept: a stranger's routes can be as long as a message."""
        return MessageDropped(
            self.rule,
            self.detail[:MAX_SHOWN_CHARACTERS],
            _shorten((self.source,))[0],
            _shorten(self.onward_route[:MAX_SHOWN_HOPS]),
            _shorten(self.return_route[:MAX_SHOWN_HOPS]),
        )


def _shorten(route: Route) -> Route:
    if all(len(value) <= MAX_SHOWN_VALUE_BYTES for _, value in route):
        return route
    return tuple(Address(kind, value[:MAX_SHOWN_VALUE_BYTES]) for kind, value in route)


@dataclass(frozen=True, slots=True)
class HopExplained:
    """Why a message may go from one worker of this node to another, or may not: what was asked and what it answered.

    ``outgoing`` is the control of the address that sent it, ``incoming`` that of the address that gets it; the second
    is not asked when the first refuses.  Reported while ``Node.explaining`` is set.
    """

    source: Address
    destination: Address
    onward_route: Route
    return_route: Route
    outgoing: Explanation
    incoming: Explanation | None

    @property
    def allowed(self) -> bool:
        """Whether the message goes on."""
        return self.incoming is not None and self.incoming.allowed


@dataclass(frozen=True, slots=True)
class PeerLearned:
    """A peer proved an identity that was not known, or a newer history of one; the host may keep it."""

    identifier: bytes
    history: bytes


@dataclass(frozen=True, slots=True)
class CredentialAccepted:
    """An authority vouches for attributes of a peer, until ``expires_at`` (seconds since 1970)."""

    subject: bytes
    authority: bytes
    expires_at: int


@dataclass(frozen=True, slots=True)
class CredentialRefused:
    """A credential, or a newer history that came with one, does not count; the channel goes on."""

    subject: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The connection behind the worker ``worker`` has ended."""

    worker: Address
    link: LinkId
    reason: str


@dataclass(frozen=True, slots=True)
class HopReached:
    """The node at the typed hop ``worker`` is connected; ``hop`` is the address of the link to it."""

    worker: Address
    hop: Address


@dataclass(frozen=True, slots=True)
class HopUnreachable:
    """The typed hop ``worker`` could not be connected to."""

    worker: Address
    reason: str


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """A handshake is complete; ``peer`` is the verified identifier, ``encryptor`` the address to send through."""

    worker: Address
    encryptor: Address
    peer: bytes
    initiator: bool


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """A channel did not come to be; nothing of this is told to the peer."""

    worker: Address
    reason: str
    initiator: bool


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """An open channel has ended."""

    worker: Address
    encryptor: Address
    reason: str


@dataclass(frozen=True, slots=True)
class ConnectionOpened:
    """A portal connection carries bytes from now on; ``portal`` is the inlet or outlet it belongs to."""

    worker: Address
    portal: Address
    side: str


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """A portal connection has ended; ``sent`` and ``received`` count bytes of the local socket's other end.

    ``opened`` tells whether it ever carried bytes; ``answered`` whether the other end ever said anything, which lets
    a host tell a dead way from a refusal.
    """

    worker: Address
    portal: Address
    side: str
    reason: str
    sent: int
    received: int
    opened: bool
    answered: bool


@dataclass(frozen=True, slots=True)
class RelayRegistered:
    """A hub made (or replaced) the relay of that name."""

    worker: Address
    name: str


@dataclass(frozen=True, slots=True)
class RelayRemoved:
    """A hub's relay is gone, for instance because the link of its owner died."""

    worker: Address
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RelayReady:
    """The hub confirmed our registration; others reach us under ``remote_address`` on the hub."""

    worker: Address
    remote_address: Address
    forwarding_route: Route


@dataclass(frozen=True, slots=True)
class RelayFailed:
    """The hub did not confirm our registration."""

    worker: Address
    reason: str


@dataclass(frozen=True, slots=True)
class PunctureNegotiated:
    """Both ends of a puncture know each other's socket; ``worker`` is the hop, ``peer`` the other's public address."""

    worker: Address
    peer: str


@dataclass(frozen=True, slots=True)
class PunctureOpened:
    """The other end of a puncture has answered: messages go through."""

    worker: Address
    peer: str


@dataclass(frozen=True, slots=True)
class PunctureSilent:
    """The other end of an open puncture has not answered for a while; ``PunctureOpened`` comes when it does again."""

    worker: Address
    peer: str


@dataclass(frozen=True, slots=True)
class PunctureClosed:
    """A puncture has ended, or did not come to be."""

    worker: Address
    reason: str


@dataclass(frozen=True, slots=True)
class SteadyLinkMoved:
    """A steady link goes along ``path`` from now on; epoch 0 is its first, with which it is open."""

    worker: Address
    epoch: int
    path: Route


@dataclass(frozen=True, slots=True)
class SteadyLinkClosed:
    """A steady link has ended, or did not come to be."""

    worker: Address
    reason: str


OfNode: TypeAlias = MessageDropped | HopExplained | PeerLearned | CredentialAccepted | CredentialRefused
"""What is told of the node, or of a peer, and of no single worker."""

Observation: TypeAlias = (
    OfNode
    | LinkLost
    | HopReached
    | HopUnreachable
    | ChannelOpened
    | HandshakeFailed
    | ChannelClosed
    | ConnectionOpened
    | ConnectionClosed
    | RelayRegistered
    | RelayRemoved
    | RelayReady
    | RelayFailed
    | PunctureNegotiated
    | PunctureOpened
    | PunctureSilent
    | PunctureClosed
    | SteadyLinkMoved
    | SteadyLinkClosed
)
