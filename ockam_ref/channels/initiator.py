"""The end that asks for a channel (facts 04 sections 2.4 to 2.8).

It does not show itself (message 3) before the responder proved an identity that the trust policy accepts and that
agrees with what the node knows of it.
"""

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
from ockam_ref.channels.trust import TRUST_EVERYONE, TrustPolicy
from ockam_ref.effects import (
    AddConsumerOfProducer,
    AddProducer,
    ComparePeer,
    Effects,
    Forward,
    Report,
    SetTimer,
    StopWorker,
    Watch,
)
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, PeerError, VerificationError
from ockam_ref.events import (
    AddressGone,
    MessageReceived,
    PeerCompared,
    PresentationChanged,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.machine import FlowControlId, Fresh, Machine, Needs, Transition, Worker
from ockam_ref.noise.handshake import HandshakeState, Role, initialize, read_message, write_message
from ockam_ref.noise.patterns import OCKAM_XX_25519_AES256_GCM_SHA256
from ockam_ref.noise.primitives import KeyPair
from ockam_ref.observations import HandshakeFailed
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route

HANDSHAKE_TIMEOUT_S: Final = 120.0
"""How long an initiator waits for message 2 unless told otherwise; the peer's own default."""


@dataclass(frozen=True, slots=True)
class SecureChannel:
    """Configuration: who asks, along which route (it ends in the listener), and whom the answer may come from.

    ``authority`` is the identifier of whose credentials count, ``credential`` the one that we present.
    The channel lives for as long as ``admits`` allows its peer.
    """

    identity: LocalIdentity
    route: Route
    flow_control_id: FlowControlId
    trust: TrustPolicy = TRUST_EVERYONE
    timeout_s: float = HANDSHAKE_TIMEOUT_S
    authority: bytes | None = None
    credential: bytes | None = None
    admits: AccessControl = ALLOW_ALL


@dataclass(frozen=True, slots=True)
class AwaitingMessage2:
    """Message 1 is sent; ``route`` begins with the hop whose end would end the handshake."""

    end: End
    route: Route
    handshake: HandshakeState


@dataclass(frozen=True, slots=True)
class ComparingPeer:
    """Message 2 is good; the node compares the responder's history with what it knows."""

    end: End
    handshake: HandshakeState
    peer: bytes
    reply_route: Route


InitiatorState: TypeAlias = AwaitingMessage2 | ComparingPeer | Open | Closed

TRANSITIONS: Final = (
    Transition("AwaitingMessage2", "message 2, verified and trusted", "ComparingPeer"),
    Transition("AwaitingMessage2", "message that does not decrypt", "AwaitingMessage2", "a recorded drop"),
    Transition("AwaitingMessage2", "message 2, not verified or not trusted", "Closed", "HandshakeFailed"),
    Transition("AwaitingMessage2", "TimerFired, AddressGone, StopRequested", "Closed", "HandshakeFailed"),
    Transition("AwaitingMessage2", "PresentationChanged", "AwaitingMessage2", "presented once the channel is open"),
    Transition("ComparingPeer", "PresentationChanged", "ComparingPeer", "presented once the channel is open"),
    Transition("ComparingPeer", "PeerCompared, accepted", "Open", "message 3 is sent, ChannelOpened"),
    Transition("ComparingPeer", "PeerCompared, refused; StopRequested", "Closed", "HandshakeFailed"),
    *channel.TRANSITIONS,
)


def start(config: SecureChannel, fresh: Fresh) -> Worker[InitiatorState]:
    """Send message 1 along the route.

    Raises:
        MisuseError: the route is empty.
    """
    if not config.route:
        raise MisuseError(ErrorCode.INCOMPLETE_ROUTE, "a channel needs a route to a listener")
    addresses = draw_addresses(fresh)
    end = End(addresses, config.identity, config.trust, config.authority, config.credential, config.admits)
    remote, hop = addresses.decryptor_remote, config.route[0]
    handshake = initialize(OCKAM_XX_25519_AES256_GCM_SHA256, Role.INITIATOR, static=config.identity.static)
    step, message = write_message(handshake, b"", ephemeral=KeyPair.from_private_bytes(fresh.secrets[0]))
    return Worker(
        mailboxes(addresses, config.flow_control_id, None),
        AwaitingMessage2(end, config.route, between(step)),
        (
            AddConsumerOfProducer(remote, hop),
            AddProducer(addresses.decryptor_internal, config.flow_control_id, None, (addresses.encryptor,)),
            SetTimer("handshake", fresh.now.monotonic + config.timeout_s),
            Watch(hop),
            Forward(remote, LocalMessage(config.route, (remote,), message)),
        ),
    )


def receive(state: InitiatorState, event: WorkerEvent) -> tuple[InitiatorState, Effects]:
    """Advance the initiator by one event; peer input never raises."""
    match state:
        case Open():
            return channel.receive(state, event)
        case AwaitingMessage2() | ComparingPeer() if isinstance(event, PresentationChanged):
            return replace(state, end=state.end.note(event)), ()
        case AwaitingMessage2():
            return _awaiting(state, event)
        case ComparingPeer():
            return _comparing(state, event)
        case Closed():
            return state, ()
        case _:
            assert_never(state)


def _awaiting(state: AwaitingMessage2, event: WorkerEvent) -> tuple[InitiatorState, Effects]:
    match event:
        case MessageReceived(destination, source, message, now):
            if destination != state.end.addresses.decryptor_remote:
                return state, (drop("channel-not-open", "the handshake is not complete", source, message),)
            try:
                step, payload = read_message(state.handshake, message.payload)
            except PeerError as error:
                return state, (drop(error.code, str(error), source, message),)
            handshake = between(step)
            try:
                peer = check_peer(state.end, payload, handshake.remote_static or b"", now.unix)
            except (DecodeError, VerificationError) as error:
                return _fail(state.end, str(error))
            if not message.return_route:
                return _fail(state.end, "message 2 came without a return route: there is no way to answer it")
            comparing = ComparingPeer(state.end, handshake, peer.identity.identifier.value, message.return_route)
            return comparing, (ComparePeer(peer.identity, peer.credentials, state.end.authority),)
        case TimerFired():
            return _fail(state.end, "the responder did not answer in time")
        case AddressGone(address) if address == state.route[0]:
            return _fail(state.end, "the way to the responder is gone")
        case StopRequested(reason):
            return Closed(), (_report(state.end, reason),)
        case _:
            return state, ()


def _comparing(state: ComparingPeer, event: WorkerEvent) -> tuple[InitiatorState, Effects]:
    match event:
        case PeerCompared(None):
            step, message = write_message(state.handshake, state.end.present())
            remote = state.end.addresses.decryptor_remote
            channel_state = first_open_state(state.end, completed(step), state.peer, state.reply_route)
            third = Forward(remote, LocalMessage(state.reply_route, (remote,), message))
            latest, refresh = catch_up(channel_state, state.end)
            return latest, (third, *channel.opened(channel_state, state.end.admits), *refresh)
        case PeerCompared(str(refusal)):
            return _fail(state.end, refusal)
        case StopRequested(reason):
            return Closed(), (_report(state.end, reason),)
        case MessageReceived(_, source, message):
            return state, (drop("channel-not-open", "the handshake is not complete", source, message),)
        case _:
            return state, ()


def _fail(end: End, reason: str) -> tuple[Closed, Effects]:
    return Closed(), (_report(end, reason), StopWorker(end.addresses.decryptor_remote, reason))


def _report(end: End, reason: str) -> Report:
    return Report(HandshakeFailed(end.addresses.decryptor_remote, reason, initiator=True))


MACHINE: Final[Machine[SecureChannel, InitiatorState]] = Machine(
    "secure channel initiator", start, receive, Needs(addresses=3, secrets=1)
)
