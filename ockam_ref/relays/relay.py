"""One relay: a name on a hub that stands for the way to a node behind it (facts 05 section 6.1).

It passes messages on and stays out of the way back.  It opens the flow controls between the two sides that it
connects, since all but the first message bypass it; and unlike the peer's it ends when its owner's link does.
"""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import AddConsumer, AddConsumerOfProducer, Effect, Effects, Forward, Report, StopWorker, Watch
from ockam_ref.events import AddressGone, MessageReceived, StopRequested, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Needs, Transition, Worker
from ockam_ref.observations import MessageDropped, RelayRegistered, RelayRemoved
from ockam_ref.routing.access_control import ALLOW_ALL, AllowOnward
from ockam_ref.wire.address import Address
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route


@dataclass(frozen=True, slots=True)
class Relay:
    """Configuration: its address (drawn, after the prefix, when absent) and the way to the worker that registered."""

    address: Address | None
    prefix: str
    forward_route: Route
    consumer_of: tuple[FlowControlId, ...] = ()


@dataclass(frozen=True, slots=True)
class RelayState:
    """``route`` leads to the owner's node; ``hop`` is the first address of the way to the owner."""

    address: Address
    route: Route
    hop: Address


TRANSITIONS: Final = (
    Transition("Relaying", "MessageReceived", "Relaying", "passed on, flow controls opened"),
    Transition("Relaying", "AddressGone", "(stopped)", "the owner's link died: the name is free"),
    Transition("Relaying", "StopRequested", "(stopped)", "replaced, or the hub stops"),
)


def start(config: Relay, fresh: Fresh) -> Worker[RelayState]:
    """Confirm the registration to its owner, from the relay's address, with the full name."""
    address = config.address or Address(0, config.prefix.encode() + fresh.addresses[0].value)
    name = address.value.decode()
    forward_route = config.forward_route
    hop = forward_route[0]
    outgoing = AllowOnward(frozenset((hop,))) if len(forward_route) > 1 else ALLOW_ALL
    return Worker(
        (Mailbox(address, ALLOW_ALL, outgoing),),
        RelayState(address, forward_route[:-1], hop),
        (
            *(AddConsumer(address, flow_control) for flow_control in config.consumer_of),
            Forward(address, LocalMessage(forward_route, (address,), encode_body(name))),
            Report(RelayRegistered(address, name)),
            Watch(hop),
        ),
    )


def receive(state: RelayState, event: WorkerEvent) -> tuple[RelayState, Effects]:
    """Put the stored way in place of our address; the return route is not touched."""
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
        case AddressGone():
            reason = "the link of its owner is gone"
            return state, (_removed(state, reason), StopWorker(state.address, reason))
        case StopRequested(reason):
            return state, (_removed(state, reason),)
        case _:
            return state, ()


def _removed(state: RelayState, reason: str) -> Report:
    return Report(RelayRemoved(state.address, state.address.value.decode(), reason))


MACHINE: Final[Machine[Relay, RelayState]] = Machine("relay", start, receive, Needs(addresses=1))
