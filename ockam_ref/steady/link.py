"""The part of a steady link that both ends have: messages go in and come out, packets go along the path of the moment.

A message given to *sender* leaves the other end as if a transport had carried it.  Below is the machine of
``ockam_ref.links.recovery``: it numbers, acknowledges and repeats, so that neither what a dying path has swallowed nor
what overtakes on a new one is seen above.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple, assert_never

from ockam_ref.effects import AddProducer, Backlog, Effect, Effects, Forward, Report, SetTimer, StopWorker
from ockam_ref.errors import DecodeError
from ockam_ref.events import MessageReceived
from ockam_ref.links import recovery
from ockam_ref.machine import FlowControlId, Fresh, Mailbox, Needs, Transition
from ockam_ref.observations import MessageDropped, SteadyLinkClosed
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowConsumers
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route
from ockam_ref.wire.steady_message import CARRIED, SteadyMessage, encode_steady_message
from ockam_ref.wire.transport_message import TransportMessage, decode_transport_message, transport_message_parts

DIRECT_PACKET_BYTES: Final = 4096
"""Longest packet over a puncture, where it becomes some sixteen datagrams of which none may be lost."""

MAX_PACKET_BYTES: Final = 65_536
"""Longest packet that another end may ask for; the shortest is that of recovery."""

KEEP_ALIVE_S: Final = 5.0
"""The initiator says this often which path is the one, so that the other end knows that it is there."""

IDLE_S: Final = 30.0
"""An end that hears nothing for so long ends.  The peer has no such links."""

END_NEEDS: Final = Needs(addresses=3, secrets=1)


def transitions(state: str) -> tuple[Transition, ...]:
    """Return what both ends do in that state of theirs in which the link is open."""
    return (
        Transition(state, "MessageReceived, local", state, "packets, as window and pace let them go"),
        Transition(state, "a packet", state, "whole messages are forwarded, packets answered"),
        Transition(state, "TimerFired, recovery", state, "what is due leaves"),
        Transition(state, "the other end is gone, silence, StopRequested", "Ended", "SteadyLinkClosed"),
        Transition("Ended", "any", "Ended", "ignored"),
    )


class End(NamedTuple):
    """The addresses of one end: *sender* is the hop of routes, *remote* what the other end knows."""

    sender: Address
    remote: Address
    receiver: Address


@dataclass(frozen=True, slots=True)
class Running:
    """The link is open; ``path`` leads to the other end's worker."""

    end: End
    connection: int
    path: Route
    epoch: int
    recovery: recovery.Open


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: everything is ignored."""


def mailboxes(end: End, flow_control_id: FlowControlId, spawner_id: FlowControlId | None) -> tuple[Mailbox, ...]:
    """Return who may use which address."""
    return (
        Mailbox(end.sender, ALLOW_ALL, DENY_ALL, terminal=True),
        Mailbox(end.remote),
        Mailbox(end.receiver, DENY_ALL, AllowConsumers(flow_control_id, spawner_id)),
    )


def producer(end: End, flow_control_id: FlowControlId, spawner_id: FlowControlId | None) -> AddProducer:
    """Return the effect that registers what comes out of the link."""
    return AddProducer(end.receiver, flow_control_id, spawner_id, (end.sender,))


def first_recovery(connection: int, packet: int, now: float) -> recovery.Open:
    """Return the state below a link that begins."""
    return recovery.start(recovery.Recovery(connection, packet), now)


def connection_from(fresh: Fresh) -> int:
    """Return a random number for a link."""
    return int.from_bytes(fresh.secrets[0][:8], "big")


def say(end: End, path: Route, message: SteadyMessage) -> Forward:
    """Return the effect that sends one message of ours along a path."""
    return Forward(end.remote, LocalMessage(path, (end.remote,), encode_steady_message(message)))


def drop(rule: str, detail: str, event: MessageReceived) -> Report:
    """Return the record of a message that goes no further."""
    message = event.message
    return Report(MessageDropped(rule, detail, event.source, message.onward_route, message.return_route))


def give(state: Running, event: MessageReceived) -> tuple[Running | Ended, Effects]:
    """Take a message for the other node; ours is the first hop of its route."""
    onward_route, return_route, payload, _, tracing_context = event.message
    parts = transport_message_parts(TransportMessage(onward_route[1:], return_route, payload, tracing_context))
    return advance(state, recovery.MessageGiven(parts, event.now.monotonic))


def advance(state: Running, event: recovery.RecoveryEvent) -> tuple[Running | Ended, Effects]:
    """Let the machine below take a step, and do what it asks for."""
    inner, asked = recovery.receive(state.recovery, event)
    effects: list[Effect] = []
    for one in asked:
        match one:
            case recovery.Transmit(packets):
                effects += [_packet(state, packet) for packet in packets]
            case recovery.Deliver(messages):
                effects += [_arrived(state, message) for message in messages]
            case recovery.WakeAt(at):
                effects.append(SetTimer("recovery", at))
            case recovery.Waiting(waiting):
                effects.append(Backlog(state.end.sender, waiting))
            case recovery.Refused(rule, detail):
                effects.append(_refused(state, rule, detail))
            case recovery.Unknown(packets):
                effects.append(_refused(state, "unknown-connection", f"{len(packets)} packets of another link"))
            case recovery.Failed(reason):
                return Ended(), (*effects, *farewell(state.end, reason, stop=True))
            case _:
                assert_never(one)
    if isinstance(inner, recovery.Ended):
        return Ended(), tuple(effects)
    return replace(state, recovery=inner), tuple(effects)


def leave(state: Running, reason: str, now: float) -> tuple[Ended, Effects]:
    """Tell the other end that we are gone."""
    _, effects = advance(state, recovery.Left(now))
    return Ended(), (*effects, *farewell(state.end, reason, stop=False))


def farewell(end: End, reason: str, *, stop: bool) -> Effects:
    """Return what is left to do when a link ends."""
    closed = (Backlog(end.sender, 0), Report(SteadyLinkClosed(end.sender, reason)))
    return (*closed, StopWorker(end.sender, reason)) if stop else closed


def _packet(state: Running, packet: bytes) -> Forward:
    return Forward(state.end.remote, LocalMessage(state.path, (), CARRIED + packet))


def _arrived(state: Running, data: memoryview) -> Forward | Report:
    try:
        onward_route, return_route, payload, tracing_context = decode_transport_message(data)
    except DecodeError as error:
        return _refused(state, "undecodable-message", str(error))
    back = (state.end.sender, *return_route)
    return Forward(state.end.receiver, LocalMessage(onward_route, back, payload, (), tracing_context))


def _refused(state: Running, rule: str, detail: str) -> Report:
    return Report(MessageDropped(rule, detail, state.end.receiver, (), ()))
