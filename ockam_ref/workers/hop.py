"""The worker ``hop``: passes messages on and puts itself into the way back (facts 01 section 5.4)."""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import AddConsumer, Effects, Forward
from ockam_ref.events import MessageReceived, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Transition, Worker
from ockam_ref.wire.address import Address


@dataclass(frozen=True, slots=True)
class Hop:
    """Configuration: where the worker lives and through which flow controls it may be reached."""

    address: Address
    consumer_of: tuple[FlowControlId, ...] = ()


TRANSITIONS: Final = (Transition("Ready", "MessageReceived", "Ready", "one step forward"),)


def start(config: Hop, _: Fresh) -> Worker[Address]:
    """Open the mailbox; the state is the worker's own address."""
    consumers = tuple(AddConsumer(config.address, flow_control) for flow_control in config.consumer_of)
    return Worker((Mailbox(config.address),), config.address, consumers)


def receive(state: Address, event: WorkerEvent) -> tuple[Address, Effects]:
    """Take our address off the onward route and put it in front of the return route."""
    match event:
        case MessageReceived(_, _, message):
            return state, (Forward(state, message.step_forward(state)),)
        case _:
            return state, ()


MACHINE: Final[Machine[Hop, Address]] = Machine("hop", start, receive)
