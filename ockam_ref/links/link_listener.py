"""A place where other nodes connect: every link that it accepts becomes a ``NodeLink`` of its own flow control."""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import AddSpawner, Effects, StartWorker
from ockam_ref.events import LinkAccepted, WorkerEvent
from ockam_ref.links.form import Form
from ockam_ref.links.framing import FRAMED
from ockam_ref.links.node_link import NodeLink
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Needs, Transition, Worker
from ockam_ref.routing.access_control import DENY_ALL
from ockam_ref.wire.address import Address


@dataclass(frozen=True, slots=True)
class LinkListener:
    """Configuration: the spawner id under which workers are made reachable for all who connect, the form of the links.

    ``alias`` is given to each link, see ``NodeLink``.
    """

    flow_control_id: FlowControlId
    form: Form = FRAMED
    alias: Address | None = None


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener has one state."""

    config: LinkListener


TRANSITIONS: Final = (Transition("Listening", "LinkAccepted", "Listening", "a NodeLink is started"),)


def start(config: LinkListener, fresh: Fresh) -> Worker[Listening]:
    """Register the spawner; nobody can send anything to a listener."""
    (address,) = fresh.addresses
    return Worker(
        (Mailbox(address, DENY_ALL, DENY_ALL),),
        Listening(config),
        (AddSpawner(address, config.flow_control_id),),
    )


def receive(state: Listening, event: WorkerEvent) -> tuple[Listening, Effects]:
    """Start a link for each accepted connection; its flow control is fresh, its spawner is this listener."""
    match event:
        case LinkAccepted(link, mtu=mtu):
            config = state.config
            node_link = NodeLink(link, config.form, spawner_id=config.flow_control_id, mtu=mtu, alias=config.alias)
            return state, (StartWorker(node_link),)
        case _:
            return state, ()


MACHINE: Final[Machine[LinkListener, Listening]] = Machine("link listener", start, receive, Needs(addresses=1))
