"""One TCP connection to another node, as the worker that routes name (facts 01 section 5.5, 02 sections 2.1 to 2.5).

Two addresses: *sender* is the hop that routes use and the place in front of every return route that comes in;
*receiver* is where messages from the peer enter the node, held by its flow control.
"""

from dataclasses import dataclass, replace
from typing import Final

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
)
from ockam_ref.errors import DecodeError, PeerError
from ockam_ref.events import BytesReceived, LinkClosed, LinkFinished, MessageReceived, StopRequested, WorkerEvent
from ockam_ref.links.framing import AwaitingVersion, Broken, FramingState
from ockam_ref.links.framing import receive as receive_bytes
from ockam_ref.machine import FlowControlId, Fresh, LinkId, Machine, Mailbox, Needs, Transition, Worker
from ockam_ref.observations import LinkLost, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowConsumers
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.transport_message import (
    MAX_MESSAGE_LENGTH,
    TransportMessage,
    decode_transport_message,
    transport_message_parts,
)


@dataclass(frozen=True, slots=True)
class TcpLink:
    """Configuration: the host's link, its flow control (drawn when absent), and what its sender is a consumer of."""

    link: LinkId
    flow_control_id: FlowControlId | None = None
    spawner_id: FlowControlId | None = None
    consumer_of: tuple[FlowControlId, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkState:
    """An open connection; ``framing`` is ``Broken`` once it has ended."""

    link: LinkId
    sender: Address
    receiver: Address
    framing: FramingState


TRANSITIONS: Final = (
    Transition("AwaitingVersion", "BytesReceived", "AwaitingFrame", "messages are forwarded"),
    Transition("AwaitingFrame", "BytesReceived", "AwaitingFrame", "messages are forwarded"),
    Transition("AwaitingFrame", "MessageReceived", "AwaitingFrame", "one frame is sent"),
    Transition("AwaitingFrame", "bad framing, bad message, LinkFinished, LinkClosed", "Broken", "the worker stops"),
)

_VERSION: Final = (b"\x01",)


def start(config: TcpLink, fresh: Fresh) -> Worker[LinkState]:
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


def receive(state: LinkState, event: WorkerEvent) -> tuple[LinkState, Effects]:
    """Advance the connection by one event; peer input never raises."""
    if isinstance(state.framing, Broken):
        return state, ()
    match event:
        case MessageReceived():
            return _send(state, event.message)
        case BytesReceived():
            return _receive_bytes(state, event.data)
        case LinkFinished():
            return _end(state, "the peer closed the connection", close=True)
        case LinkClosed(_, reason):
            return _end(state, reason, close=False)
        case StopRequested(reason):
            return replace(state, framing=Broken()), (CloseLink(state.link, reason),)
        case _:
            return state, ()


def _send(state: LinkState, message: LocalMessage) -> tuple[LinkState, Effects]:
    head, payload, tail = transport_message_parts(
        TransportMessage(message.onward_route[1:], message.return_route, message.payload, message.tracing_context)
    )
    length = len(head) + len(payload) + len(tail)
    if length > MAX_MESSAGE_LENGTH:
        detail = f"a message of {length} bytes does not fit a frame; {MAX_MESSAGE_LENGTH} is the limit"
        dropped = MessageDropped("too-long", detail, state.sender, message.onward_route, message.return_route)
        return state, (Report(dropped),)
    return state, (SendBytes(state.link, (length.to_bytes(4, "big") + head, payload, tail)),)


def _receive_bytes(state: LinkState, data: bytes | memoryview) -> tuple[LinkState, Effects]:
    try:
        framing, frames = receive_bytes(state.framing, data)
    except PeerError as error:
        return _end(state, str(error), close=True)
    effects: list[Effect] = []
    back = (state.sender,)
    for frame in frames:
        try:
            onward_route, return_route, payload, tracing_context = decode_transport_message(frame)
        except DecodeError as error:
            ended, closing = _end(state, f"the peer sent a message that cannot be read: {error}", close=True)
            return ended, (*effects, *closing)
        if onward_route:  # an empty route is a heartbeat
            message = LocalMessage(onward_route, back + return_route, payload, (), tracing_context)
            effects.append(Forward(state.receiver, message))
    if framing is not state.framing:
        state = LinkState(state.link, state.sender, state.receiver, framing)
    return state, tuple(effects)


def _end(state: LinkState, reason: str, *, close: bool) -> tuple[LinkState, Effects]:
    closing = (CloseLink(state.link, reason),) if close else ()
    lost = Report(LinkLost(state.sender, state.link, reason))
    return replace(state, framing=Broken()), (*closing, lost, StopWorker(state.sender, reason))


MACHINE: Final[Machine[TcpLink, LinkState]] = Machine(
    "tcp link", start, receive, Needs(addresses=2, flow_control_ids=1)
)
