"""What both ends of a channel handshake share: addresses, the steps of XX, the check of the peer, the open state."""

from dataclasses import dataclass, replace

from ockam_ref.channels.channel import ChannelAddresses, Closed, Open, Presented, Terms, present
from ockam_ref.channels.data_phase import start_receiving, start_sending
from ockam_ref.channels.trust import TrustPolicy, is_trusted
from ockam_ref.effects import Effects
from ockam_ref.errors import ErrorCode, VerificationError
from ockam_ref.events import PresentationChanged
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.identities.presentation import (
    Presentation,
    VerifiedPeer,
    decode_presentation,
    encode_presentation,
    verify_presentation,
)
from ockam_ref.machine import FlowControlId, Fresh, Mailbox
from ockam_ref.noise.handshake import Completed, HandshakeState, Role, Step
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AccessControl, AllowConsumers
from ockam_ref.wire.local_message import channel_local_info
from ockam_ref.wire.route import Route


@dataclass(frozen=True, slots=True)
class End:
    """One end while it shakes hands: who it is, whom it trusts, how it is addressed.

    ``authority`` is whose credentials count here, ``credential`` what we present ourselves, one CBOR item.  The open
    channel lives for as long as ``admits`` allows its peer.  What
    changed of us meanwhile, ``latest``, is presented once the channel is open: a handshake ends with the keys with
    which it began.
    """

    addresses: ChannelAddresses
    identity: LocalIdentity
    trust: TrustPolicy
    authority: bytes | None = None
    credential: bytes | None = None
    admits: AccessControl = ALLOW_ALL
    latest: Presented | None = None

    def present(self) -> bytes:
        """Return the payload of handshake message 2 or 3."""
        identity = self.identity
        if self.credential is None:
            return identity.presentation
        presentation = Presentation(identity.identity.history, identity.attestation, (self.credential,))
        return encode_presentation(presentation)

    def presented(self) -> Presented:
        """Return what the peer knows of us once it has that payload."""
        return Presented(self.identity.identity.history.encoded, self.credential)

    def note(self, changed: PresentationChanged) -> "End":
        """Return the end that will present what changed of us."""
        return replace(self, latest=Presented(changed.identity.identity.history.encoded, changed.credential))


def draw_addresses(fresh: Fresh) -> ChannelAddresses:
    """Name the addresses drawn for one end."""
    remote, internal, encryptor = fresh.addresses
    return ChannelAddresses(remote, internal, encryptor)


def mailboxes(
    addresses: ChannelAddresses, flow_control_id: FlowControlId, spawner_id: FlowControlId | None
) -> tuple[Mailbox, ...]:
    """Return the mailboxes of one end (facts 04 section 2.1)."""
    return (
        Mailbox(addresses.decryptor_remote, ALLOW_ALL, ALLOW_ALL),
        Mailbox(addresses.decryptor_internal, DENY_ALL, AllowConsumers(flow_control_id, spawner_id)),
        Mailbox(addresses.encryptor, ALLOW_ALL, ALLOW_ALL, terminal=True),
    )


def check_peer(end: End, payload: bytes, noise_static: bytes, unix: int) -> VerifiedPeer:
    """Verify what the peer presented, in the order of facts 04 section 2.8, up to the comparison with what is known.

    Raises:
        DecodeError: the payload is no presentation.
        VerificationError: a signature, a time, the binding to the Noise key, or the trust policy says no.
    """
    peer = verify_presentation(decode_presentation(payload), noise_static=noise_static, now=unix)
    identifier = peer.identity.identifier
    if not is_trusted(end.trust, identifier.value):
        raise VerificationError(ErrorCode.NOT_TRUSTED, f"the trust policy does not accept {identifier}")
    return peer


def first_open_state(end: End, completed: Completed, peer: bytes, remote_route: Route) -> Open:
    """Return the open channel that a completed handshake makes."""
    return Open(
        end.addresses,
        completed.role is Role.INITIATOR,
        start_sending(completed.sending),
        start_receiving(completed.receiving),
        remote_route,
        (channel_local_info(peer),),
        peer,
        Terms(end.authority, end.presented()),
    )


def catch_up(state: Open, end: End) -> tuple[Open | Closed, Effects]:
    """Present what changed of us during the handshake, if anything did."""
    return (state, ()) if end.latest is None else present(state, end.latest)


def between(step: Step) -> HandshakeState:
    """Return the state between two messages; XX completes with message 3 and no sooner."""
    if isinstance(step, Completed):
        raise TypeError("the handshake completed before its last message")
    return step


def completed(step: Step) -> Completed:
    """Return the end of the handshake; XX has no message after message 3."""
    if isinstance(step, HandshakeState):
        raise TypeError("the handshake goes on after its last message")
    return step
