"""Everything a worker can ask for: the closed vocabulary of effects.

Effects are imperative.  The node carries out the first group itself; it hands the second to the host.  As with
events, those of the data path are named tuples because they are built for every message.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from ockam_ref.events import WorkerEvent
from ockam_ref.machine import FlowControlId, LinkId
from ockam_ref.observations import Observation
from ockam_ref.routing.access_control import AccessControl
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage

# ---- carried out by the node


class Forward(NamedTuple):
    """Route the message from the mailbox ``source``; both access controls and the flow controls apply."""

    source: Address
    message: LocalMessage


class IfTaken(Enum):
    """What to do when ``config.address`` of a ``StartWorker`` already belongs to a worker of the same kind.

    A worker of another kind always keeps its address, and the start is a recorded drop.
    """

    DROP = "drop"
    REPLACE = "replace"
    REUSE = "reuse"


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start the worker that ``config`` describes and hand it ``first_message``, if there is one.

    With ``IfTaken.REPLACE`` the worker that has the address is stopped first; with ``IfTaken.REUSE`` it gets the
    message instead of a new one.
    """

    config: Any
    first_message: LocalMessage | None = None
    if_taken: IfTaken = IfTaken.DROP


@dataclass(frozen=True, slots=True)
class StopWorker:
    """Stop the worker that has this address.

    A worker that stops itself is told nothing more, and what it asks for after this is not done.
    """

    address: Address
    reason: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Give the event to the worker behind the address, if it is still there."""

    address: Address
    event: WorkerEvent


@dataclass(frozen=True, slots=True)
class AddConsumer:
    """Let producers of that flow control (or of that spawner) reach the address (facts 06 section 4)."""

    address: Address
    flow_control_id: FlowControlId


@dataclass(frozen=True, slots=True)
class AddProducer:
    """Register the address that injects messages from outside, and the addresses under which routes know it."""

    address: Address
    flow_control_id: FlowControlId
    spawner_id: FlowControlId | None
    additional: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class AddSpawner:
    """Register the address as one that makes producers."""

    address: Address
    flow_control_id: FlowControlId


@dataclass(frozen=True, slots=True)
class AddConsumerOfProducer:
    """If ``producer`` belongs to a flow control, let that flow control reach ``address``.

    With ``exact``, only the producer's own address counts, not its additional ones.
    """

    address: Address
    producer: Address
    exact: bool = False


@dataclass(frozen=True, slots=True)
class JoinProducer:
    """If ``producer`` belongs to a flow control, make ``address`` a producer of it too; see ``AllowAsProducer``."""

    address: Address
    producer: Address


@dataclass(frozen=True, slots=True)
class CopyConsumers:
    """Make ``target`` a consumer of every flow control of which ``source`` is one at this moment."""

    source: Address
    target: Address


@dataclass(frozen=True, slots=True)
class Own:
    """Events of this link go to me; with a ``source``, the datagrams that come from it do."""

    link: LinkId
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """Tell me (``AddressGone``) when the worker behind this address stops, at once if there is none.

    With ``beyond``, tell me too when the node at the other end of that link says that its own address ``beyond`` is
    gone; a worker has one such place at a time, and a later one replaces it.
    """

    address: Address
    beyond: Address | None = None


@dataclass(frozen=True, slots=True)
class WatchTerminal:
    """As ``Watch``, but only if hops behind the address belong to another node."""

    address: Address


@dataclass(frozen=True, slots=True)
class TellBeyond:
    """The node at the other end of my address ``hop`` says that its own address ``beyond`` is gone."""

    hop: Address
    beyond: Address


@dataclass(frozen=True, slots=True)
class NamePeer:
    """Messages sent through this address of mine reach the node with that verified identifier."""

    address: Address
    identifier: bytes


@dataclass(frozen=True, slots=True)
class ComparePeer:
    """Compare a verified identity with what is known of it, keep the newer; answered by ``PeerCompared``.

    If it may be believed, what the ``authority`` vouches for in one of its ``credentials``, each the CBOR item as
    received, is kept; a bad credential is put on record and changes nothing else.
    """

    identity: Any
    credentials: tuple[bytes, ...] = ()
    authority: bytes | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """Tell me (``AccessLost``) as soon as the control would refuse messages of that peer; answered at once if it does.

    A worker has one guard at a time, and a later one replaces it.
    """

    control: AccessControl
    peer: bytes | None


@dataclass(frozen=True, slots=True)
class CheckAccess:
    """Ask the control about a message; answered by ``AccessChecked``, with ``about`` as it is here."""

    control: AccessControl
    message: LocalMessage
    about: Any


@dataclass(frozen=True, slots=True)
class Follow:
    """Give me what the worker behind ``leader`` tells its followers."""

    leader: Address


@dataclass(frozen=True, slots=True)
class TellFollowers:
    """Give the event to every worker that follows me."""

    event: WorkerEvent


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Send ``TimerFired(name)`` to me at the monotonic time ``at``, in seconds; replaces one of the same name."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget the timer of that name, if it is set."""

    name: str


