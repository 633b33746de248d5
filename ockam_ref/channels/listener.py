"""The secure channel listener: every message that reaches it begins a handshake (facts 04 section 2.2).

Unlike the peer it bounds what strangers can make it hold: beyond ``MAX_HALF_OPEN_CHANNELS`` the responder that has
waited longest is given up for the new one, so a flood cannot lock out those who answer quickly.
"""

from dataclasses import dataclass, replace
from typing import Final

from ockam_ref.channels.channel import drop
from ockam_ref.channels.responder import Responder
from ockam_ref.channels.trust import TRUST_EVERYONE, TrustPolicy
from ockam_ref.effects import AddConsumer, AddSpawner, Effect, Effects, StartWorker, StopWorker, TellFollowers
from ockam_ref.events import ChildSettled, ChildStarted, MessageReceived, PresentationChanged, WorkerEvent
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.machine import FlowControlId, Fresh, Machine, Mailbox, Transition, Worker
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage

MAX_HALF_OPEN_CHANNELS: Final = 1024
"""Responders of one listener that may wait for message 3 at the same time."""


@dataclass(frozen=True, slots=True)
class SecureChannelListener:
    """Configuration: its name, who answers, whom it trusts; workers are opened to peers by ``flow_control_id``.

    ``authority`` is the identifier of whose credentials count, ``credential`` the one that we present.
    A channel lives for as long as ``admits`` allows its peer, which may have a policy decide about its credential.
    """

    address: Address
    identity: LocalIdentity
    flow_control_id: FlowControlId
    trust: TrustPolicy = TRUST_EVERYONE
    consumer_of: tuple[FlowControlId, ...] = ()
    authority: bytes | None = None
    credential: bytes | None = None
    admits: AccessControl = ALLOW_ALL


@dataclass(frozen=True, slots=True)
class Listening:
    """``half_open`` holds the waiting responders, oldest first; ``asked`` those asked for and not yet begun."""

    config: SecureChannelListener
    half_open: tuple[Address, ...] = ()
    asked: int = 0


TRANSITIONS: Final = (
    Transition("Listening", "MessageReceived", "Listening", "a responder is started with the message"),
    Transition("Listening", "PresentationChanged", "Listening", "for handshakes from now on; its channels are told"),
    Transition("Listening", "ChildStarted, ChildSettled", "Listening", "the number of half-open ends"),
)


def start(config: SecureChannelListener, _: Fresh) -> Worker[Listening]:
    """Open the mailbox and register the spawner."""
    return Worker(
        (Mailbox(config.address),),
        Listening(config),
        (
            *(AddConsumer(config.address, flow_control) for flow_control in config.consumer_of),
            AddSpawner(config.address, config.flow_control_id),
        ),
    )


def receive(state: Listening, event: WorkerEvent) -> tuple[Listening, Effects]:
    """Start a responder for each message; its routes and payload are passed on as they are."""
    match event:
        case MessageReceived(_, source, message):
            return _begin(state, source, message)
        case PresentationChanged(identity, credential):
            kept = state.config.credential
            config = replace(state.config, identity=identity, credential=kept and (credential or kept))
            return replace(state, config=config), (TellFollowers(event),)
        case ChildStarted(responder):
            return replace(state, half_open=(*state.half_open, responder), asked=max(0, state.asked - 1)), ()
        case ChildSettled(responder):
            return replace(state, half_open=tuple(a for a in state.half_open if a != responder)), ()
        case _:
            return state, ()


def _begin(state: Listening, source: Address, message: LocalMessage) -> tuple[Listening, Effects]:
    config = state.config
    effects: list[Effect] = []
    half_open = state.half_open
    if len(half_open) + state.asked >= MAX_HALF_OPEN_CHANNELS:
        if not half_open:
            return state, (drop("half-open-limit", "too many handshakes began at once", source, message),)
        effects.append(StopWorker(half_open[0], "given up for a newer handshake: too many are half open"))
        half_open = half_open[1:]
    responder = Responder(
        config.identity,
        config.trust,
        config.address,
        config.flow_control_id,
        config.authority,
        config.credential,
        config.admits,
    )
    effects.append(StartWorker(responder, first_message=message))
    return Listening(config, half_open, state.asked + 1), tuple(effects)


MACHINE: Final[Machine[SecureChannelListener, Listening]] = Machine("secure channel listener", start, receive)
