"""Everything that can happen to a worker: the closed vocabulary of events.

Events are past tense.  Those on the data path are named tuples, because they are built for every message and a named
tuple costs half of a frozen data class; all are values.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from ockam_ref.machine import LinkId, Now
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route

# ---- messages


class MessageReceived(NamedTuple):
    """A message reached the mailbox ``destination``; ``source`` is the mailbox of this node that sent it."""

    destination: Address
    source: Address
    message: LocalMessage
    now: Now


# ---- links: what the host holds to the outside.  Streams and packet links have one other side; datagram endpoints many


class BytesReceived(NamedTuple):
    """Bytes came in, in order; on a link with packets, exactly one packet.

    They belong to the core from now on: the host does not reuse the buffer.
    """

    link: LinkId
    data: bytes | memoryview
    now: Now


class DatagramsReceived(NamedTuple):
    """Datagrams came from one source (``ip:port``) to an endpoint, in this order; others may have been lost."""

    link: LinkId
    source: str
    datagrams: tuple[bytes | memoryview, ...]
    now: Now


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """What ``OpenLink`` asked for is open; reading has not started.

    ``mtu`` is the size in bytes of the largest packet of a link that has packets of bounded size.
    """

    link: LinkId
    now: Now
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """What ``OpenLink`` asked for could not be had; ``reason`` is for people."""

    link: LinkId
    reason: str
    now: Now


@dataclass(frozen=True, slots=True)
class LinkAccepted:
    """A client connected to the listening socket of the worker ``listener``; reading has not started."""

    link: LinkId
    listener: Address
    now: Now
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class MtuChanged:
    """From now on the largest packet of the link has ``mtu`` bytes."""

    link: LinkId
    mtu: int
    now: Now


@dataclass(frozen=True, slots=True)
class LinkFinished:
    """The other side will send no more bytes (end of file); our direction still works."""

    link: LinkId
    now: Now


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """The link is gone in both directions, by a reset, a failed write or the host's decision."""

    link: LinkId
    reason: str
    now: Now


@dataclass(frozen=True, slots=True)
class LinkDrained:
    """All bytes given to the link so far have left this process (answer to ``ReportDrained``)."""

    link: LinkId
    now: Now


# ---- time, neighbours, the store


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The timer of that name, set by this worker, is due."""

    name: str
    now: Now


@dataclass(frozen=True, slots=True)
class AddressGone:
    """The worker behind an address that this worker watches has stopped."""

    address: Address
    now: Now


@dataclass(frozen=True, slots=True)
class PeerCompared:
    """The answer to ``ComparePeer``: whether the presented change history may be believed, else why not."""

    refusal: str | None
    now: Now


@dataclass(frozen=True, slots=True)
class AccessLost:
    """The peer that this worker set a guard for may no longer pass: its credential ended, or the rules changed."""

    reason: str
    now: Now


@dataclass(frozen=True, slots=True)
class AccessChecked:
    """The answer to ``CheckAccess``: the rule that refuses the message, or ``None``; ``about`` is the asker's."""

    refusal: str | None
    about: Any
    now: Now


@dataclass(frozen=True, slots=True)
class PresentationChanged:
    """Our identity has a new key, or a new credential: what is presented to peers from now on.

    ``identity`` is a ``LocalIdentity``.  Without a ``credential`` the one presented so far stays; who presents none
    goes on so.
    """

    identity: Any
    credential: bytes | None
    now: Now


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """A worker that this listener asked for exists: a half-open channel, a portal connection, a relay.

    ``about`` is what the listener wrote into its configuration to know it by, where it did.
    """

    child: Address
    now: Now
    about: Any = None


@dataclass(frozen=True, slots=True)
class HopReady:
    """The worker of a link that this worker asked for is there; ``hop`` is the address that routes use."""

    link: LinkId
    hop: Address
    now: Now


@dataclass(frozen=True, slots=True)
class HopWanted:
    """The host wants the node at that address of another transport to be connected to, before it sends anything."""

    address: Address
    now: Now


@dataclass(frozen=True, slots=True)
class ChildSettled:
    """That worker counts no more against the listener's limit: its channel is open, its connection has ended."""

    child: Address
    now: Now


@dataclass(frozen=True, slots=True)
class ChildWaits:
    """What the worker of one source of datagrams keeps, unfinished messages, costs up to that many bytes."""

    child: Address
    waiting: int
    now: Now


class MessageHanded(NamedTuple):
    """A message for ``child``'s peer, encoded in chunks: a UDP endpoint hands it to the child, which may hand it back.

    What is handed back leaves as plain datagrams.
    """

    child: Address
    chunks: tuple[bytes | bytearray | memoryview, ...]
    now: Now


@dataclass(frozen=True, slots=True)
class RecoveryAgreed:
    """The worker of one source of datagrams carries messages to it itself from now on, or no more."""

    child: Address
    agreed: bool
    now: Now


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The worker stops after this event; what it says now is the last thing it says."""

    reason: str
    now: Now


@dataclass(frozen=True, slots=True)
class RouteChanged:
    """The host gives an inlet another way to its outlet; ``peer`` is the identifier at the far end, if one is known."""

    route: Route
    peer: bytes | None
    now: Now


@dataclass(frozen=True, slots=True)
class PathOffered:
    """The host gives a steady link another path to the other node, without its end, and the longest packet there."""

    route: Route
    packet: int
    now: Now


@dataclass(frozen=True, slots=True)
class PauseChanged:
    """The host pauses or resumes an inlet: while paused, new clients are closed at once."""

    paused: bool
    now: Now


WorkerEvent: TypeAlias = (
    MessageReceived
    | BytesReceived
    | DatagramsReceived
    | LinkOpened
    | LinkFailed
    | LinkAccepted
    | MtuChanged
    | LinkFinished
    | LinkClosed
    | LinkDrained
    | TimerFired
    | AddressGone
    | PeerCompared
    | AccessLost
    | AccessChecked
    | PresentationChanged
    | ChildStarted
    | HopReady
    | HopWanted
    | ChildSettled
    | ChildWaits
    | MessageHanded
    | RecoveryAgreed
    | StopRequested
    | RouteChanged
    | PathOffered
    | PauseChanged
)

LinkEvent: TypeAlias = (
    BytesReceived | DatagramsReceived | LinkOpened | LinkFailed | MtuChanged | LinkFinished | LinkClosed | LinkDrained
)
