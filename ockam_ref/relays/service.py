"""The relay service of a hub: gives a node that connected to us a name others can use (facts 05 6.1, 08 section 4)."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from ockam_ref.effects import AddConsumer, CheckAccess, Effects, Forward, IfTaken, Report, StartWorker
from ockam_ref.errors import DecodeError
from ockam_ref.events import AccessChecked, ChildSettled, ChildStarted, MessageReceived, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Now, Transition, Worker
from ockam_ref.observations import MessageDropped
from ockam_ref.policies.policy import Policy
from ockam_ref.policies.resources import Resource
from ockam_ref.relays.names import (
    MAX_NAME_BYTES,
    NO_NAMES,
    HeldNames,
    Holding,
    forget_free,
    hold,
    is_relay_name,
    refuse_claim,
    release,
    reserve,
)
from ockam_ref.relays.refusal import encode_refusal
from ockam_ref.relays.relay import Relay
from ockam_ref.routing.access_control import (
    ALLOW_ALL,
    DENY_ALL,
    AccessControl,
    AllowAttributes,
    AllowByPolicy,
    AnyOf,
    peer_of,
)
from ockam_ref.wire.address import Address
from ockam_ref.wire.body import decode_body
from ockam_ref.wire.local_message import LocalMessage

REGISTER: Final = "register"
"""The name that asks for a random one."""

MAX_RELAYS: Final = 4096
"""Relays of one service; a registration beyond that is a recorded drop.  Those of one read of a link may exceed it."""

MAX_FORWARD_ROUTE_BYTES: Final = 4096
"""Bytes of all addresses on the way to an owner, which a relay keeps: more than a hundred hops of the usual length."""

RELAY_ATTRIBUTE: Final = b"ockam-relay"
"""The attribute that names the relay of its subject; the peer's own name for it."""

ANY_NAME: Final = b"*"
"""Its value for those who may have any name, and the only one with which a random name can be had."""

RELAY_NAME: Final = "relay.name"
"""What policies call the name that somebody asks for, without the service's prefix."""


@dataclass(frozen=True, slots=True)
class RelayService:
    """Configuration: where it lives, what stands in front of every name, who may reach it and its relays.

    A ``policy``, which knows the name as ``relay.name``, decides who may register; ``authority`` is who vouches for the
    attributes that it asks for.  With an ``authority`` alone the attribute ``ockam-relay`` has to be the name, or
    ``*``.  With neither anybody may.
    """

    address: Address
    aliases: tuple[Address, ...] = ()
    prefix: str = ""
    consumer_of: tuple[FlowControlId, ...] = ()
    relay_consumer_of: tuple[FlowControlId, ...] = ()
    policy: Policy | Resource | None = None
    authority: bytes | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """A service has one state: it counts its relays and knows who holds which name."""

    config: RelayService
    relays: int = 0
    names: HeldNames = NO_NAMES


class Registration(NamedTuple):
    """What somebody asks for; ``name`` is ``None`` where it is to be drawn."""

    name: str | None
    source: Address
    message: LocalMessage


TRANSITIONS: Final = (
    Transition("Serving", "MessageReceived, a name", "Serving", "whether its owner may have it is asked"),
    Transition("Serving", "AccessChecked, allowed", "Serving", "a relay is started; one of its owner is replaced"),
    Transition("Serving", "AccessChecked, refused", "Serving", "a recorded drop; who asked for a name is told"),
    Transition("Serving", "MessageReceived, anything else", "Serving", "a recorded drop"),
    Transition("Serving", "ChildStarted, ChildSettled", "Serving", "the number of relays, and who holds their names"),
)


def start(config: RelayService, _: Fresh) -> Worker[Serving]:
    """Open the mailboxes."""
    addresses = (config.address, *config.aliases)
    consumers = tuple(AddConsumer(address, flow) for address in addresses for flow in config.consumer_of)
    aliases = (Mailbox(address, ALLOW_ALL, DENY_ALL) for address in config.aliases)
    return Worker((Mailbox(config.address), *aliases), Serving(config), consumers)


def receive(state: Serving, event: WorkerEvent) -> tuple[Serving, Effects]:
    """Start a relay for each registration; the relay itself sends the confirmation."""
    match event:
        case MessageReceived(_, source, message):
            return state, (_read(state, source, message),)
        case AccessChecked(refusal, Registration() as registration, now):
            if refusal is not None:
                return state, _refuse(state, registration, refusal, "the rules of this hub do not give it to you")
            return _register(state, registration, now)
        case ChildStarted(child, _, Holding() as claim):
            return replace(state, relays=state.relays + 1, names=hold(state.names, child, claim)), ()
        case ChildSettled(child, now):
            names = release(state.names, child, now.monotonic)
            return replace(state, relays=max(0, state.relays - 1), names=names), ()
        case _:
            return state, ()


def _read(state: Serving, source: Address, message: LocalMessage) -> CheckAccess | Report:
    forward_route = message.return_route
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
    if name != REGISTER and not is_relay_name(name):
        detail = f"a relay name has 1 to {MAX_NAME_BYTES} bytes, no '#' and nothing invisible"
        return _drop("bad-name", detail, source, message)
    registration = Registration(None if name == REGISTER else name, source, message)
    return CheckAccess(control_for(state.config, name), message, registration)


def control_for(config: RelayService, name: str) -> AccessControl:
    """Return what has to allow an owner of that name; a random one is asked for as ``register``."""
    if config.policy is not None:
        return AllowByPolicy(config.policy, config.authority, ((RELAY_NAME, name),))
    if config.authority is None:
        return ALLOW_ALL
    values = (ANY_NAME,) if name == REGISTER else (name.encode(), ANY_NAME)
    return AnyOf(tuple(AllowAttributes(config.authority, ((RELAY_ATTRIBUTE, value),)) for value in values))


def _register(state: Serving, registration: Registration, now: Now) -> tuple[Serving, Effects]:
    config, (name, _, message) = state.config, registration
    address = None if name is None else Address(0, (config.prefix + name).encode())
    claim = Holding(peer_of(message), message.return_route[0])
    state = replace(state, names=forget_free(state.names, now.monotonic))
    refused = refuse_claim(state.names, address, claim, now.monotonic)
    if refused is not None:
        return state, _refuse(state, registration, *refused)
    relay = Relay(
        config.address,
        address,
        config.prefix,
        message.return_route,
        config.relay_consumer_of,
        claim,
        control_for(config, REGISTER if name is None else name),
    )
    if address is None:
        return state, (StartWorker(relay),)
    # At once, for the next registration may be of the same read; for good when the relay says that it lives.
    names = reserve(state.names, address, claim, now.monotonic)
    return replace(state, names=names), (StartWorker(relay, if_taken=IfTaken.REPLACE),)


def _refuse(state: Serving, registration: Registration, rule: str, why: str) -> Effects:
    """Record it; who asked for a name of its own is told, in a form that no peer takes for a confirmation."""
    name, source, message = registration
    dropped = _drop(rule, f"{REGISTER if name is None else name}: {why}", source, message)
    if name is None:
        return (dropped,)
    address = state.config.address
    answer = LocalMessage(message.return_route, (address,), encode_refusal(why))
    return dropped, Forward(address, answer)


def _drop(rule: str, detail: str, source: Address, message: LocalMessage) -> Report:
    return Report(MessageDropped(rule, detail, source, message.onward_route, message.return_route))


MACHINE: Final[Machine[RelayService, Serving]] = Machine("relay service", start, receive)
