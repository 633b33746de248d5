"""One link to another node, as the worker that routes name (facts 01 section 5.5, 02 sections 2.1 to 2.5, 6 to 8).

How messages lie in the link is its form (``ockam_ref.links.form``); all else is the same for every transport.  Two
addresses: *sender* is the hop that routes use and the place in front of every return route that comes in; *receiver*
is where messages from the peer enter the node, held by its flow control.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from ockam_ref.effects import (
    AddConsumer,
    AddProducer,
    CloseLink,
    Effect,
    Effects,
    Forward,
    Own,
    Report,
    SendBytes,
    SetTimer,
    StartReading,
    StopWorker,
    Tell,
    TellBeyond,
    WatchTerminal,
)
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.events import (
    AddressGone,
    BytesReceived,
    HopReady,
    LinkClosed,
    LinkFinished,
    MessageReceived,
    MtuChanged,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.links.form import Broken, Fault, Form
from ockam_ref.links.framing import FRAMED
from ockam_ref.machine import FlowControlId, Fresh, LinkId, Machine, Mailbox, Needs, Now, Transition, Worker
from ockam_ref.observations import LinkLost, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowConsumers
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.transport_message import TransportMessage

MAX_ROUTES_LENGTH: Final = 65_536
"""Bytes of a received message beside its payload: routes and tracing context.  A longer message is a recorded drop.

So is one with more hops than a decoder takes.  Neither ends the connection: every hub makes the way back longer, so a
message that the hub before us could still take may be too long for us, and all who share that hub would pay for it.
"""


@dataclass(frozen=True, slots=True)
class NodeLink:
    """Configuration: the host's link, its flow control (drawn when absent), and what its sender is a consumer of.

    ``mtu`` is the largest packet in bytes where the link has bounded packets.  ``alias`` is a second address of the
    sender, which then stands in return routes instead of the first.  ``asked_by`` is told which hop this is.  With
    ``idle_s`` the link is closed when nothing has passed for that many seconds, or up to twice as many.
    """

    link: LinkId
    form: Form = FRAMED
    flow_control_id: FlowControlId | None = None
    spawner_id: FlowControlId | None = None
    consumer_of: tuple[FlowControlId, ...] = ()
    mtu: int | None = None
    alias: Address | None = None
    asked_by: Address | None = None
    idle_s: float | None = None


@dataclass(frozen=True, slots=True)
class LinkState:
    """An open link; ``next_hop`` is where the last message from it went, ``used`` whether anything passed lately."""

    link: LinkId
    sender: Address
    receiver: Address
    cutting: Any
    next_hop: Address | None = None
    form: Form = FRAMED
    mtu: int | None = None
    alias: Address | None = None
    idle_s: float | None = None
    used: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: everything is ignored."""


NodeLinkState: TypeAlias = LinkState | Ended

TRANSITIONS: Final = (
    Transition("LinkState", "BytesReceived", "LinkState", "the messages in them are forwarded, or recorded drops"),
    Transition("LinkState", "MessageReceived", "LinkState", "one frame is sent, or a recorded drop"),
    Transition("LinkState", "AddressGone", "LinkState", "the peer is told that a hop behind us is gone"),
    Transition("LinkState", "bad framing, bad message, LinkFinished", "Ended", "the link is closed, LinkLost"),
    Transition("LinkState", "LinkClosed", "Ended", "LinkLost"),
    Transition("LinkState", "MtuChanged", "LinkState", "for the packets to come"),
    Transition("LinkState", "TimerFired", "LinkState", "something has passed: the idle timer runs again"),
    Transition("LinkState", "TimerFired", "Ended", "nothing has: the link is closed, LinkLost"),
    Transition("LinkState", "StopRequested", "Ended", "the link is closed"),
    Transition("Ended", "any", "Ended", "ignored"),
)

_IDLE: Final = "idle"


def start(config: NodeLink, fresh: Fresh) -> Worker[NodeLinkState]:
    """Send at once what the form begins with, and begin to read."""
    sender, receiver = fresh.addresses
    flow_control_id = config.flow_control_id or fresh.flow_control_ids[0]
    control = AllowConsumers(flow_control_id, config.spawner_id)
    names = (sender,) if config.alias is None else (sender, config.alias)
    effects: list[Effect] = [Own(config.link), AddProducer(receiver, flow_control_id, config.spawner_id, names)]
    effects += (AddConsumer(sender, flow_control) for flow_control in config.consumer_of)
    if config.form.hello:
        effects.append(SendBytes(config.link, config.form.hello))
    effects.append(StartReading(config.link))
    if config.asked_by is not None:
        effects.append(Tell(config.asked_by, HopReady(config.link, sender, fresh.now)))
    if config.idle_s is not None:
        effects.append(SetTimer(_IDLE, fresh.now.monotonic + config.idle_s))
    state = LinkState(
        config.link,
        sender,
        receiver,
        config.form.first,
        form=config.form,
        mtu=config.mtu,
        alias=config.alias,
        idle_s=config.idle_s,
    )
    senders = tuple(Mailbox(name, ALLOW_ALL, DENY_ALL, terminal=True) for name in names)
    return Worker((*senders, Mailbox(receiver, DENY_ALL, control)), state, tuple(effects))


