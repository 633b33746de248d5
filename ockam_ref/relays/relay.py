"""One relay: a name on a hub that stands for the way to a node behind it (facts 05 section 6.1).

It passes messages on and stays out of the way back.  It opens the flow controls between the two sides that it
connects, since all but the first message bypass it; and unlike the peer's it ends when its owner's link does.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from ockam_ref.effects import (
    AddConsumer,
    AddConsumerOfProducer,
    Effect,
    Effects,
    Forward,
    Guard,
    Report,
    StopWorker,
    Tell,
    Watch,
)
from ockam_ref.events import (
    AccessLost,
    AddressGone,
    ChildSettled,
    ChildStarted,
    MessageReceived,
    StopRequested,
    WorkerEvent,
)
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Needs, Now, Transition, Worker
from ockam_ref.observations import MessageDropped, RelayRegistered, RelayRemoved
from ockam_ref.relays.names import Holding
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl, AllowOnward
from ockam_ref.wire.address import Address
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route


@dataclass(frozen=True, slots=True)
class Relay:
    """Configuration: its address (drawn, after the prefix, when absent) and the way to the worker that registered.

    ``service`` counts its relays, and hears of ``claim``.  The relay lives as long as ``control`` allows its owner.
    """

    service: Address
    address: Address | None
    prefix: str
    forward_route: Route
    consumer_of: tuple[FlowControlId, ...] = ()
    claim: Holding | None = None
    control: AccessControl = ALLOW_ALL


@dataclass(frozen=True, slots=True)
class Relaying:
    """``route`` leads to the owner's node."""

    service: Address
    address: Address
    route: Route


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: everything is ignored."""


RelayState: TypeAlias = Relaying | Ended

TRANSITIONS: Final = (
    Transition("Relaying", "MessageReceived", "Relaying", "passed on, flow controls opened, or a recorded drop"),
    Transition("Relaying", "AddressGone", "Ended", "the owner's link died: the name is free"),
    Transition("Relaying", "AccessLost", "Ended", "the owner may not have the name any more"),
    Transition("Relaying", "StopRequested", "Ended", "replaced, or the hub stops"),
    Transition("Ended", "any", "Ended", "ignored"),
)


def start(config: Relay, fresh: Fresh) -> Worker[RelayState]:
    """Confirm the registration to its owner, from the relay's address, with the full name."""
    address = config.address or Address(0, config.prefix.encode() + fresh.addresses[0].value)
    name = address.value.decode()
    forward_route = config.forward_route
    hop = forward_route[0]
    outgoing = AllowOnward(frozenset((hop,))) if len(forward_route) > 1 else ALLOW_ALL
    owner = None if config.claim is None else config.claim.owner
    return Worker(
        (Mailbox(address, ALLOW_ALL, outgoing),),
        Relaying(config.service, address, forward_route[:-1]),
        (
            Tell(config.service, ChildStarted(address, fresh.now, config.claim)),
            *(AddConsumer(address, flow_control) for flow_control in config.consumer_of),
            Forward(address, LocalMessage(forward_route, (address,), encode_body(name))),
            Report(RelayRegistered(address, name)),
            Watch(hop),
            *(() if config.control is ALLOW_ALL else (Guard(config.control, owner),)),
        ),
    )


def receive(state: RelayState, event: WorkerEvent) -> tuple[RelayState, Effects]:
    """Put the stored way in place of our address; the return route is not touched."""
    if isinstance(state, Ended):
        return state, ()
    match event:
        case MessageReceived(_, source, message):
            onward_route = state.route + message.onward_route[1:]
            if not onward_route:
                detail = "nothing follows the relay in the route"
                dropped = MessageDropped("incomplete-route", detail, source, message.onward_route, message.return_route)
                return state, (Report(dropped),)
            effects: list[Effect] = []
            if message.return_route:
                previous, following = message.return_route[0], onward_route[0]
                effects.append(AddConsumerOfProducer(previous, producer=following))
                effects.append(AddConsumerOfProducer(following, producer=previous))
            effects.append(Forward(state.address, message._replace(onward_route=onward_route)))
            return state, tuple(effects)
        case AddressGone(_, now):
            return _end(state, "the link of its owner is gone", now)
        case AccessLost(reason, now):
            return _end(state, reason, now)
        case StopRequested(reason, now):
            return Ended(), _removed(state, reason, now)
        case _:
            return state, ()


def _end(state: Relaying, reason: str, now: Now) -> tuple[Ended, Effects]:
    return Ended(), (*_removed(state, reason, now), StopWorker(state.address, reason))


def _removed(state: Relaying, reason: str, now: Now) -> Effects:
    removed = RelayRemoved(state.address, state.address.value.decode(), reason)
    return Tell(state.service, ChildSettled(state.address, now)), Report(removed)


MACHINE: Final[Machine[Relay, RelayState]] = Machine("relay", start, receive, Needs(addresses=1))
