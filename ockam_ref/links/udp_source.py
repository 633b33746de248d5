"""One source of datagrams at a bound UDP endpoint: its slices become messages (facts 08 section 2.2).

Each source has a worker of its own, which the node gives its datagrams directly, so that what one source sends costs
nothing but its own state.  The worker ends after a time of silence and says so to its endpoint, which also learns how
much the unfinished messages cost.
"""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ockam_ref.effects import (
    Backlog,
    Effect,
    Effects,
    Forward,
    Own,
    Report,
    SendDatagrams,
    SetTimer,
    StopWorker,
    Tell,
)
from ockam_ref.errors import DecodeError
from ockam_ref.events import (
    ChildSettled,
    ChildWaits,
    DatagramsReceived,
    MessageHanded,
    RecoveryAgreed,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.links import recovery_agreement as agreeing
from ockam_ref.links.form import Fault
from ockam_ref.links.node_link import MAX_ROUTES_LENGTH
from ockam_ref.links.reassembly import MAX_WAITING_BYTES, Reassembly
from ockam_ref.links.reassembly import receive as put_together
from ockam_ref.links.recovery import (
    Deliver,
    Due,
    Left,
    MessageGiven,
    PacketsReceived,
    Refused,
    Transmit,
    Waiting,
    WakeAt,
)
from ockam_ref.links.recovery_agreement import (
    Agreed,
    Agreement,
    AgreementEvent,
    AgreementState,
    HeartbeatReceived,
    SendHeartbeat,
    SendPlain,
)
from ockam_ref.links.recovery_packets import is_recovery_packet
from ockam_ref.machine import Fresh, LinkId, Machine, Mailbox, Needs, Now, Transition, Worker
from ockam_ref.observations import MessageDropped
from ockam_ref.routing.access_control import DENY_ALL
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route
from ockam_ref.wire.transport_message import TransportMessage, decode_transport_message, transport_message_parts

SOURCE_IDLE_S: Final = 120.0
"""A source that sent nothing for so long is forgotten, with what it left unfinished."""

UNTOLD_BYTES: Final = 64 * 1024
"""Unfinished messages of one source that cost no more than this are not told to the endpoint."""

_IDLE: Final = "idle"
_RECOVERY: Final = "recovery"


@dataclass(frozen=True, slots=True)
class UdpSource:
    """Configuration: the endpoint's worker and link, and what stands in front of return routes from this source.

    Messages enter the node at ``receiver``, a mailbox of the endpoint.  With ``recovery`` this end offers it.
    """

    address: Address
    endpoint: Address
    receiver: Address
    link: LinkId
    source: str
    way_back: Route
    recovery: bool = False


@dataclass(frozen=True, slots=True)
class SourceState:
    """``agreement`` is what this end and the source know of recovery, and their connection if there is one.

    ``heard`` is when there last was anything from it or to it, ``told`` what the endpoint thinks its messages cost.
    """

    config: UdpSource
    reassembly: Reassembly
    agreement: AgreementState
    heard: float
    told: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: everything is ignored."""


UdpSourceState: TypeAlias = SourceState | Ended

TRANSITIONS: Final = (
    Transition("SourceState", "DatagramsReceived", "SourceState", "complete messages are forwarded, or recorded drops"),
    Transition("SourceState", "MessageHanded", "SourceState", "carried with recovery, or handed back"),
    Transition("SourceState", "TimerFired", "SourceState", "recovery goes on; or it was heard since"),
    Transition("SourceState", "TimerFired after silence", "Ended", "the endpoint is told"),
    Transition("SourceState", "StopRequested", "Ended", "the endpoint is told"),
    Transition("Ended", "any", "Ended", "ignored"),
)


def start(config: UdpSource, fresh: Fresh) -> Worker[UdpSourceState]:
    """Take the datagrams of the source from now on; nobody can send to this worker."""
    heard = fresh.now.monotonic
    return Worker(
        (Mailbox(config.address, DENY_ALL, DENY_ALL),),
        SourceState(config, Reassembly(), agreeing.start(Agreement(fresh.secrets[0], config.recovery)), heard),
        (Own(config.link, config.source), SetTimer(_IDLE, heard + SOURCE_IDLE_S)),
    )


def receive(state: UdpSourceState, event: WorkerEvent) -> tuple[UdpSourceState, Effects]:
    """Advance by one event; what a source sends never raises."""
    if isinstance(state, Ended):
        return state, ()
    match event:
        case DatagramsReceived(_, _, datagrams, now):
            return _receive_datagrams(state, datagrams, now)
        case MessageHanded(_, chunks, now):
            return _advance(replace(state, heard=now.monotonic), MessageGiven(chunks, now.monotonic), now)
        case TimerFired(name, now):
            if name == _RECOVERY:
                return _advance(state, Due(now.monotonic), now)
            return _check_idle(state, now)
        case StopRequested(_, now):
            return Ended(), _leave(state, now)
        case _:
            return state, ()


def _receive_datagrams(
    state: SourceState, datagrams: tuple[bytes | memoryview, ...], now: Now
) -> tuple[SourceState, Effects]:
    slices = [datagram for datagram in datagrams if datagram and 0x80 <= datagram[0] < 0xA0]
    state = replace(state, heard=now.monotonic)
    effects: list[Effect] = []
    if len(slices) < len(datagrams):
        packets = tuple([datagram for datagram in datagrams if is_recovery_packet(datagram)])
        unknown = len(datagrams) - len(slices) - len(packets)
        if unknown:
            detail = f"{unknown} datagrams from {state.config.source} are neither slices of messages nor recovery's"
            effects.append(_drop(state, "unknown-datagram", detail))
        if packets:
            state, recovered = _advance(state, PacketsReceived(packets, now.monotonic), now)
            effects += recovered
        if not slices:
            return state, tuple(effects)
    reassembly, results = put_together(state.reassembly, slices, now.monotonic)
    state = replace(state, reassembly=reassembly)
    for result in results:
        if isinstance(result, Fault):
            effects.append(_drop(state, *result))
        else:
            state, read = _take_message(state, result, now)
            effects += read
    if reassembly.waiting > max(state.told, UNTOLD_BYTES):
        told = min(2 * reassembly.waiting, MAX_WAITING_BYTES)
        state = replace(state, told=told)
        effects.append(Tell(state.config.endpoint, ChildWaits(state.config.address, told, now)))
    return state, tuple(effects)


def _take_message(state: SourceState, data: bytes, now: Now) -> tuple[SourceState, Effects]:
    """Forward a message; one without an onward route may be about recovery, or keeps the way through a NAT open."""
    read = _read_message(state, data)
    if not isinstance(read, TransportMessage):
        return state, (read,)
    if agreeing.is_marked(read.return_route):
        return _advance(state, HeartbeatReceived(read.return_route, now.monotonic), now)
    return state, ()


def _advance(state: SourceState, event: AgreementEvent, now: Now) -> tuple[SourceState, Effects]:
    """Let recovery take an event, and carry out what it says."""
    config = state.config
    agreement, said = agreeing.receive(state.agreement, event)
    effects: list[Effect] = []
    for effect in said:
        match effect:
            case Transmit(packets):
                effects.append(SendDatagrams(config.link, config.source, packets, paced=True))
            case Deliver(messages):
                for message in messages:
                    read = _read_message(state, message)
                    if not isinstance(read, TransportMessage):
                        effects.append(read)
            case WakeAt(at):
                effects.append(SetTimer(_RECOVERY, at))
            case Waiting(waiting):
                effects.append(Backlog(config.address, waiting, config.link))
            case SendPlain(chunks):
                effects.append(Tell(config.endpoint, MessageHanded(config.address, chunks, now)))
            case SendHeartbeat(return_route):
                chunks = transport_message_parts(TransportMessage((), return_route, b""))
                effects.append(Tell(config.endpoint, MessageHanded(config.address, chunks, now)))
            case Agreed(agreed):
                effects.append(Tell(config.endpoint, RecoveryAgreed(config.address, agreed, now)))
            case Refused(rule, detail):
                effects.append(_drop(state, rule, f"{config.source}: {detail}"))
            case _:
                reason, lost = effect
                detail = f"recovery with {config.source} ended, {lost} bytes were not acknowledged: {reason}"
                effects.append(_drop(state, "recovery-failed", detail))
    return replace(state, agreement=agreement), tuple(effects)


def _read_message(state: SourceState, data: bytes | memoryview) -> Forward | Report | TransportMessage:
    """Return what becomes of a message; one without an onward route is returned as it is."""
    try:
        decoded = decode_transport_message(data)
    except DecodeError as error:
        return _drop(state, "undecodable-message", f"a message from {state.config.source}: {error}")
    onward_route, return_route, payload, tracing_context = decoded
    if not onward_route:
        return decoded
    if len(data) - len(payload) > MAX_ROUTES_LENGTH:
        return _drop(state, "too-long", f"more than {MAX_ROUTES_LENGTH} bytes beside the payload")
    message = LocalMessage(onward_route, (*state.config.way_back, *return_route), payload, (), tracing_context)
    return Forward(state.config.receiver, message)


def _check_idle(state: SourceState, now: Now) -> tuple[UdpSourceState, Effects]:
    """End after silence; else come back when there could have been enough of it, and tell what is kept by then."""
    config = state.config
    until = state.heard + SOURCE_IDLE_S
    if now.monotonic >= until:
        return Ended(), (*_leave(state, now), StopWorker(config.address, f"{config.source} is silent"))
    again = SetTimer(_IDLE, until)
    if not state.told:
        return state, (again,)
    waiting = state.reassembly.waiting if state.reassembly.waiting > UNTOLD_BYTES else 0
    return replace(state, told=waiting), (again, Tell(config.endpoint, ChildWaits(config.address, waiting, now)))


def _leave(state: SourceState, now: Now) -> Effects:
    """Return what is said at the end, to the source if there is a connection, and to the endpoint."""
    settled = Tell(state.config.endpoint, ChildSettled(state.config.address, now))
    return (*_advance(state, Left(now.monotonic), now)[1], settled)


def _drop(state: SourceState, rule: str, detail: str) -> Report:
    return Report(MessageDropped(rule, detail, state.config.receiver, (), state.config.way_back))


MACHINE: Final[Machine[UdpSource, UdpSourceState]] = Machine("udp source", start, receive, Needs(secrets=1))
