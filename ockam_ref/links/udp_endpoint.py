"""A bound UDP socket, as the worker that routes name (facts 02 sections 1.7 and 4.4, 08 section 2).

Two addresses: *sender* is the hop that routes use, *receiver* is where messages enter the node, held by its flow
control.  Without a fixed peer a route is ``[sender, (UDP, "host:port"), rest...]`` and any source is heard, each by a
worker of its own (``ockam_ref.links.udp_source``); with one it is ``[sender, rest...]`` and only the peer is heard.
"""

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.effects import (
    AddConsumer,
    AddProducer,
    CloseLink,
    Effects,
    Own,
    Report,
    SendDatagrams,
    StartReading,
    StartWorker,
    StopWorker,
    Tell,
)
from ockam_ref.events import (
    ChildSettled,
    ChildWaits,
    DatagramsReceived,
    LinkClosed,
    MessageHanded,
    MessageReceived,
    RecoveryAgreed,
    StopRequested,
    WorkerEvent,
)
from ockam_ref.links.udp_source import UdpSource
from ockam_ref.machine import FlowControlId, Fresh, LinkId, Machine, Mailbox, Needs, Now, Transition, Worker
from ockam_ref.observations import LinkLost, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowConsumers
from ockam_ref.wire.address import UDP, Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH, TransportMessage, transport_message_parts
from ockam_ref.wire.udp_datagram import cut_message

MAX_SOURCES: Final = 1024
"""Sources that one endpoint remembers; for a new one that which has been known for longest is forgotten.

One with which recovery was agreed goes only when there is no other: anybody can pretend to be a thousand new sources.
"""

MAX_TOTAL_WAITING_BYTES: Final = 128 * 1024 * 1024
"""What the unfinished messages of all sources of an endpoint may cost; the source that keeps most is then forgotten.

Up to ``ockam_ref.links.udp_source.UNTOLD_BYTES`` of each source are not counted.
"""


@dataclass(frozen=True, slots=True)
class UdpEndpoint:
    """Configuration: the host's bound socket, the only peer if there is one, flow controls as for any link.

    ``peer`` is ``ip:port`` in the canonical form of the sources of datagrams.  With ``recovery`` the endpoint offers to
    recover lost pieces to whom it sends by such a name; without, it only answers offers.  ``sender`` is the hop's
    address, drawn when absent; a worker that makes an endpoint for itself gives one, and can then stop it at any time.
    """

    link: LinkId
    peer: str | None = None
    flow_control_id: FlowControlId | None = None
    consumer_of: tuple[FlowControlId, ...] = ()
    recovery: bool = False
    sender: Address | None = None


class Source(NamedTuple):
    """A source that has a worker, and what that worker last told about its unfinished messages."""

    child: Address
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An open socket; ``number`` is the routing number of the next message, whoever gets it.

    Messages to the peers of ``carriers`` are handed to these workers.
    """

    link: LinkId
    peer: str | None
    sender: Address
    receiver: Address
    number: int
    sources: tuple[Source, ...] = ()
    recovery: bool = False
    carriers: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: everything is ignored."""


UdpEndpointState: TypeAlias = EndpointState | Ended

TRANSITIONS: Final = (
    Transition("EndpointState", "MessageReceived", "EndpointState", "its datagrams are sent, or a recorded drop"),
    Transition("EndpointState", "DatagramsReceived", "EndpointState", "a worker for the new source, or a drop"),
    Transition(
        "EndpointState", "MessageHanded", "EndpointState", "a message back from a source: its datagrams are sent"
    ),
    Transition("EndpointState", "RecoveryAgreed", "EndpointState", "messages to that source are handed to its worker"),
    Transition("EndpointState", "ChildWaits", "EndpointState", "the source that keeps most may be forgotten"),
    Transition("EndpointState", "ChildSettled", "EndpointState", "that source is forgotten"),
    Transition("EndpointState", "LinkClosed", "Ended", "LinkLost"),
    Transition("EndpointState", "StopRequested", "Ended", "the socket is closed"),
    Transition("Ended", "any", "Ended", "ignored"),
)


