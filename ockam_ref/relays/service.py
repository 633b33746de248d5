"""The relay service of a hub: gives a node that connected to us a name others can use (facts 05 6.1, 08 section 4)."""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import AddConsumer, Effects, IfTaken, Report, StartWorker
from ockam_ref.errors import DecodeError
from ockam_ref.events import MessageReceived, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Transition, Worker
from ockam_ref.observations import MessageDropped
from ockam_ref.relays.relay import Relay
from ockam_ref.wire.address import Address
from ockam_ref.wire.body import decode_body
from ockam_ref.wire.local_message import LocalMessage

REGISTER: Final = "register"
"""The name that asks for a random one."""

MAX_NAME_BYTES: Final = 255
"""Bytes a relay name may have in UTF-8."""


@dataclass(frozen=True, slots=True)
class RelayService:
    """Configuration: where it lives, what stands in front of every name, who may reach it and its relays."""

    address: Address
    aliases: tuple[Address, ...] = ()
    prefix: str = ""
    consumer_of: tuple[FlowControlId, ...] = ()
    relay_consumer_of: tuple[FlowControlId, ...] = ()


TRANSITIONS: Final = (
    Transition("Ready", "MessageReceived, a name", "Ready", "a relay is started; one of that name is replaced"),
    Transition("Ready", "MessageReceived, anything else", "Ready", "a recorded drop"),
)


def start(config: RelayService, _: Fresh) -> Worker[RelayService]:
    """Open the mailboxes; the state is the configuration."""
    addresses = (config.address, *config.aliases)
    consumers = tuple(AddConsumer(address, flow) for address in addresses for flow in config.consumer_of)
    return Worker(tuple(Mailbox(address) for address in addresses), config, consumers)


def receive(state: RelayService, event: WorkerEvent) -> tuple[RelayService, Effects]:
    """Start a relay for each registration; the relay itself sends the confirmation."""
    match event:
        case MessageReceived(_, source, message):
            return state, _register(state, source, message)
        case _:
            return state, ()


def _register(state: RelayService, source: Address, message: LocalMessage) -> Effects:
    try:
        name = decode_body(message.payload, str)
    except DecodeError as error:
        return (_drop("bad-registration", f"a registration is a BARE string: {error}", source, message),)
    if not message.return_route:
        return (_drop("incomplete-route", "a registration needs a return route", source, message),)
    if name == REGISTER:
        return (StartWorker(Relay(None, state.prefix, message.return_route, state.relay_consumer_of)),)
    if not name or "#" in name or len(name.encode()) > MAX_NAME_BYTES:
        return (_drop("bad-name", f"a relay name has 1 to {MAX_NAME_BYTES} bytes and no '#'", source, message),)
    address = Address(0, (state.prefix + name).encode())
    relay = Relay(address, state.prefix, message.return_route, state.relay_consumer_of)
    return (StartWorker(relay, if_taken=IfTaken.REPLACE),)


def _drop(rule: str, detail: str, source: Address, message: LocalMessage) -> Report:
    return Report(MessageDropped(rule, detail, source, message.onward_route, message.return_route))


MACHINE: Final[Machine[RelayService, RelayService]] = Machine("relay service", start, receive)
