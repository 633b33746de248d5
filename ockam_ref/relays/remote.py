"""The client of a relay service: makes this node reachable under a name on a hub (facts 05 section 6.2)."""

from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from ockam_ref.effects import (
    AddConsumerOfProducer,
    CancelTimer,
    Effects,
    Forward,
    JoinProducer,
    Report,
    SetTimer,
    StopWorker,
    Watch,
)
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.events import AddressGone, MessageReceived, StopRequested, TimerFired, WorkerEvent
from ockam_ref.machine import Fresh, Machine, Mailbox, Needs, Transition, Worker
from ockam_ref.observations import MessageDropped, RelayFailed, RelayReady
from ockam_ref.relays.names import is_relay_name
from ockam_ref.relays.refusal import read_refusal
from ockam_ref.relays.service import REGISTER
from ockam_ref.routing.access_control import DENY_ALL, AllowAsProducer
from ockam_ref.wire.address import Address
from ockam_ref.wire.body import decode_body, encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route

CONFIRMATION_TIMEOUT_S: Final = 30.0
"""How long a registration waits for the hub unless told otherwise; the peer's own default."""


@dataclass(frozen=True, slots=True)
class RemoteRelay:
    """Configuration: the route to the service, the name asked for (``None``: a random one).

    If the route's first hop belongs to a flow control, what comes through the hub may reach its consumers only.
    """

    route: Route
    name: str | None = None
    timeout_s: float = CONFIRMATION_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Registering:
    """The registration is sent."""

    remote: Address
    internal: Address
    name: str | None
    hop: Address


@dataclass(frozen=True, slots=True)
class Registered:
    """The hub confirmed it."""

    remote: Address
    internal: Address
    hop: Address


@dataclass(frozen=True, slots=True)
class Gone:
    """Terminal: everything is ignored."""


RemoteRelayState: TypeAlias = Registering | Registered | Gone

TRANSITIONS: Final = (
    Transition("Registering", "confirmation", "Registered", "RelayReady"),
    Transition("Registering", "confirmation of another name", "Registering", "a recorded drop"),
    Transition("Registering", "refusal", "Gone", "RelayFailed, with the hub's reason"),
    Transition("Registering", "message with hops to go", "Registering", "passed on"),
    Transition("Registering", "TimerFired, AddressGone, StopRequested", "Gone", "RelayFailed"),
    Transition("Registered", "message with hops to go", "Registered", "passed on"),
    Transition("Registered", "another confirmation, TimerFired", "Registered", "ignored"),
    Transition("Registered", "AddressGone", "Gone", "RelayFailed: the link to the hub is gone"),
    Transition("Registered", "StopRequested", "Gone"),
    Transition("Gone", "any", "Gone", "ignored"),
)


def start(config: RemoteRelay, fresh: Fresh) -> Worker[RemoteRelayState]:
    """Send the registration.

    Raises:
        MisuseError: the route is empty, or no relay can have that name: a hub would be silent, or worse.
    """
    name = config.name
    if not config.route:
        raise MisuseError(ErrorCode.INCOMPLETE_ROUTE, "the route to the relay service is empty")
    if name is not None and (name == REGISTER or not is_relay_name(name)):
        raise MisuseError(ErrorCode.BAD_NAME, f"{name!r} cannot be the name of a relay")
    remote, internal = fresh.addresses
    hop = config.route[0]
    request = encode_body(REGISTER if name is None else name)
    return Worker(
        (Mailbox(remote), Mailbox(internal, DENY_ALL, AllowAsProducer())),
        Registering(remote, internal, name, hop),
        (
            AddConsumerOfProducer(remote, hop),
            JoinProducer(internal, hop),
            SetTimer("confirmation", fresh.now.monotonic + config.timeout_s),
            Watch(hop),
            Forward(remote, LocalMessage(config.route, (remote,), request)),
        ),
    )


def receive(state: RemoteRelayState, event: WorkerEvent) -> tuple[RemoteRelayState, Effects]:
    """Advance the registration by one event; peer input never raises."""
    match state:
        case Registering() | Registered():
            return _receive(state, event)
        case Gone():
            return state, ()
        case _:
            assert_never(state)


def _receive(state: Registering | Registered, event: WorkerEvent) -> tuple[RemoteRelayState, Effects]:
    match event:
        case MessageReceived(_, source, message):
            rest = message.onward_route[1:]
            if not rest:
                return _confirm(state, source, message)
            if rest[0] == state.remote:
                return state, (_drop("route-loop", "the next hop is this relay client itself", source, message),)
            return state, (Forward(state.internal, message._replace(onward_route=rest)),)
        case TimerFired() if isinstance(state, Registering):
            return _fail(state, "the hub did not confirm the registration in time")
        case AddressGone():
            return _fail(state, "the link to the hub is gone")
        case StopRequested(reason):
            failed = (Report(RelayFailed(state.remote, reason)),) if isinstance(state, Registering) else ()
            return Gone(), failed
        case _:
            return state, ()


def _confirm(
    state: Registering | Registered, source: Address, message: LocalMessage
) -> tuple[RemoteRelayState, Effects]:
    if isinstance(state, Registered):
        return state, ()
    refusal = read_refusal(message.payload)
    if refusal is not None:
        return _fail(state, f"the hub refuses the name {state.name!r}: {refusal}")
    route = message.return_route
    try:
        name = decode_body(message.payload, str)
    except DecodeError as error:
        return state, (_drop("bad-confirmation", str(error), source, message),)
    if not route or not route[-1].is_local or not (state.name is None or name.endswith(state.name)):
        return state, (_drop("bad-confirmation", "the hub confirmed something else", source, message),)
    ready = RelayReady(state.remote, route[-1], route)
    return Registered(state.remote, state.internal, state.hop), (CancelTimer("confirmation"), Report(ready))


def _fail(state: Registering | Registered, reason: str) -> tuple[Gone, Effects]:
    return Gone(), (Report(RelayFailed(state.remote, reason)), StopWorker(state.remote, reason))


def _drop(rule: str, detail: str, source: Address, message: LocalMessage) -> Report:
    return Report(MessageDropped(rule, detail, source, message.onward_route, message.return_route))


MACHINE: Final[Machine[RemoteRelay, RemoteRelayState]] = Machine("remote relay", start, receive, Needs(addresses=2))