def receive(state: NodeLinkState, event: WorkerEvent) -> tuple[NodeLinkState, Effects]:
    """Advance the link by one event; peer input never raises."""
    if isinstance(state, Ended):
        return state, ()
    match event:
        case MessageReceived():
            return state if state.used else replace(state, used=True), _send(state, event.message)
        case BytesReceived():
            return _receive_bytes(state, event.data)
        case AddressGone(address):
            return state, _send_notice(state, address)
        case LinkFinished():
            return _end(state, "the peer closed the connection")
        case LinkClosed(_, reason):
            return _end(state, reason, close=False)
        case MtuChanged(_, mtu):
            return replace(state, mtu=mtu), ()
        case TimerFired(_, now):
            return _look_for_use(state, now)
        case StopRequested(reason):
            return Ended(), (CloseLink(state.link, reason),)
        case _:
            return state, ()


def _send(state: LinkState, message: LocalMessage) -> Effects:
    onward_route, return_route, payload, _, tracing_context = message
    try:
        packets = state.form.pack(TransportMessage(onward_route[1:], return_route, payload, tracing_context), state.mtu)
    except MisuseError as error:
        return (Report(MessageDropped("too-long", str(error), state.sender, onward_route, return_route)),)
    link = state.link
    if len(packets) == 1:  # the usual case, and the hot path of bulk
        return (SendBytes(link, packets[0]),)
    return tuple([SendBytes(link, packet) for packet in packets])


def _send_notice(state: LinkState, gone: Address) -> Effects:
    """Tell the node at the other end that a hop of ours, by which its messages went on, is gone.

    It is a heartbeat with that hop in its return route: every node swallows it, and one of our kind can then tell its
    channels, which would otherwise wait for ever.
    """
    return _send(state, LocalMessage((state.sender,), (gone,), b""))


def _receive_bytes(state: LinkState, data: bytes | memoryview) -> tuple[NodeLinkState, Effects]:
    cutting, bodies = state.form.cut(state.cutting, data)
    effects: list[Effect] = []
    watches: list[WatchTerminal] = []
    next_hop = state.next_hop
    for body in bodies:
        if type(body) is Fault:
            effects.append(_drop(state, *body))
            continue
        try:
            effect = _read_message(state, body)  # type: ignore[arg-type]  # what is no fault is a view
        except DecodeError as error:
            ended, closing = _end(state, f"the peer sent a message that cannot be read: {error}")
            return ended, (*effects, *closing)
        if effect is None:
            continue
        effects.append(effect)
        if type(effect) is Forward and effect.message.onward_route[0] != next_hop:
            next_hop = effect.message.onward_route[0]
            watches.append(WatchTerminal(next_hop))
    if isinstance(cutting, Broken):
        ended, closing = _end(state, cutting.reason)
        return ended, (*effects, *closing)
    if cutting is not state.cutting or next_hop is not state.next_hop or not state.used:
        # not ``replace``: this is the hot path of bulk
        state = LinkState(
            state.link,
            state.sender,
            state.receiver,
            cutting,
            next_hop,
            state.form,
            state.mtu,
            state.alias,
            state.idle_s,
        )
    return state, (*effects, *watches)


def _read_message(state: LinkState, body: memoryview) -> Forward | TellBeyond | Report | None:
    try:
        onward_route, return_route, payload, tracing_context = state.form.decode(body)
    except DecodeError as error:
        if error.code is ErrorCode.TOO_LONG:
            return _drop(state, "route-too-long", str(error))
        if state.form.undecodable_ends:
            raise
        return _drop(state, "undecodable", f"the peer sent a message that cannot be read: {error}")
    if not onward_route:  # a heartbeat, or a notice
        return TellBeyond(state.sender, return_route[0]) if return_route else None
    if len(body) - len(payload) > MAX_ROUTES_LENGTH:
        detail = f"more than {MAX_ROUTES_LENGTH} bytes beside the payload"
        return Report(MessageDropped("too-long", detail, state.receiver, onward_route, return_route))
    way_back = (state.alias or state.sender, *return_route)
    return Forward(state.receiver, LocalMessage(onward_route, way_back, payload, (), tracing_context))


def _drop(state: LinkState, rule: str, detail: str) -> Report:
    return Report(MessageDropped(rule, detail, state.receiver, (), ()))


def _look_for_use(state: LinkState, now: Now) -> tuple[NodeLinkState, Effects]:
    if state.idle_s is None:
        return state, ()
    if state.used:
        return replace(state, used=False), (SetTimer(_IDLE, now.monotonic + state.idle_s),)
    return _end(state, f"nothing has passed for {state.idle_s:g} s")


def _end(state: LinkState, reason: str, *, close: bool = True) -> tuple[Ended, Effects]:
    closing = (CloseLink(state.link, reason),) if close else ()
    lost = Report(LinkLost(state.sender, state.link, reason))
    return Ended(), (*closing, lost, StopWorker(state.sender, reason))


MACHINE: Final[Machine[NodeLink, NodeLinkState]] = Machine(
    "node link", start, receive, Needs(addresses=2, flow_control_ids=1)
)
