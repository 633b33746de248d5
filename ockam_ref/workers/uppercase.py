"""The service ``uppercase``: a BARE string goes back in upper case (facts 05 section 7.1)."""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import AddConsumer, Effects, Forward, Report
from ockam_ref.errors import DecodeError
from ockam_ref.events import MessageReceived, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Transition, Worker
from ockam_ref.observations import MessageDropped
from ockam_ref.wire.address import Address
from ockam_ref.wire.body import decode_body, encode_body
from ockam_ref.wire.local_message import LocalMessage


@dataclass(frozen=True, slots=True)
class Uppercase:
    """Configuration: where the service lives and through which flow controls it may be reached."""

    address: Address
    consumer_of: tuple[FlowControlId, ...] = ()


TRANSITIONS: Final = (Transition("Ready", "MessageReceived", "Ready", "the text goes back in upper case"),)


def start(config: Uppercase, _: Fresh) -> Worker[Address]:
    """Open the mailbox; the state is the service's own address."""
    consumers = tuple(AddConsumer(config.address, flow_control) for flow_control in config.consumer_of)
    return Worker((Mailbox(config.address),), config.address, consumers)


def receive(state: Address, event: WorkerEvent) -> tuple[Address, Effects]:
    """Answer each text; what is no BARE string is a recorded drop, as the peer only logs it."""
    match event:
        case MessageReceived(_, source, message):
            try:
                text = decode_body(message.payload, str)
            except DecodeError as error:
                detail = f"uppercase takes a BARE string: {error}"
                dropped = MessageDropped("bad-body", detail, source, message.onward_route, message.return_route)
                return state, (Report(dropped),)
            answer = LocalMessage(message.return_route, (state,), encode_body(text.upper()))
            return state, (Forward(state, answer),)
        case _:
            return state, ()


MACHINE: Final[Machine[Uppercase, Address]] = Machine("uppercase", start, receive)