def start(config: UdpEndpoint, fresh: Fresh) -> Worker[UdpEndpointState]:
    """Begin to read; the routing numbers begin anywhere."""
    sender, receiver = config.sender or fresh.addresses[0], fresh.addresses[1]
    flow_control_id = config.flow_control_id or fresh.flow_control_ids[0]
    number = int.from_bytes(fresh.secrets[0][:2], "big")
    return Worker(
        (
            Mailbox(sender, ALLOW_ALL, DENY_ALL, terminal=True),
            Mailbox(receiver, DENY_ALL, AllowConsumers(flow_control_id, None)),
        ),
        EndpointState(config.link, config.peer, sender, receiver, number, recovery=config.recovery),
        (
            Own(config.link),
            AddProducer(receiver, flow_control_id, None, (sender,)),
            *(AddConsumer(sender, flow_control) for flow_control in config.consumer_of),
            StartReading(config.link),
        ),
    )


def receive(state: UdpEndpointState, event: WorkerEvent) -> tuple[UdpEndpointState, Effects]:
    """Advance the endpoint by one event; peer input never raises."""
    if isinstance(state, Ended):
        return state, ()
    match event:
        case MessageReceived():
            return _send(state, event.message, event.now)
        case DatagramsReceived():
            return _meet(state, event)
        case MessageHanded(child, chunks):
            return _send_plain(state, child.value.removeprefix(state.receiver.value + b".").decode(), b"".join(chunks))
        case RecoveryAgreed(child, agreed):
            return _note_agreement(state, child, agreed=agreed), ()
        case ChildWaits(child, waiting):
            return _count(state, Source(child, waiting))
        case ChildSettled(child):
            return _without(state, child), ()
        case LinkClosed(_, reason):
            lost = Report(LinkLost(state.sender, state.link, reason))
            return Ended(), (lost, *_stop_sources(state, reason), StopWorker(state.sender, reason))
        case StopRequested(reason):
            return Ended(), (*_stop_sources(state, reason), CloseLink(state.link, reason))
        case _:
            return state, ()


# ---- sending


def _send(state: EndpointState, message: LocalMessage, now: Now) -> tuple[EndpointState, Effects]:
    onward_route = message.onward_route[1:]
    if state.peer is not None:
        target = state.peer
    else:
        if not onward_route or onward_route[0].transport_type != UDP:
            return state, (_refuse(state, "no-udp-hop", "a (UDP, host:port) hop must follow the endpoint", message),)
        found = _target_of(onward_route[0])
        if found is None:
            detail = "the hop is no host and port, or its port is 0"
            return state, (_refuse(state, "invalid-address", detail, message),)
        target, onward_route = found, onward_route[1:]
    chunks = transport_message_parts(
        TransportMessage(onward_route, message.return_route, message.payload, message.tracing_context)
    )
    length = sum(map(len, chunks))
    if length > MAX_MESSAGE_LENGTH:
        detail = f"a message of {length} bytes is too long; {MAX_MESSAGE_LENGTH} is the limit"
        return state, (_refuse(state, "too-long", detail, message),)
    if state.recovery or state.carriers:
        child = _child_of(state, target)
        if child in state.carriers:
            return state, (Tell(child, MessageHanded(child, chunks, now)),)
        if state.recovery and is_canonical(target):
            state, started = _with_source(state, target)
            state = replace(state, carriers=state.carriers | {child})
            return state, (*started, Tell(child, MessageHanded(child, chunks, now)))
    return _send_plain(state, target, b"".join(chunks))


def _send_plain(state: EndpointState, target: str, body: bytes) -> tuple[EndpointState, Effects]:
    sent = SendDatagrams(state.link, target, cut_message(state.number, body))
    return replace(state, number=(state.number + 1) % 0x1_0000), (sent,)


