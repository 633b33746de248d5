"""What happens in a node, as events of the command line."""

from ockam_ref.asyncio import SessionEvent, Stream, WayLost, WayMoved, WayRestored
from ockam_ref.cli.output import Output, printable
from ockam_ref.identities.identifier import Identifier
from ockam_ref.observations import (
    ChannelClosed,
    ChannelOpened,
    ConnectionClosed,
    ConnectionOpened,
    CredentialAccepted,
    CredentialRefused,
    HandshakeFailed,
    HopExplained,
    LinkLost,
    MessageDropped,
    Observation,
    PeerLearned,
    PunctureClosed,
    PunctureNegotiated,
    PunctureOpened,
    PunctureSilent,
    RelayFailed,
    RelayReady,
    RelayRegistered,
    RelayRemoved,
    SteadyLinkClosed,
    SteadyLinkMoved,
)


async def print_observations(observations: Stream[Observation], output: Output, *, links: bool) -> None:
    """Print what happens in a node, for ever; ``links`` says whether lost links are told here or by a session."""
    async for observation in observations:
        if links or not isinstance(observation, LinkLost):
            print_observation(observation, output)


async def print_way(events: Stream[SessionEvent], output: Output, other_end: str) -> None:
    """Print when a session loses its way to the other end, and when it is there again."""
    async for event in events:
        match event:
            case WayLost(reason):
                sentence = f"The way to {other_end} is lost: {reason}. Trying again."
                output.event("link-lost", sentence, reason=reason)
            case WayMoved(direct):
                place = "directly, over UDP" if direct else f"through {other_end}"
                output.event("way-moved", f"The portal goes {place} now.", direct=direct)
            case WayRestored(attempts):
                output.event("link-restored", f"The way to {other_end} is there again.", attempts=attempts)
            case ConnectionOpened() | ConnectionClosed():
                pass  # the node's own observations tell of those


def print_observation(observation: Observation, output: Output) -> None:
    """Print one observation; drops are for programs only, since a stranger can cause any number of them."""
    match observation:
        case ConnectionOpened(worker, _, side):
            output.event(
                "connection-opened", f"A connection opened ({short(worker.value)}).", side=side, id=name(worker)
            )
        case ConnectionClosed(worker, _, side, reason, sent, received):
            sentence = f"A connection closed ({short(worker.value)}): {reason}; {sent} bytes to it, {received} from it."
            output.event(
                "connection-closed", sentence, side=side, id=name(worker), reason=reason, sent=sent, received=received
            )
        case ChannelOpened(_, _, peer, initiator):
            who = str(Identifier(peer))
            output.event("channel-opened", f"A secure channel with {who} opened.", peer=who, initiator=initiator)
        case ChannelClosed(_, _, reason):
            output.event("channel-closed", f"A secure channel closed: {reason}.", reason=reason)
        case HandshakeFailed(_, reason, initiator):
            # whoever began a handshake tells of its failure himself
            for_people = None if initiator else f"A handshake failed: {reason}."
            output.event("handshake-failed", for_people, reason=reason, initiator=initiator)
        case LinkLost(_, _, reason):
            output.event("link-lost", f"A link was lost: {reason}.", reason=reason)
        case RelayRegistered(_, relay):
            shown = printable(relay, keep="")
            output.event("relay-registered", f"A node can be reached as {shown}.", name=relay)
        case RelayRemoved(_, relay, reason):
            shown = printable(relay, keep="")
            output.event("relay-removed", f"{shown} is gone: {reason}.", name=relay, reason=reason)
        case MessageDropped(rule, detail):
            output.event("message-dropped", rule=rule, detail=detail)
        case PunctureOpened(_, peer):
            output.event("puncture-opened", f"A direct way over UDP to {peer} opened.", peer=peer)
        case PunctureSilent(_, peer):
            output.event("puncture-silent", f"Nothing comes over the direct way to {peer}.", peer=peer)
        case PunctureClosed(_, reason):
            output.event("puncture-closed", f"A direct way over UDP closed: {reason}.", reason=reason)
        case CredentialAccepted(subject, authority, expires_at):
            who, vouching = str(Identifier(subject)), str(Identifier(authority))
            output.event("credential-accepted", peer=who, authority=vouching, expires_at=expires_at)
        case CredentialRefused(subject, reason):
            who = str(Identifier(subject))
            sentence = f"A credential of {who} does not count: {reason}."
            output.event("credential-refused", sentence, peer=who, reason=reason)
        case HopExplained() | PeerLearned():
            return
        case RelayReady() | RelayFailed() | PunctureNegotiated() | SteadyLinkMoved() | SteadyLinkClosed():
            return


def name(address: object) -> str:
    """Return an address as programs see it: without the type of local addresses."""
    return str(address).removeprefix("0#")


def short(value: bytes) -> str:
    """Return the beginning of a long random name: enough for a person to tell two apart."""
    return value.decode(errors="replace")[:8]
