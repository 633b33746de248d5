"""Where other nodes open steady links, and where each path of theirs is announced."""

from dataclasses import dataclass, replace
from typing import Final

from ockam_ref.effects import AddConsumer, AddSpawner, Effects, IfTaken, StartWorker, StopWorker, Tell
from ockam_ref.errors import DecodeError
from ockam_ref.events import ChildSettled, ChildStarted, MessageReceived, StopRequested, WorkerEvent
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Transition, Worker
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL
from ockam_ref.steady.link import drop
from ockam_ref.steady.responder import SteadyResponder
from ockam_ref.wire.address import Address
from ockam_ref.wire.steady_message import Move, Open, decode_steady_message

MAX_LINKS: Final = 64
"""Links of one listener at the same time: each may keep a window of bytes that came out of order."""


@dataclass(frozen=True, slots=True)
class SteadyListener:
    """Configuration: its name; what comes through its links may reach consumers of ``flow_control_id``."""

    address: Address
    flow_control_id: FlowControlId
    consumer_of: tuple[FlowControlId, ...] = ()


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener has one state, and counts its links; ``asked`` are messages that may begin one at this moment."""

    config: SteadyListener
    links: frozenset[Address] = frozenset()
    asked: int = 0


TRANSITIONS: Final = (
    Transition("Listening", "Open, Move", "Listening", "given to the link of that number, which may begin with it"),
    Transition("Listening", "any other message", "Listening", "a recorded drop"),
    Transition("Listening", "ChildStarted, ChildSettled", "Listening", "the links"),
    Transition("Listening", "StopRequested", "Listening", "all links end"),
)


def start(config: SteadyListener, _: Fresh) -> Worker[Listening]:
    """Open the mailbox and register the spawner."""
    return Worker(
        (Mailbox(config.address, ALLOW_ALL, DENY_ALL),),
        Listening(config),
        (
            *(AddConsumer(config.address, flow_control) for flow_control in config.consumer_of),
            AddSpawner(config.address, config.flow_control_id),
        ),
    )


def receive(state: Listening, event: WorkerEvent) -> tuple[Listening, Effects]:
    """Give each announcement to its link; no link outlives the place where its paths are announced."""
    match event:
        case MessageReceived():
            return _announced(state, event)
        case ChildStarted(child):
            return replace(state, links=state.links | {child}), ()
        case ChildSettled(child) if child == state.config.address:  # our own, see below
            return replace(state, asked=state.asked - 1), ()
        case ChildSettled(child):
            return replace(state, links=state.links - {child}), ()
        case StopRequested(reason):
            return state, tuple(StopWorker(child, reason) for child in sorted(state.links))
        case _:
            return state, ()


def _announced(state: Listening, event: MessageReceived) -> tuple[Listening, Effects]:
    config, message = state.config, event.message
    try:
        asked = decode_steady_message(message.payload)
    except DecodeError as error:
        return state, (drop("bad-steady-message", str(error), event),)
    if not isinstance(asked, Open | Move):
        return state, (drop("bad-steady-message", "a listener takes Open and Move", event),)
    if not message.return_route:
        return state, (drop("incomplete-route", "a steady link needs a return route", event),)
    address = Address(0, b"%b.%016x" % (config.address.value, asked.connection))
    if address not in state.links and len(state.links) + state.asked >= MAX_LINKS:
        return state, (drop("steady-link-limit", f"there are {MAX_LINKS} steady links already", event),)
    responder = SteadyResponder(address, config.address, asked.connection, config.flow_control_id)
    # What we tell ourselves comes after the responder's ChildStarted, and also if the node did not start it.
    settled = Tell(config.address, ChildSettled(config.address, event.now))
    begin = StartWorker(responder, first_message=message, if_taken=IfTaken.REUSE)
    return replace(state, asked=state.asked + 1), (begin, settled)


MACHINE: Final[Machine[SteadyListener, Listening]] = Machine("steady listener", start, receive)
