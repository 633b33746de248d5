"""The rendezvous service: tells whoever asks from which address the question came (facts 02 section 5.1)."""

from dataclasses import dataclass
from typing import Final

from ockam_ref.effects import AddConsumer, Effects, Forward, Report
from ockam_ref.errors import DecodeError
from ockam_ref.events import MessageReceived, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Transition, Worker
from ockam_ref.observations import MessageDropped
from ockam_ref.wire.address import UDP, Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.rendezvous_message import (
    MyAddress,
    RendezvousPong,
    RendezvousRequest,
    RendezvousResponse,
    decode_rendezvous_request,
    encode_rendezvous_response,
)
from ockam_ref.wire.route import Route


@dataclass(frozen=True, slots=True)
class RendezvousService:
    """Configuration: where the service lives and through which flow controls it may be reached."""

    address: Address
    consumer_of: tuple[FlowControlId, ...] = ()


TRANSITIONS: Final = (
    Transition("Ready", "MessageReceived, Ping", "Ready", "Pong to the return route"),
    Transition("Ready", "MessageReceived, GetMyAddress", "Ready", "the first UDP hop of the return route, to it"),
    Transition("Ready", "MessageReceived, anything else or no UDP hop", "Ready", "a recorded drop"),
)


def start(config: RendezvousService, _: Fresh) -> Worker[Address]:
    """Open the mailbox; the state is the service's own address."""
    consumers = tuple(AddConsumer(config.address, flow_control) for flow_control in config.consumer_of)
    return Worker((Mailbox(config.address),), config.address, consumers)


def receive(state: Address, event: WorkerEvent) -> tuple[Address, Effects]:
    """Answer each request on its return route, from our own address."""
    match event:
        case MessageReceived(_, source, message):
            return state, (_answer(state, source, message),)
        case _:
            return state, ()


def udp_part(route: Route) -> Route:
    """Return the hops from the first of UDP on; none without one (facts 02 section 5.1, the peer's test vectors)."""
    for index, hop in enumerate(route):
        if hop.transport_type == UDP:
            return route[index:]
    return ()


def _answer(state: Address, source: Address, message: LocalMessage) -> Forward | Report:
    response: RendezvousResponse
    try:
        if decode_rendezvous_request(message.payload) is RendezvousRequest.PING:
            response = RendezvousPong()
        else:
            seen = udp_part(message.return_route)
            if not seen:
                return _drop("no-udp-hop", "the question did not come over UDP", source, message)
            response = MyAddress(seen[0].value.decode())
    except (DecodeError, UnicodeDecodeError) as error:
        return _drop("bad-rendezvous-request", str(error), source, message)
    return Forward(state, LocalMessage(message.return_route, (state,), encode_rendezvous_response(response)))


def _drop(rule: str, detail: str, source: Address, message: LocalMessage) -> Report:
    return Report(MessageDropped(rule, detail, source, message.onward_route, message.return_route))


MACHINE: Final[Machine[RendezvousService, Address]] = Machine("rendezvous service", start, receive)