def is_canonical(target: str) -> bool:
    """Whether a target is written as a source is: only then do its datagrams and ours meet in one worker."""
    host, colon, port = target.rpartition(":")
    literal = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ip_address(literal)
    except ValueError:
        return False
    written = f"[{address}]" if address.version == 6 else str(address)
    return f"{written}{colon}{port}" == target and port.isascii() and port.isdigit() and port == str(int(port))


def _target_of(hop: Address) -> str | None:
    """Return the text of a hop that may name a socket: there is a port, and it is not 0; the adapter reads the rest."""
    try:
        target = hop.value.decode()
    except UnicodeDecodeError:
        return None
    return target if target.rpartition(":")[2].strip("+0") else None


def _refuse(state: EndpointState, rule: str, detail: str, message: LocalMessage) -> Report:
    return Report(MessageDropped(rule, detail, state.sender, message.onward_route, message.return_route))


# ---- sources


def _meet(state: EndpointState, event: DatagramsReceived) -> tuple[EndpointState, Effects]:
    """Start a worker for a source that has none, unless there is a fixed peer and it is another one."""
    if state.peer not in {None, event.source}:
        hop = Address(UDP, event.source.encode())
        detail = f"{len(event.datagrams)} datagrams from {event.source}, which is not the peer of this endpoint"
        return state, (Report(MessageDropped("not-the-peer", detail, state.receiver, (), (state.sender, hop))),)
    state, started = _with_source(state, event.source)
    return state, (*started, Tell(_child_of(state, event.source), event))


def _child_of(state: EndpointState, source: str) -> Address:
    return Address(0, b"%s.%s" % (state.receiver.value, source.encode()))


def _with_source(state: EndpointState, source: str) -> tuple[EndpointState, Effects]:
    """Return the state with a worker for the source, and what starts it if there was none."""
    child = _child_of(state, source)
    if any(one.child == child for one in state.sources):
        return state, ()
    way_back: Route = (state.sender,) if state.peer is not None else (state.sender, Address(UDP, source.encode()))
    config = UdpSource(child, state.sender, state.receiver, state.link, source, way_back, state.recovery)
    forgotten: Effects = ()
    if len(state.sources) >= MAX_SOURCES:
        others = (one.child for one in state.sources if one.child not in state.carriers)
        oldest = next(others, state.sources[0].child)
        forgotten, state = (StopWorker(oldest, "newer sources came"),), _without(state, oldest)
    return replace(state, sources=(*state.sources, Source(child))), (*forgotten, StartWorker(config))


def _note_agreement(state: EndpointState, child: Address, *, agreed: bool) -> EndpointState:
    if not any(one.child == child for one in state.sources):
        return state
    if agreed:
        return replace(state, carriers=state.carriers | {child})
    return state if state.recovery else replace(state, carriers=state.carriers - {child})


def _count(state: EndpointState, source: Source) -> tuple[EndpointState, Effects]:
    state = replace(state, sources=tuple(source if one.child == source.child else one for one in state.sources))
    if sum(one.waiting for one in state.sources) <= MAX_TOTAL_WAITING_BYTES:
        return state, ()
    greediest = max(state.sources, key=lambda one: one.waiting).child
    return _without(state, greediest), (StopWorker(greediest, "unfinished messages cost too much"),)


def _without(state: EndpointState, child: Address) -> EndpointState:
    sources = tuple(one for one in state.sources if one.child != child)
    return replace(state, sources=sources, carriers=state.carriers - {child})


def _stop_sources(state: EndpointState, reason: str) -> tuple[StopWorker, ...]:
    return tuple(StopWorker(source.child, reason) for source in state.sources)


MACHINE: Final[Machine[UdpEndpoint, UdpEndpointState]] = Machine(
    "udp endpoint", start, receive, Needs(addresses=2, flow_control_ids=1, secrets=1)
)
