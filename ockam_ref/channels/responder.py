"""The end that answers: one for each message 1 that reaches a listener (facts 04 sections 2.2 to 2.8)."""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from ockam_ref.channels import channel
from ockam_ref.channels.channel import Closed, Open, drop
from ockam_ref.channels.handshake import (
    End,
    between,
    catch_up,
    check_peer,
    completed,
    draw_addresses,
    first_open_state,
    mailboxes,
)
from ockam_ref.channels.trust import TrustPolicy
from ockam_ref.effects import (
    AddProducer,
    ComparePeer,
    CopyConsumers,
    Effects,
    Follow,
    Forward,
    Report,
    SetTimer,
    StopWorker,
    Tell,
    Watch,
)
from ockam_ref.errors import DecodeError, PeerError, VerificationError
from ockam_ref.events import (
    AddressGone,
    ChildSettled,
    ChildStarted,
    MessageReceived,
    PeerCompared,
    PresentationChanged,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.machine import FlowControlId, Fresh, Machine, Needs, Now, Transition, Worker
from ockam_ref.noise.handshake import Completed, HandshakeState, Role, initialize, read_message, write_message
from ockam_ref.noise.patterns import OCKAM_XX_25519_AES256_GCM_SHA256
from ockam_ref.noise.primitives import KeyPair
from ockam_ref.observations import HandshakeFailed
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route

RESPONDER_TIMEOUT_S: Final = 60.0
"""How long a half-open responder lives; the peer has no such limit."""


@dataclass(frozen=True, slots=True)
class Responder:
    """Configuration, written by the listener."""

    identity: LocalIdentity
    trust: TrustPolicy
    listener: Address
    spawner_id: FlowControlId
    authority: bytes | None = None
    credential: bytes | None = None
    admits: AccessControl = ALLOW_ALL


@dataclass(frozen=True, slots=True)
class AwaitingMessage1:
    """The listener's message follows at once."""

    end: End
    listener: Address
    handshake: HandshakeState
    ephemeral: KeyPair


@dataclass(frozen=True, slots=True)
class AwaitingMessage3:
    """Message 2 is sent along the return route of message 1."""

    end: End
    listener: Address
    handshake: HandshakeState
    remote_route: Route


@dataclass(frozen=True, slots=True)
class ComparingPeer:
    """Message 3 is good; the node compares the initiator's history with what it knows."""

    end: End
    listener: Address
    completed: Completed
    peer: bytes
    remote_route: Route


HalfOpen: TypeAlias = AwaitingMessage1 | AwaitingMessage3 | ComparingPeer
ResponderState: TypeAlias = HalfOpen | Open | Closed

TRANSITIONS: Final = (
    Transition("AwaitingMessage1", "message 1", "AwaitingMessage3", "message 2 is sent"),
    Transition("AwaitingMessage1", "anything that is no message 1; TimerFired; StopRequested", "Closed"),
    *(
        Transition(state, "PresentationChanged", state, "presented once the channel is open")
        for state in ("AwaitingMessage1", "AwaitingMessage3", "ComparingPeer")
    ),
    Transition("AwaitingMessage3", "message 3, verified and trusted", "ComparingPeer"),
    Transition("AwaitingMessage3", "message that does not decrypt", "AwaitingMessage3", "a recorded drop"),
    Transition("AwaitingMessage3", "message 3, not verified or not trusted", "Closed", "HandshakeFailed"),
    Transition("AwaitingMessage3", "TimerFired, AddressGone, StopRequested", "Closed", "HandshakeFailed"),
    Transition("ComparingPeer", "PeerCompared, accepted", "Open", "ChannelOpened"),
    Transition("ComparingPeer", "PeerCompared, refused; StopRequested", "Closed", "HandshakeFailed"),
    *channel.TRANSITIONS,
)


def start(config: Responder, fresh: Fresh) -> Worker[ResponderState]:
    """Take the listener's flow controls as they are now, and a fresh one of our own."""
    addresses = draw_addresses(fresh)
    (flow_control_id,) = fresh.flow_control_ids
    handshake = initialize(OCKAM_XX_25519_AES256_GCM_SHA256, Role.RESPONDER, static=config.identity.static)
    end = End(addresses, config.identity, config.trust, config.authority, config.credential, config.admits)
    ephemeral = KeyPair.from_private_bytes(fresh.secrets[0])
    return Worker(
        mailboxes(addresses, flow_control_id, config.spawner_id),
        AwaitingMessage1(end, config.listener, handshake, ephemeral),
        (
            Tell(config.listener, ChildStarted(addresses.decryptor_remote, fresh.now)),
            Follow(config.listener),
            CopyConsumers(config.listener, addresses.decryptor_remote),
            AddProducer(addresses.decryptor_internal, flow_control_id, config.spawner_id, (addresses.encryptor,)),
            SetTimer("handshake", fresh.now.monotonic + RESPONDER_TIMEOUT_S),
        ),
    )


def receive(state: ResponderState, event: WorkerEvent) -> tuple[ResponderState, Effects]:
    """Advance the responder by one event; peer input never raises."""
    match state:
        case Open():
            return channel.receive(state, event)
        case Closed():
            return state, ()
        case AwaitingMessage1() | AwaitingMessage3() | ComparingPeer():
            return _half_open(state, event)
        case _:
            assert_never(state)


def _half_open(state: HalfOpen, event: WorkerEvent) -> tuple[ResponderState, Effects]:
    match event:
        case MessageReceived(destination, source, message, now):
            if destination != state.end.addresses.decryptor_remote or isinstance(state, ComparingPeer):
                return state, (drop("channel-not-open", "the handshake is not complete", source, message),)
            if isinstance(state, AwaitingMessage1):
                return _answer(state, message, now)
            return _verify(state, source, message, now)
        case PeerCompared(refusal, now) if isinstance(state, ComparingPeer):
            if refusal is not None:
                return _fail(state, refusal, now)
            channel_state = first_open_state(state.end, state.completed, state.peer, state.remote_route)
            latest, refresh = catch_up(channel_state, state.end)
            return latest, (*channel.opened(channel_state, state.end.admits), _settled(state, now), *refresh)
        case PresentationChanged():
            return replace(state, end=state.end.note(event)), ()
        case TimerFired(_, now):
            return _fail(state, "the initiator did not complete the handshake in time", now)
        case AddressGone(_, now):
            return _fail(state, "the way to the initiator is gone", now)
        case StopRequested(reason, now):
            return Closed(), (_report(state, reason), _settled(state, now))
        case _:
            return state, ()


def _answer(state: AwaitingMessage1, message: LocalMessage, now: Now) -> tuple[ResponderState, Effects]:
    try:
        step, _ = read_message(state.handshake, message.payload)
        step, reply = write_message(between(step), state.end.present(), ephemeral=state.ephemeral)
    except PeerError as error:
        return _fail(state, str(error), now)
    route = message.return_route
    if not route:
        return _fail(state, "message 1 came without a return route: there is no way to answer it", now)
    remote = state.end.addresses.decryptor_remote
    waiting = AwaitingMessage3(state.end, state.listener, between(step), route)
    return waiting, (Watch(route[0]), Forward(remote, LocalMessage(route, (remote,), reply)))


def _verify(
    state: AwaitingMessage3, source: Address, message: LocalMessage, now: Now
) -> tuple[ResponderState, Effects]:
    try:
        step, payload = read_message(state.handshake, message.payload)
    except PeerError as error:
        return state, (drop(error.code, str(error), source, message),)
    done = completed(step)
    try:
        peer = check_peer(state.end, payload, done.remote_static, now.unix)
    except (DecodeError, VerificationError) as error:
        return _fail(state, str(error), now)
    identifier = peer.identity.identifier.value
    comparing = ComparingPeer(state.end, state.listener, done, identifier, state.remote_route)
    return comparing, (ComparePeer(peer.identity, peer.credentials, state.end.authority),)


def _settled(state: HalfOpen, now: Now) -> Tell:
    return Tell(state.listener, ChildSettled(state.end.addresses.decryptor_remote, now))


def _fail(state: HalfOpen, reason: str, now: Now) -> tuple[Closed, Effects]:
    worker = state.end.addresses.decryptor_remote
    return Closed(), (_report(state, reason), _settled(state, now), StopWorker(worker, reason))


def _report(state: HalfOpen, reason: str) -> Report:
    return Report(HandshakeFailed(state.end.addresses.decryptor_remote, reason, initiator=False))


MACHINE: Final[Machine[Responder, ResponderState]] = Machine(
    "secure channel responder", start, receive, Needs(addresses=3, flow_control_ids=1, secrets=1)
)
