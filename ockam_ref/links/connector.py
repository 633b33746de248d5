"""Typed hops, ``(TCP, "host:port")`` in a route: they connect by themselves, in the first and in any later place.

The connector of a transport is the worker at the address that stands for all of its addresses (``any_of_type``): it is
given what goes to one that nobody has, and starts a worker for it, the *typed hop*.  That worker has the address
itself, opens the link, keeps what comes meanwhile, and from then on passes messages to the link: so a connection is
used again by all who go that way.  When the link ends, by itself or because nothing passed for a while, the typed hop
ends with it, and the next message begins anew.

In 2021 every node connected to wherever a stranger's route led.  Here a message from outside may use a typed hop only
where that hop, or ``any_of_type``, is a consumer of the flow control it came through (``AllowResolution``).
"""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import Effects, IfTaken, Report, StartWorker
from ockam_ref.events import ChildSettled, ChildStarted, HopWanted, MessageReceived, WorkerEvent
from ockam_ref.links.form import Form
from ockam_ref.links.typed_hop import TypedHop
from ockam_ref.machine import Fresh, Machine, Mailbox, Transition, Worker
from ockam_ref.observations import HopUnreachable, MessageDropped
from ockam_ref.routing.access_control import AllowResolution
from ockam_ref.wire.address import Address, any_of_type
from ockam_ref.wire.local_message import LocalMessage

MAX_TYPED_HOPS: Final = 256
"""Connections that one connector has open or is opening; a message that would need one more is a recorded drop."""

IDLE_S: Final = 600.0
"""A connection that was opened for a typed hop is closed when nothing has passed for this time, or up to twice it."""


@dataclass(frozen=True, slots=True)
class Connector:
    """Configuration: the transport, its number in addresses, and how messages lie in its links."""

    transport: str
    transport_type: int
    form: Form
    idle_s: float = IDLE_S


@dataclass(frozen=True, slots=True)
class Connecting:
    """The connector's one state: ``hops`` are open or opening."""

    config: Connector
    hops: int = 0


TRANSITIONS: Final = (
    Transition("Connecting", "MessageReceived, HopWanted", "Connecting", "a typed hop is started, or a recorded drop"),
    Transition("Connecting", "ChildStarted, ChildSettled", "Connecting", "the number of typed hops"),
)


def start(config: Connector, _: Fresh) -> Worker[Connecting]:
    """Take what goes to any address of the transport that no worker has."""
    address = any_of_type(config.transport_type)
    return Worker((Mailbox(address, AllowResolution()),), Connecting(config))


def receive(state: Connecting, event: WorkerEvent) -> tuple[Connecting, Effects]:
    """Start a typed hop for the address that is wanted; one that is there already gets the message."""
    match event:
        case MessageReceived(destination, _, message):
            return state, _start_hop(state, destination, message)
        case HopWanted(address):
            return state, _start_hop(state, address, None)
        case ChildStarted():
            return Connecting(state.config, state.hops + 1), ()
        case ChildSettled():
            return Connecting(state.config, state.hops - 1), ()
        case _:
            return state, ()


def _start_hop(state: Connecting, address: Address, message: LocalMessage | None) -> Effects:
    config = state.config
    if state.hops >= MAX_TYPED_HOPS:
        reason = f"{MAX_TYPED_HOPS} connections to other nodes are open already"
        unreachable = Report(HopUnreachable(address, reason))
        if message is None:
            return (unreachable,)
        routes = message.onward_route, message.return_route
        return unreachable, Report(MessageDropped("too-many-connections", reason, address, *routes))
    return (StartWorker(TypedHop(address, config.transport, config.form, config.idle_s), message, IfTaken.REUSE),)


MACHINE: Final[Machine[Connector, Connecting]] = Machine("connector", start, receive)
