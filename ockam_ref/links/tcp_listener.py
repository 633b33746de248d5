"""A listening TCP socket: every connection that it accepts becomes a ``TcpLink`` of its own flow control."""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import AddSpawner, Effects, StartWorker
from ockam_ref.events import LinkAccepted, WorkerEvent
from ockam_ref.links.tcp_link import TcpLink
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Needs, Transition, Worker
from ockam_ref.routing.access_control import DENY_ALL


@dataclass(frozen=True, slots=True)
class TcpListener:
    """Configuration: the spawner id under which workers are made reachable for all who connect."""

    flow_control_id: FlowControlId


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener has one state."""

    flow_control_id: FlowControlId


TRANSITIONS: Final = (Transition("Listening", "LinkAccepted", "Listening", "a TcpLink is started"),)


def start(config: TcpListener, fresh: Fresh) -> Worker[Listening]:
    """Register the spawner; nobody can send anything to a listener."""
    (address,) = fresh.addresses
    return Worker(
        (Mailbox(address, DENY_ALL, DENY_ALL),),
        Listening(config.flow_control_id),
        (AddSpawner(address, config.flow_control_id),),
    )


def receive(state: Listening, event: WorkerEvent) -> tuple[Listening, Effects]:
    """Start a link for each accepted connection; its flow control is fresh, its spawner is this listener."""
    match event:
        case LinkAccepted(link):
            return state, (StartWorker(TcpLink(link, spawner_id=state.flow_control_id)),)
        case _:
            return state, ()


MACHINE: Final[Machine[TcpListener, Listening]] = Machine("tcp listener", start, receive, Needs(addresses=1))