# ---- carried out by the host


class SendBytes(NamedTuple):
    """Write the chunks to the link, in order: as one write where it can be, as one packet where there are packets."""

    link: LinkId
    chunks: tuple[bytes | bytearray | memoryview, ...]


class SendDatagrams(NamedTuple):
    """Send the datagrams from an endpoint to one target, in order; each may be lost.

    ``paced`` says that the core has seen to it that the path takes so many at once; else the adapter makes pauses in
    what would be too much for a receiver.
    """

    link: LinkId
    target: str
    datagrams: tuple[bytes | memoryview, ...]
    paced: bool = False


@dataclass(frozen=True, slots=True)
class OpenLink:
    """Open a link to ``target``, an address as that transport writes it; answered by ``LinkOpened`` or ``LinkFailed``.

    ``transport`` is the name of an installed transport.
    """

    link: LinkId
    target: str
    transport: str = "tcp"


@dataclass(frozen=True, slots=True)
class BindEndpoint:
    """Bind a datagram endpoint to ``address``; answered by ``LinkOpened`` or ``LinkFailed``."""

    link: LinkId
    address: str
    transport: str = "udp"


@dataclass(frozen=True, slots=True)
class StartReading:
    """Begin (or go on) to read from the link; a link is never read before this."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class StopReading:
    """Read nothing from the link until ``StartReading``."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class FinishSending:
    """Tell the other side that no more bytes come, after those given so far; reading goes on."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class ReportDrained:
    """Answer with ``LinkDrained`` once all bytes given to the link so far have left this process."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Close the link in both directions, after the bytes given so far; no event follows.

    ``broken`` says that bytes of the stream may be missing: the other side must see a reset and no orderly end, even
    if that costs it bytes that it has not read yet.
    """

    link: LinkId
    reason: str
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Backlog:
    """So many bytes wait in the core for this sink; the host holds back what fills it, as it does for its own buffers.

    The sink is a link, or the address of the worker that keeps the bytes.  ``through`` is a link that is read on
    nevertheless, because what comes by it, acknowledgements, is what lets the bytes go.
    """

    sink: LinkId | Address
    waiting: int
    through: LinkId | None = None


@dataclass(frozen=True, slots=True)
class ArmTimer:
    """Tell the worker ``TimerFired(name)`` at the monotonic time ``at``, in seconds; replaces one of the same name."""

    worker: Address
    name: str
    at: float


@dataclass(frozen=True, slots=True)
class DisarmTimer:
    """Forget that timer."""

    worker: Address
    name: str


class Deliver(NamedTuple):
    """Hand the message to the application worker of the host at ``destination``."""

    destination: Address
    source: Address
    message: LocalMessage


@dataclass(frozen=True, slots=True)
class Report:
    """Tell people and waiting callers; never needed for the protocol to go on."""

    observation: Observation


NodeEffect: TypeAlias = (
    Forward
    | StartWorker
    | StopWorker
    | Tell
    | AddConsumer
    | AddProducer
    | AddSpawner
    | AddConsumerOfProducer
    | JoinProducer
    | CopyConsumers
    | Own
    | Watch
    | WatchTerminal
    | TellBeyond
    | NamePeer
    | ComparePeer
    | Guard
    | CheckAccess
    | Follow
    | TellFollowers
    | SetTimer
    | CancelTimer
)
HostEffect: TypeAlias = (
    SendBytes
    | SendDatagrams
    | OpenLink
    | BindEndpoint
    | StartReading
    | StopReading
    | FinishSending
    | ReportDrained
    | CloseLink
    | Backlog
    | ArmTimer
    | DisarmTimer
    | Deliver
    | Report
)
Effect: TypeAlias = NodeEffect | HostEffect
Effects: TypeAlias = tuple[Effect, ...]
HostEffects: TypeAlias = list[HostEffect]
