"""The worker ``udp`` of a node, which others ask for a puncture (facts 02 section 5.2)."""

from dataclasses import dataclass, replace
from typing import Final

from ockam_ref.effects import AddConsumer, AddSpawner, Effects, StartWorker, Tell
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.events import ChildSettled, ChildStarted, MessageReceived, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Now, Transition, Worker
from ockam_ref.puncture.ends import ANY_ADDRESS, drop
from ockam_ref.puncture.rendezvous_client import is_socket_address
from ockam_ref.puncture.responder import PunctureResponder
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AccessControl
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.puncture_negotiation import decode_introduction
from ockam_ref.wire.route import Route

MAX_PUNCTURES: Final = 256
"""Punctures of one listener at the same time, negotiated or not: each holds a socket.  The peer has no limit."""

MAX_WORKER_BYTES: Final = 255
"""Bytes of the other end's local address; 32 in use."""


@dataclass(frozen=True, slots=True)
class PunctureListener:
    """Configuration: its name, the route to the rendezvous service behind a socket, who may ask.

    What comes through its punctures may reach consumers of ``flow_control_id``.
    """

    address: Address
    rendezvous: Route
    flow_control_id: FlowControlId
    consumer_of: tuple[FlowControlId, ...] = ()
    incoming: AccessControl = ALLOW_ALL
    bind: str = ANY_ADDRESS


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener has one state, and counts its punctures; ``asked`` are those asked for and not yet begun."""

    config: PunctureListener
    punctures: int = 0
    asked: int = 0


TRANSITIONS: Final = (
    Transition("Listening", "MessageReceived, an introduction", "Listening", "a responder is started"),
    Transition("Listening", "MessageReceived, anything else", "Listening", "a recorded drop"),
    Transition("Listening", "ChildStarted, ChildSettled", "Listening", "the number of punctures"),
)


def start(config: PunctureListener, _: Fresh) -> Worker[Listening]:
    """Open the mailbox and register the spawner.

    Raises:
        MisuseError: the route to the rendezvous service is empty.
    """
    if not config.rendezvous:
        raise MisuseError(ErrorCode.INCOMPLETE_ROUTE, "the route to the rendezvous service is empty")
    return Worker(
        (Mailbox(config.address, config.incoming, DENY_ALL),),
        Listening(config),
        (
            *(AddConsumer(config.address, flow_control) for flow_control in config.consumer_of),
            AddSpawner(config.address, config.flow_control_id),
        ),
    )


def receive(state: Listening, event: WorkerEvent) -> tuple[Listening, Effects]:
    """Start a responder for each request; nobody is told of one that is refused."""
    match event:
        case MessageReceived(_, source, message, now):
            return _begin(state, source, message, now)
        case ChildStarted():
            return replace(state, punctures=state.punctures + 1), ()
        case ChildSettled(child) if child == state.config.address:  # our own, see below
            return replace(state, asked=state.asked - 1), ()
        case ChildSettled():
            return replace(state, punctures=state.punctures - 1), ()
        case _:
            return state, ()


def _begin(state: Listening, source: Address, message: LocalMessage, now: Now) -> tuple[Listening, Effects]:
    config = state.config
    try:
        peer = decode_introduction(message.payload)
    except DecodeError as error:
        return state, (drop("bad-introduction", str(error), source, message),)
    if not is_socket_address(peer.public_address):
        detail = "the initiator gives no address of a socket"
        return state, (drop("bad-introduction", detail, source, message),)
    if len(peer.remote_worker) > MAX_WORKER_BYTES:
        detail = f"the initiator's worker has more than {MAX_WORKER_BYTES} bytes"
        return state, (drop("bad-introduction", detail, source, message),)
    if not message.return_route:
        return state, (drop("incomplete-route", "a puncture needs a return route", source, message),)
    if state.punctures + state.asked >= MAX_PUNCTURES:
        return state, (drop("puncture-limit", f"there are {MAX_PUNCTURES} punctures already", source, message),)
    responder = PunctureResponder(
        config.address, peer, message.return_route, config.rendezvous, config.bind, config.flow_control_id
    )
    # What we tell ourselves comes after the responder's ChildStarted, and also if the node did not start it.
    settled = Tell(config.address, ChildSettled(config.address, now))
    return replace(state, asked=state.asked + 1), (StartWorker(responder), settled)


MACHINE: Final[Machine[PunctureListener, Listening]] = Machine("puncture listener", start, receive)
