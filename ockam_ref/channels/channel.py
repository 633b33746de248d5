"""An open secure channel: the data phase, its routes and its end (facts 04 sections 3.9 to 3.13).

Both handshakes end here.  The state is single use wherever it seals a packet: the node keeps the only copy.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from ockam_ref.channels.continuity import was_due, with_one_more_gap
from ockam_ref.channels.data_phase import ReceivingState, SendingState, open_packet, seal
from ockam_ref.effects import (
    CancelTimer,
    ComparePeer,
    Effects,
    Forward,
    Guard,
    NamePeer,
    Report,
    StopWorker,
    Watch,
)
from ockam_ref.errors import DecodeError, MisuseError, PeerError, VerificationError
from ockam_ref.events import (
    AccessLost,
    AddressGone,
    MessageReceived,
    PeerCompared,
    PresentationChanged,
    StopRequested,
    WorkerEvent,
)
from ockam_ref.identities.change_history import decode_change_history, verify_change_history
from ockam_ref.identities.identifier import Identifier
from ockam_ref.machine import Transition
from ockam_ref.observations import ChannelClosed, ChannelOpened, CredentialRefused, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl
from ockam_ref.wire.address import Address
from ockam_ref.wire.channel_message import (
    ChannelPayload,
    Close,
    RefreshCredentials,
    channel_payload_parts,
    decode_channel_message,
    encode_channel_message,
)
from ockam_ref.wire.local_message import LocalInfo, LocalMessage
from ockam_ref.wire.route import Route


@dataclass(frozen=True, slots=True)
class ChannelAddresses:
    """The addresses of one end (facts 04 section 2.1).

    ``decryptor_remote`` is all that the peer learns; ``decryptor_internal`` is the source of what was decrypted;
    ``encryptor`` is where applications send, "the channel" in a route.
    """

    decryptor_remote: Address
    decryptor_internal: Address
    encryptor: Address


class Presented(NamedTuple):
    """What the peer has last been presented of us: the change history and the credential, if any, as encoded."""

    history: bytes
    credential: bytes | None


class Terms(NamedTuple):
    """Whose credentials count at this end, and what the other end was presented."""

    authority: bytes | None
    presented: Presented


@dataclass(frozen=True, slots=True)
class Open:
    """A channel that carries messages; ``route_nonce`` is the newest nonce that taught a responder its way back.

    ``local_info`` goes with every message that is opened: who the peer is, and whether packets came out of order.
    """

    addresses: ChannelAddresses
    initiator: bool
    sending: SendingState
    receiving: ReceivingState
    remote_route: Route
    local_info: tuple[LocalInfo, ...]
    peer: bytes
    terms: Terms
    route_nonce: int = 0


@dataclass(frozen=True, slots=True)
class Closed:
    """Terminal: everything is ignored."""


TRANSITIONS: Final = (
    Transition("Open", "MessageReceived at the encryptor", "Open", "sealed and sent to the peer"),
    Transition("Open", "MessageReceived at decryptor_remote", "Open", "opened and forwarded, or a recorded drop"),
    Transition("Open", "RefreshCredentials from the peer", "Open", "compared and kept, or a recorded drop"),
    Transition("Open", "PresentationChanged", "Open", "RefreshCredentials is sent if it says anything new"),
    Transition("Open", "Close from the peer", "Closed", "no Close goes back"),
    Transition("Open", "AddressGone of the first hop", "Closed", "the way to the peer is gone"),
    Transition("Open", "StopRequested; AccessLost", "Closed", "one Close is sent"),
    Transition("Closed", "any", "Closed", "ignored"),
)

_CLOSE: Final = encode_channel_message(Close())


def opened(state: Open, admits: AccessControl) -> Effects:
    """Return what the node must know of a channel that has just opened; it lives while its peer is admitted."""
    encryptor = state.addresses.encryptor
    worker = state.addresses.decryptor_remote
    return (
        CancelTimer("handshake"),
        NamePeer(encryptor, state.peer),
        watch(state.remote_route),
        Report(ChannelOpened(worker, encryptor, state.peer, state.initiator)),
        *(() if admits is ALLOW_ALL else (Guard(admits, state.peer),)),
    )


def watch(route: Route) -> Watch:
    """Watch the first hop of a way, and what the node behind it says of the second."""
    return Watch(route[0], route[1] if len(route) > 1 else None)


def receive(state: Open, event: WorkerEvent) -> tuple[Open | Closed, Effects]:
    """Advance an open channel by one event; peer input never raises."""
    match event:
        case MessageReceived(destination, source, message):
            if destination == state.addresses.encryptor:
                return _encrypt(state, source, message)
            if destination == state.addresses.decryptor_remote:
                return _decrypt(state, source, message)
            return state, (drop("not-an-input", "this address of a channel takes no messages", source, message),)
        case AddressGone(address) if address == state.remote_route[0]:
            return _end(state, "the way to the peer is gone")
        case StopRequested(reason):
            return _stop(state, reason)
        case AccessLost(reason):
            closed, effects = _stop(state, reason)
            return closed, (*effects, StopWorker(state.addresses.decryptor_remote, reason))
        case PresentationChanged(identity, credential):
            return present(state, Presented(identity.identity.history.encoded, credential))
        case PeerCompared(str(refusal)):
            return state, (Report(CredentialRefused(state.peer, refusal)),)
        case _:
            return state, ()


def present(state: Open, latest: Presented) -> tuple[Open | Closed, Effects]:
    """Tell the peer what changed of us, if anything did; an end that presents no credential goes on to present none."""
    authority, presented = state.terms
    if presented.credential is None or latest.credential is None:
        latest = Presented(latest.history, presented.credential)
    if latest == presented:
        return state, ()
    credentials = () if latest.credential is None else (latest.credential,)
    message = RefreshCredentials(latest.history, credentials)
    try:
        sending, packet = seal(state.sending, encode_channel_message(message))
    except MisuseError as error:
        return _end(state, str(error))
    outer = LocalMessage(state.remote_route, (), packet)
    state = replace(state, sending=sending, terms=Terms(authority, latest))
    return state, (Forward(state.addresses.encryptor, outer),)


def _encrypt(state: Open, source: Address, message: LocalMessage) -> tuple[Open | Closed, Effects]:
    onward_route = message.onward_route[1:]
    if not onward_route:
        return state, (drop("incomplete-route", "nothing follows the channel in the route", source, message),)
    payload = message.payload
    prefix, suffix = channel_payload_parts(onward_route, message.return_route, len(payload))
    try:
        sending, packet = seal(state.sending, b"".join((prefix, payload, suffix)))
    except MisuseError as error:
        return _end(state, str(error))
    outer = LocalMessage(state.remote_route, (), packet, (), message.tracing_context)
    return _with(state, sending, state.receiving), (Forward(state.addresses.encryptor, outer),)


def _decrypt(state: Open, source: Address, message: LocalMessage) -> tuple[Open | Closed, Effects]:
    packet = message.payload
    try:
        receiving, plaintext = open_packet(state.receiving, packet)
    except PeerError as error:
        return state, (drop(error.code, str(error), source, message),)
    if not was_due(state.receiving.window, receiving.window):
        state = replace(state, local_info=with_one_more_gap(state.local_info))
    try:
        content = decode_channel_message(plaintext)
    except DecodeError as error:
        return _with(state, state.sending, receiving), (drop("bad-channel-message", str(error), source, message),)
    if isinstance(content, ChannelPayload):
        addresses = state.addresses
        inner = LocalMessage(
            content.onward_route,
            (addresses.encryptor, *content.return_route),
            content.payload,
            state.local_info,
            message.tracing_context,
        )
        forward = Forward(addresses.decryptor_internal, inner)
        nonce = int.from_bytes(packet[:8], "big")
        if state.initiator or nonce <= state.route_nonce:
            return _with(state, state.sending, receiving), (forward,)
        return _learn_route(state, receiving, message.return_route, nonce, forward)
    state = _with(state, state.sending, receiving)
    if isinstance(content, Close):
        return _end(state, "the peer closed the channel")
    return state, (_refresh(state, content, source, message),)


def _refresh(state: Open, content: RefreshCredentials, source: Address, message: LocalMessage) -> ComparePeer | Report:
    """Steps 2a to 2e and 5 of facts 04 section 2.8; the keys of the channel stay what they are."""
    try:
        history = decode_change_history(content.change_history)
        identity = verify_change_history(history, expected=Identifier(state.peer))
    except (DecodeError, VerificationError) as error:
        return drop("bad-refresh", str(error), source, message)
    return ComparePeer(identity, content.credentials, state.terms.authority)


def _learn_route(
    state: Open, receiving: ReceivingState, return_route: Route, nonce: int, forward: Forward
) -> tuple[Open, Effects]:
    """Follow the peer to another way: only a newer Payload may teach one to a responder (facts 04 section 3.11)."""
    before = state.remote_route
    route = (*return_route, before[-1])
    state = Open(
        state.addresses,
        state.initiator,
        state.sending,
        receiving,
        route,
        state.local_info,
        state.peer,
        state.terms,
        nonce,
    )
    return state, (forward,) if route[:2] == before[:2] else (watch(route), forward)


def _with(state: Open, sending: SendingState, receiving: ReceivingState) -> Open:
    """``replace`` costs three times as much, and this runs once for every message."""
    return Open(
        state.addresses,
        state.initiator,
        sending,
        receiving,
        state.remote_route,
        state.local_info,
        state.peer,
        state.terms,
        state.route_nonce,
    )


def _stop(state: Open, reason: str) -> tuple[Closed, Effects]:
    """Say Close once, as the last message of this end."""
    closed = _closed(state, reason)
    try:
        _, packet = seal(state.sending, _CLOSE)
    except MisuseError:
        return Closed(), (closed,)
    addresses = state.addresses
    outer = LocalMessage(state.remote_route, (addresses.encryptor,), packet)
    return Closed(), (Forward(addresses.encryptor, outer), closed)


def _end(state: Open, reason: str) -> tuple[Closed, Effects]:
    return Closed(), (_closed(state, reason), StopWorker(state.addresses.decryptor_remote, reason))


def _closed(state: Open, reason: str) -> Report:
    return Report(ChannelClosed(state.addresses.decryptor_remote, state.addresses.encryptor, reason))


def drop(rule: str, detail: str, source: Address, message: LocalMessage) -> Report:
    """Record a message that goes no further."""
    return Report(MessageDropped(rule, detail, source, message.onward_route, message.return_route))
