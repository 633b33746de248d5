"""One TCP connection to another node, as the worker that routes name (facts 01 section 5.5, 02 sections 2.1 to 2.5).

Two addresses: *sender* is the hop that routes use and the place in front of every return route that comes in;
*receiver* is where messages from the peer enter the node, held by its flow control.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

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
    StartReading,
    StopWorker,
    TellBeyond,
    WatchTerminal,
)
from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.events import (
    AddressGone,
    BytesReceived,
    LinkClosed,
    LinkFinished,
    MessageReceived,
    StopRequested,
    WorkerEvent,
)
from ockam_ref.links.framing import AwaitingVersion, Broken, FramingState
from ockam_ref.links.framing import receive as cut_frames
from ockam_ref.machine import FlowControlId, Fresh, LinkId, Machine, Mailbox, Needs, Transition, Worker
from ockam_ref.observations import LinkLost, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowConsumers
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.transport_message import (
    MAX_MESSAGE_LENGTH,
    TransportMessage,
    decode_transport_message,
    encode_transport_message,
    transport_message_parts,
)

MAX_ROUTES_LENGTH: Final = 65_536
"""Bytes of a received message beside its payload: routes and tracing context.  A longer message is a recorded drop.

So is one with more hops than a decoder takes.  Neither ends the connection: every hub makes the way back longer, so a
message that the hub before us could still take may be too long for us, and all who share that hub would pay for it.
"""


@dataclass(frozen=True, slots=True)
class TcpLink:
    """Configuration: the host's link, its flow control (drawn when absent), and what its sender is a consumer of."""

    link: LinkId
    flow_control_id: FlowControlId | None = None
    spawner_id: FlowControlId | None = None
    consumer_of: tuple[FlowControlId, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkState:
    """An open connection; ``next_hop`` is where the last message from it went."""

    link: LinkId
    sender: Address
    receiver: Address
    framing: FramingState
    next_hop: Address | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: everything is ignored."""


TcpLinkState: TypeAlias = LinkState | Ended

TRANSITIONS: Final = (
    Transition("LinkState", "BytesReceived", "LinkState", "the messages in them are forwarded, or recorded drops"),
    Transition("LinkState", "MessageReceived", "LinkState", "one frame is sent, or a recorded drop"),
    Transition("LinkState", "AddressGone", "LinkState", "the peer is told that a hop behind us is gone"),
    Transition("LinkState", "bad framing, bad message, LinkFinished", "Ended", "the link is closed, LinkLost"),
    Transition("LinkState", "LinkClosed", "Ended", "LinkLost"),
    Transition("LinkState", "StopRequested", "Ended", "the link is closed"),
    Transition("Ended", "any", "Ended", "ignored"),
)

_VERSION: Final = (b"\x01",)


def start(config: TcpLink, fresh: Fresh) -> Worker[TcpLinkState]:
    """Send our version byte at once and begin to read."""
    sender, receiver = fresh.addresses
    flow_control_id = config.flow_control_id or fresh.flow_control_ids[0]
    control = AllowConsumers(flow_control_id, config.spawner_id)
    return Worker(
        (Mailbox(sender, ALLOW_ALL, DENY_ALL, terminal=True), Mailbox(receiver, DENY_ALL, control)),
        LinkState(config.link, sender, receiver, AwaitingVersion()),
        (
            Own(config.link),
            AddProducer(receiver, flow_control_id, config.spawner_id, (sender,)),
            *(AddConsumer(sender, flow_control) for flow_control in config.consumer_of),
            SendBytes(config.link, _VERSION),
            StartReading(config.link),
        ),
    )


def receive(state: TcpLinkState, event: WorkerEvent) -> tuple[TcpLinkState, Effects]:
    """Advance the connection by one event; peer input never raises."""
    if isinstance(state, Ended):
        return state, ()
    match event:
        case MessageReceived():
            return state, (_send(state, event.message),)
        case BytesReceived():
            return _receive_bytes(state, event.data)
        case AddressGone(address):
            return state, (_send_notice(state, address),)
        case LinkFinished():
            return _end(state, "the peer closed the connection")
        case LinkClosed(_, reason):
            return _end(state, reason, close=False)
        case StopRequested(reason):
            return Ended(), (CloseLink(state.link, reason),)
        case _:
            return state, ()


def _send(state: LinkState, message: LocalMessage) -> SendBytes | Report:
    head, payload, tail = transport_message_parts(
        TransportMessage(message.onward_route[1:], message.return_route, message.payload, message.tracing_context)
    )
    length = len(head) + len(payload) + len(tail)
    if length > MAX_MESSAGE_LENGTH:
        detail = f"a message of {length} bytes does not fit a frame; {MAX_MESSAGE_LENGTH} is the limit"
        return Report(MessageDropped("too-long", detail, state.sender, message.onward_route, message.return_route))
    return SendBytes(state.link, (length.to_bytes(4, "big") + head, payload, tail))


def _send_notice(state: LinkState, gone: Address) -> SendBytes:
    """Tell the node at the other end that a hop of ours, by which its messages went on, is gone.

    It is a heartbeat with that hop in its return route: every node swallows it, and one of our kind can then tell its
    channels, which would otherwise wait for ever.
    """
    body = encode_transport_message(TransportMessage((), (gone,), b""))
    return SendBytes(state.link, (len(body).to_bytes(4, "big") + body,))


def _receive_bytes(state: LinkState, data: bytes | memoryview) -> tuple[TcpLinkState, Effects]:
    framing, frames = cut_frames(state.framing, data)
    effects: list[Effect] = []
    watches: list[WatchTerminal] = []
    next_hop = state.next_hop
    for frame in frames:
        try:
            effect = _read_message(state, frame)
        except DecodeError as error:
            ended, closing = _end(state, f"the peer sent a message that cannot be read: {error}")
            return ended, (*effects, *closing)
        if effect is None:
            continue
        effects.append(effect)
        if type(effect) is Forward and effect.message.onward_route[0] != next_hop:
            next_hop = effect.message.onward_route[0]
            watches.append(WatchTerminal(next_hop))
    if isinstance(framing, Broken):
        ended, closing = _end(state, framing.reason)
        return ended, (*effects, *closing)
    if framing is not state.framing or next_hop is not state.next_hop:
        state = LinkState(state.link, state.sender, state.receiver, framing, next_hop)
    return state, (*effects, *watches)


def _read_message(state: LinkState, frame: memoryview) -> Forward | TellBeyond | Report | None:
    try:
        onward_route, return_route, payload, tracing_context = decode_transport_message(frame)
    except DecodeError as error:
        if error.code is ErrorCode.TOO_LONG:
            return Report(MessageDropped("route-too-long", str(error), state.receiver, (), ()))
        raise
    if not onward_route:  # a heartbeat, or a notice
        return TellBeyond(state.sender, return_route[0]) if return_route else None
    if len(frame) - len(payload) > MAX_ROUTES_LENGTH:
        detail = f"more than {MAX_ROUTES_LENGTH} bytes beside the payload"
        return Report(MessageDropped("too-long", detail, state.receiver, onward_route, return_route))
    message = LocalMessage(onward_route, (state.sender, *return_route), payload, (), tracing_context)
    return Forward(state.receiver, message)


def _end(state: LinkState, reason: str, *, close: bool = True) -> tuple[Ended, Effects]:
    closing = (CloseLink(state.link, reason),) if close else ()
    lost = Report(LinkLost(state.sender, state.link, reason))
    return Ended(), (*closing, lost, StopWorker(state.sender, reason))


MACHINE: Final[Machine[TcpLink, TcpLinkState]] = Machine(
    "tcp link", start, receive, Needs(addresses=2, flow_control_ids=1)
)
