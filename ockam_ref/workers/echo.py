"""The service ``echo``: any bytes go back as they came (facts 05 section 7.1)."""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import AddConsumer, Effects, Forward
from ockam_ref.events import MessageReceived, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Transition, Worker
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage


@dataclass(frozen=True, slots=True)
class Echo:
    """Configuration: where the service lives and through which flow controls it may be reached."""

    address: Address
    consumer_of: tuple[FlowControlId, ...] = ()


TRANSITIONS: Final = (Transition("Ready", "MessageReceived", "Ready", "the payload goes to the return route"),)


def start(config: Echo, _: Fresh) -> Worker[Address]:
    """Open the mailbox; the state is the service's own address."""
    consumers = tuple(AddConsumer(config.address, flow_control) for flow_control in config.consumer_of)
    return Worker((Mailbox(config.address),), config.address, consumers)


def receive(state: Address, event: WorkerEvent) -> tuple[Address, Effects]:
    """Answer each message on its return route, from our own address."""
    match event:
        case MessageReceived(_, _, message):
            # a view may belong to a large frame; the answer keeps only what it needs
            answer = LocalMessage(message.return_route, (state,), bytes(message.payload))
            return state, (Forward(state, answer),)
        case _:
            return state, ()


MACHINE: Final[Machine[Echo, Address]] = Machine("echo", start, receive)
