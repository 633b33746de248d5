"""The relay service of a hub: gives a node that connected to us a name others can use (facts 05 6.1, 08 section 4)."""

from dataclasses import dataclass, replace
from typing import Final

from ockam_ref.effects import AddConsumer, Effects, IfTaken, Report, StartWorker
from ockam_ref.errors import DecodeError
from ockam_ref.events import ChildSettled, ChildStarted, MessageReceived, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Transition, Worker
from ockam_ref.observations import MessageDropped
from ockam_ref.relays.relay import Relay
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL
from ockam_ref.wire.address import Address
from ockam_ref.wire.body import decode_body
from ockam_ref.wire.local_message import LocalMessage

REGISTER: Final = "register"
"""The name that asks for a random one."""

MAX_NAME_BYTES: Final = 255
"""Bytes a relay name may have in UTF-8."""

MAX_RELAYS: Final = 4096
"""Relays of one service; a registration beyond that is a recorded drop.  Those of one read of a link may exceed it."""

MAX_FORWARD_ROUTE_BYTES: Final = 4096
"""Bytes of all addresses on the way to an owner, which a relay keeps: more than a hundred hops of the usual length."""


@dataclass(frozen=True, slots=True)
class RelayService:
    """Configuration: where it lives, what stands in front of every name, who may reach it and its relays."""

    address: Address
    aliases: tuple[Address, ...] = ()
    prefix: str = ""
    consumer_of: tuple[FlowControlId, ...] = ()
    relay_consumer_of: tuple[FlowControlId, ...] = ()


@dataclass(frozen=True, slots=True)
class Serving:
    """A service has one state, and counts its relays."""

    config: RelayService
    relays: int = 0


TRANSITIONS: Final = (
    Transition("Serving", "MessageReceived, a name", "Serving", "a relay is started; one of that name is replaced"),
    Transition("Serving", "MessageReceived, anything else", "Serving", "a recorded drop"),
    Transition("Serving", "ChildStarted, ChildSettled", "Serving", "the number of relays"),
)


def start(config: RelayService, _: Fresh) -> Worker[Serving]:
    """Open the mailboxes."""
    addresses = (config.address, *config.aliases)
    consumers = tuple(AddConsumer(address, flow) for address in addresses for flow in config.consumer_of)
    mailboxes = tuple(Mailbox(address, ALLOW_ALL, DENY_ALL) for address in addresses)
    return Worker(mailboxes, Serving(config), consumers)


def receive(state: Serving, event: WorkerEvent) -> tuple[Serving, Effects]:
    """Start a relay for each registration; the relay itself sends the confirmation."""
    match event:
        case MessageReceived(_, source, message):
            return state, (_register(state, source, message),)
        case ChildStarted():
            return replace(state, relays=state.relays + 1), ()
        case ChildSettled():
            return replace(state, relays=state.relays - 1), ()
        case _:
            return state, ()


def is_relay_name(name: str) -> bool:
    """Return whether a relay may have that name: it is not empty, not too long, and has no ``#`` (facts 05 trap 16)."""
    return 0 < len(name.encode(errors="surrogatepass")) <= MAX_NAME_BYTES and "#" not in name


def _register(state: Serving, source: Address, message: LocalMessage) -> StartWorker | Report:
    config, forward_route = state.config, message.return_route
    try:
        name = decode_body(message.payload, str)
    except DecodeError as error:
        return _drop("bad-registration", f"a registration is a BARE string: {error}", source, message)
    if not forward_route:
        return _drop("incomplete-route", "a registration needs a return route", source, message)
    if sum(len(address.value) for address in forward_route) > MAX_FORWARD_ROUTE_BYTES:
        return _drop("route-too-long", f"the way back has more than {MAX_FORWARD_ROUTE_BYTES} bytes", source, message)
    if state.relays >= MAX_RELAYS:
        return _drop("relay-limit", f"there are {MAX_RELAYS} relays already", source, message)
    if name == REGISTER:
        return StartWorker(Relay(config.address, None, config.prefix, forward_route, config.relay_consumer_of))
    if not is_relay_name(name):
        return _drop("bad-name", f"a relay name has 1 to {MAX_NAME_BYTES} bytes and no '#'", source, message)
    address = Address(0, (config.prefix + name).encode())
    relay = Relay(config.address, address, config.prefix, forward_route, config.relay_consumer_of)
    return StartWorker(relay, if_taken=IfTaken.REPLACE)


def _drop(rule: str, detail: str, source: Address, message: LocalMessage) -> Report:
    return Report(MessageDropped(rule, detail, source, message.onward_route, message.return_route))


MACHINE: Final[Machine[RelayService, Serving]] = Machine("relay service", start, receive)
