"""The seam to the application: messages for these mailboxes leave the core as ``Deliver``."""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import AddConsumer, Deliver, Effects
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.events import MessageReceived, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Transition, Worker


@dataclass(frozen=True, slots=True)
class Application:
    """Configuration: the mailboxes of one worker of the host, the primary one first."""

    mailboxes: tuple[Mailbox, ...]
    consumer_of: tuple[FlowControlId, ...] = ()


TRANSITIONS: Final = (Transition("Ready", "MessageReceived", "Ready", "the host delivers it"),)


def start(config: Application, _: Fresh) -> Worker[None]:
    """Open the mailboxes; only the primary address becomes a consumer.

    Raises:
        MisuseError: there are none.
    """
    if not config.mailboxes:
        raise MisuseError(ErrorCode.MISUSE, "an application worker needs a mailbox")
    address = config.mailboxes[0].address
    return Worker(
        config.mailboxes, None, tuple(AddConsumer(address, flow_control) for flow_control in config.consumer_of)
    )


def receive(state: None, event: WorkerEvent) -> tuple[None, Effects]:
    """Hand the message on."""
    match event:
        case MessageReceived(destination, source, message):
            return state, (Deliver(destination, source, message),)
        case _:
            return state, ()


MACHINE: Final[Machine[Application, None]] = Machine("application worker", start, receive)
