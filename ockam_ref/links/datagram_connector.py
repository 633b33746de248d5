"""Typed hops of a transport of datagrams, ``(UDP, "host:port")``: there is nothing to connect, only a socket to use.

The worker at the address that stands for all of the transport's addresses puts a bound endpoint in front of the hop,
which that endpoint takes off again.  Who may use it is the same as for connections (``ockam_ref.links.connector``).
An endpoint has one flow control for all who send to it (facts 02 section 1.7), so what the way back lets in may come
from any of them; its address is a secret of the nodes on the way.
"""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import AddConsumerOfProducer, Effect, Effects, Forward
from ockam_ref.events import MessageReceived, WorkerEvent
from ockam_ref.machine import Fresh, Machine, Mailbox, Transition, Worker
from ockam_ref.routing.access_control import AllowResolution
from ockam_ref.wire.address import Address, any_of_type


@dataclass(frozen=True, slots=True)
class DatagramConnector:
    """Configuration: the number of the transport in addresses, and the hop of the endpoint that is used."""

    transport_type: int
    endpoint: Address


TRANSITIONS: Final = (
    Transition("DatagramConnector", "MessageReceived", "DatagramConnector", "it goes to the endpoint"),
)


def start(config: DatagramConnector, _: Fresh) -> Worker[DatagramConnector]:
    """Take what goes to any address of the transport; the configuration is the only state."""
    return Worker((Mailbox(any_of_type(config.transport_type), AllowResolution()),), config)


def receive(state: DatagramConnector, event: WorkerEvent) -> tuple[DatagramConnector, Effects]:
    """Put the endpoint before the typed hop, and let the two sides answer each other."""
    match event:
        case MessageReceived(_, _, message):
            effects: list[Effect] = []
            if message.return_route:
                previous = message.return_route[0]
                effects.append(AddConsumerOfProducer(previous, producer=state.endpoint))
                effects.append(AddConsumerOfProducer(state.endpoint, producer=previous))
            onward_route = (state.endpoint, *message.onward_route)
            source = any_of_type(state.transport_type)
            effects.append(Forward(source, message._replace(onward_route=onward_route)))
            return state, tuple(effects)
        case _:
            return state, ()


MACHINE: Final[Machine[DatagramConnector, DatagramConnector]] = Machine("datagram connector", start, receive)
