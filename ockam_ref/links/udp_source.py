"""One source of datagrams at a bound UDP endpoint: its slices become messages (facts 08 section 2.2).

Each source has a worker of its own, which the node gives its datagrams directly, so that what one source sends costs
nothing but its own state.  The worker ends after a time of silence and says so to its endpoint, which also learns how
much the unfinished messages cost.
"""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ockam_ref.effects import Effect, Effects, Forward, Own, Report, SetTimer, StopWorker, Tell
from ockam_ref.errors import DecodeError
from ockam_ref.events import ChildSettled, ChildWaits, DatagramsReceived, StopRequested, TimerFired, WorkerEvent
from ockam_ref.links.form import Fault
from ockam_ref.links.node_link import MAX_ROUTES_LENGTH
from ockam_ref.links.reassembly import MAX_WAITING_BYTES, Reassembly
from ockam_ref.links.reassembly import receive as put_together
from ockam_ref.machine import Fresh, LinkId, Machine, Mailbox, Now, Transition, Worker
from ockam_ref.observations import MessageDropped
from ockam_ref.routing.access_control import DENY_ALL
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route
from ockam_ref.wire.transport_message import decode_transport_message

SOURCE_IDLE_S: Final = 120.0
"""A source that sent nothing for so long is forgotten, with what it left unfinished."""

UNTOLD_BYTES: Final = 64 * 1024
"""Unfinished messages of one source that cost no more than this are not told to the endpoint."""

_IDLE: Final = "idle"


@dataclass(frozen=True, slots=True)
class UdpSource:
    """Configuration: the endpoint's worker and link, and what stands in front of return routes from this source.

    Messages enter the node at ``receiver``, a mailbox of the endpoint.
    """

    address: Address
    endpoint: Address
    receiver: Address
    link: LinkId
    source: str
    way_back: Route


@dataclass(frozen=True, slots=True)
class SourceState:
    """``heard`` is when it last sent anything, ``told`` is what the endpoint thinks that its messages cost."""

    config: UdpSource
    reassembly: Reassembly
    heard: float
    told: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: everything is ignored."""


UdpSourceState: TypeAlias = SourceState | Ended

TRANSITIONS: Final = (
    Transition("SourceState", "DatagramsReceived", "SourceState", "complete messages are forwarded, or recorded drops"),
    Transition("SourceState", "TimerFired", "SourceState", "it was heard since"),
    Transition("SourceState", "TimerFired after silence", "Ended", "the endpoint is told"),
    Transition("SourceState", "StopRequested", "Ended", "the endpoint is told"),
    Transition("Ended", "any", "Ended", "ignored"),
)


def start(config: UdpSource, fresh: Fresh) -> Worker[UdpSourceState]:
    """Take the datagrams of the source from now on; nobody can send to this worker."""
    heard = fresh.now.monotonic
    return Worker(
        (Mailbox(config.address, DENY_ALL, DENY_ALL),),
        SourceState(config, Reassembly(), heard),
        (Own(config.link, config.source), SetTimer(_IDLE, heard + SOURCE_IDLE_S)),
    )


def receive(state: UdpSourceState, event: WorkerEvent) -> tuple[UdpSourceState, Effects]:
    """Advance by one event; what a source sends never raises."""
    if isinstance(state, Ended):
        return state, ()
    match event:
        case DatagramsReceived(_, _, datagrams, now):
            return _receive_datagrams(state, datagrams, now)
        case TimerFired(_, now):
            return _check_idle(state, now)
        case StopRequested(_, now):
            return Ended(), (Tell(state.config.endpoint, ChildSettled(state.config.address, now)),)
        case _:
            return state, ()


def _receive_datagrams(
    state: SourceState, datagrams: tuple[bytes | memoryview, ...], now: Now
) -> tuple[SourceState, Effects]:
    slices = [datagram for datagram in datagrams if datagram and 0x80 <= datagram[0] < 0xA0]
    effects: list[Effect] = []
    if len(slices) < len(datagrams):
        detail = f"{len(datagrams) - len(slices)} datagrams from {state.config.source} are no slices of messages"
        effects.append(_drop(state, "unknown-datagram", detail))
    reassembly, results = put_together(state.reassembly, slices, now.monotonic)
    for result in results:
        effect = _drop(state, *result) if isinstance(result, Fault) else _read_message(state, result)
        if effect is not None:
            effects.append(effect)
    told = state.told
    if reassembly.waiting > max(told, UNTOLD_BYTES):
        told = min(2 * reassembly.waiting, MAX_WAITING_BYTES)
        effects.append(Tell(state.config.endpoint, ChildWaits(state.config.address, told, now)))
    return SourceState(state.config, reassembly, now.monotonic, told), tuple(effects)


def _read_message(state: SourceState, data: bytes) -> Forward | Report | None:
    try:
        onward_route, return_route, payload, tracing_context = decode_transport_message(data)
    except DecodeError as error:
        return _drop(state, "undecodable-message", f"a message from {state.config.source}: {error}")
    if not onward_route:  # it keeps the way through a NAT open
        return None
    if len(data) - len(payload) > MAX_ROUTES_LENGTH:
        return _drop(state, "too-long", f"more than {MAX_ROUTES_LENGTH} bytes beside the payload")
    message = LocalMessage(onward_route, (*state.config.way_back, *return_route), payload, (), tracing_context)
    return Forward(state.config.receiver, message)


def _check_idle(state: SourceState, now: Now) -> tuple[UdpSourceState, Effects]:
    """End after silence; else come back when there could have been enough of it, and tell what is kept by then."""
    config = state.config
    until = state.heard + SOURCE_IDLE_S
    if now.monotonic >= until:
        settled = Tell(config.endpoint, ChildSettled(config.address, now))
        return Ended(), (settled, StopWorker(config.address, f"{config.source} is silent"))
    again = SetTimer(_IDLE, until)
    if not state.told:
        return state, (again,)
    waiting = state.reassembly.waiting if state.reassembly.waiting > UNTOLD_BYTES else 0
    return replace(state, told=waiting), (again, Tell(config.endpoint, ChildWaits(config.address, waiting, now)))


def _drop(state: SourceState, rule: str, detail: str) -> Report:
    return Report(MessageDropped(rule, detail, state.config.receiver, (), state.config.way_back))


MACHINE: Final[Machine[UdpSource, UdpSourceState]] = Machine("udp source", start, receive)
