"""How two ends find that both can recover lost pieces, without disturbing one that cannot.

An offer is an ordinary message with an empty onward route, which every node swallows as a heartbeat (facts 02 section
4.3).  Its return route has a marker and a number of the sender's; the answer has the same marker, a number of the
answering end's, and the offer's number again.  The connection is the exclusive or of both numbers, so both ends must
have heard of each other, whoever offered, and nobody who hears neither can name it.  Only then are packets sent.

One machine for each peer; it owns the ``ockam_ref.links.recovery`` state, if there is one.  While an offer of ours is
unanswered its messages wait; after a second they leave as plain datagrams, and so does everything until an answer
comes.  An end that forgot a connection, because it restarted, says so, and the other one offers again.
"""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.links import recovery
from ockam_ref.links.recovery import (
    PACKET_BYTES,
    Deliver,
    Due,
    Failed,
    Left,
    MessageGiven,
    Open,
    PacketsReceived,
    RecoveryEvent,
    Refused,
    Transmit,
    Unknown,
    Waiting,
    WakeAt,
)
from ockam_ref.links.recovery_packets import PIECE_HURRY, Packet, connection_of, encode_gone
from ockam_ref.links.recovery_sender import MAX_WAITING_BYTES
from ockam_ref.links.recovery_stream import Chunk
from ockam_ref.links.rtt import FIRST_RTT_S
from ockam_ref.machine import Transition
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.route import Route

MARKER: Final = local("ockam_ref.recovery.1")
"""First hop of the return route of an offer or an answer."""

OFFER_INTERVAL_S: Final = 0.2
"""An offer is repeated after this time."""

OFFER_S: Final = 1.0
"""Messages wait no longer than this for an answer."""

OFFER_AGAIN_S: Final = 30.0
"""After an offer without an answer messages leave as plain datagrams, and no sooner than this an offer with one."""

IDLE_S: Final = 60.0
"""A connection without traffic for so long is made anew: the other end may have forgotten it."""

MAX_CANDIDATES: Final = 4
"""Numbers of offers of one peer that are remembered; anybody can forge an offer."""

MAX_SPENT: Final = 4
"""Numbers of a peer that began anew, so that what is late of its older connections does nothing."""

LEAST_RTT_S: Final = 0.001
"""What an answer that came sooner says of the round trip."""

_NUMBER_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Agreement:
    """Configuration: 32 random bytes, whether this end offers by itself, and the longest packet."""

    secret: bytes
    offers: bool
    packet: int = PACKET_BYTES

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Agreement(offers={self.offers}, packet={self.packet})"


# ---- events beside those of recovery, and effects beside its own


class HeartbeatReceived(NamedTuple):
    """A message without an onward route came, with this return route."""

    return_route: Route
    now: float


AgreementEvent: TypeAlias = MessageGiven | PacketsReceived | HeartbeatReceived | Due | Left


class SendHeartbeat(NamedTuple):
    """Send a message with an empty onward route and this return route, in plain datagrams."""

    return_route: Route


class SendPlain(NamedTuple):
    """Send this message in plain datagrams."""

    chunks: tuple[Chunk, ...]


class Agreed(NamedTuple):
    """From now on (or no more) messages to this peer have to be given to this machine."""

    agreed: bool


AgreementEffect: TypeAlias = (
    Transmit | Deliver | WakeAt | Waiting | Refused | Failed | SendHeartbeat | SendPlain | Agreed
)
AgreementEffects: TypeAlias = tuple[AgreementEffect, ...]

# ---- states


class Numbers(NamedTuple):
    """What connections with this peer are named by.

    ``generation`` counts ours that ended, for each has a number of its own; ``candidates`` are numbers of offers, and
    ``spent`` those of the connection that is there and of earlier ones.
    """

    config: Agreement
    generation: int = 0
    candidates: tuple[int, ...] = ()
    spent: tuple[int, ...] = ()

    @property
    def ours(self) -> int:
        """Our number for the connection that is, or would be, there."""
        digest = sha256(self.config.secret + self.generation.to_bytes(8, "big")).digest()
        return int.from_bytes(digest[:_NUMBER_BYTES], "big")

    def __repr__(self) -> str:
        """Show none of them: who knows them can end the connection."""
        return f"Numbers({self.config}, generation={self.generation})"


class Plain(NamedTuple):
    """No connection: messages leave as plain datagrams.

    ``quiet_until`` is when the next offer may go with one, ``waits`` whether a message waits for its answer then.
    """

    numbers: Numbers
    quiet_until: float = 0.0
    waits: bool = True


class Offering(NamedTuple):
    """An offer of ours is unanswered, and ``held`` messages of ``waiting`` bytes wait until ``until``."""

    numbers: Numbers
    offer_at: float
    offered_at: float
    until: float
    held: tuple[tuple[Chunk, ...], ...]
    waiting: int


class Recovering(NamedTuple):
    """There is a connection; ``used_at`` is when anything was given or came."""

    numbers: Numbers
    connection: Open
    used_at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: nothing is taken and nothing is said."""


Present: TypeAlias = Plain | Offering | Recovering
AgreementState: TypeAlias = Present | Ended
Outcome: TypeAlias = tuple[Present, AgreementEffects]

TRANSITIONS: Final = (
    Transition("Plain", "MessageGiven", "Plain", "as plain datagrams; where we offer, one more offer now and then"),
    Transition("Plain", "MessageGiven", "Offering", "where we offer and never waited in vain: it waits"),
    Transition("Plain", "HeartbeatReceived", "Plain", "an offer: it is answered"),
    Transition("Plain", "HeartbeatReceived", "Recovering", "an answer to an offer of ours"),
    Transition("Plain", "PacketsReceived", "Recovering", "of a connection that an answer of ours allowed"),
    Transition("Offering", "HeartbeatReceived", "Recovering", "an answer: what waits is sent"),
    Transition("Offering", "PacketsReceived", "Recovering", "as above"),
    Transition("Offering", "Due", "Offering", "the offer is repeated"),
    Transition("Offering", "Due", "Plain", "no answer for a second: what waits leaves as plain datagrams"),
    Transition("Recovering", "any", "Recovering", "as the connection does"),
    Transition("Recovering", "HeartbeatReceived, PacketsReceived", "Recovering", "of a peer that began anew"),
    Transition("Recovering", "MessageGiven", "Offering", "after a long pause"),
    Transition("Recovering", "any", "Plain", "the connection failed"),
    Transition("any", "Left", "Ended", "the peer is told"),
)


def start(config: Agreement) -> Plain:
    """Return the state in front of a peer of which nothing is known."""
    return Plain(Numbers(config))


def receive(state: AgreementState, event: AgreementEvent) -> tuple[AgreementState, AgreementEffects]:
    """Advance by one event; the peer's input never raises."""
    if isinstance(state, Ended):
        return state, ()
    match event:
        case MessageGiven(chunks, now):
            return _give(state, chunks, now)
        case PacketsReceived(packets, now):
            if isinstance(state, Recovering):
                return _step(state._replace(used_at=now), [event], [])
            return _receive_unknown(state, packets, now, [])
        case HeartbeatReceived(return_route, now):
            return _hear(state, return_route, now)
        case Due(now):
            return _be_due(state, now)
        case _:
            if not isinstance(state, Recovering):
                return Ended(), (Waiting(0),) if isinstance(state, Offering) else ()
            gone = Transmit((encode_gone(state.connection.sender.connection),))
            return Ended(), (gone, Waiting(0)) if state.connection.waiting else (gone,)


def is_marked(return_route: Route) -> bool:
    """Whether a message without an onward route is an offer or an answer."""
    return bool(return_route) and return_route[0] == MARKER


def _hop(number: int) -> Address:
    return Address(0, number.to_bytes(_NUMBER_BYTES, "big"))


def _offer(numbers: Numbers) -> SendHeartbeat:
    return SendHeartbeat((MARKER, _hop(numbers.ours)))


# ---- messages of ours


def _give(state: Present, chunks: tuple[Chunk, ...], now: float) -> Outcome:
    if isinstance(state, Recovering):
        if now - state.used_at <= IDLE_S or state.connection.sender.kept:
            return _step(state._replace(used_at=now), [MessageGiven(chunks, now)], [])
        config = replace(state.numbers.config, offers=True)
        state = Plain(Numbers(config, state.numbers.generation + 1))
    length = sum(map(len, chunks))
    if isinstance(state, Offering):
        if state.waiting + length > MAX_WAITING_BYTES:
            return state, (Refused("recovery-full", f"{state.waiting} bytes wait for the peer's answer already"),)
        waiting = state.waiting + length
        return state._replace(held=(*state.held, chunks), waiting=waiting), (Waiting(waiting),)
    if not state.numbers.config.offers or now < state.quiet_until:
        return state, (SendPlain(chunks),)
    offer = _offer(state.numbers)
    if not state.waits:
        return state._replace(quiet_until=now + OFFER_AGAIN_S), (offer, SendPlain(chunks))
    offering = Offering(state.numbers, now + OFFER_INTERVAL_S, now, now + OFFER_S, (chunks,), length)
    return offering, (offer, WakeAt(offering.offer_at), Waiting(length))


def _be_due(state: Present, now: float) -> Outcome:
    if isinstance(state, Recovering):
        return _step(state, [Due(now)], [])
    if isinstance(state, Plain):
        return state, ()
    if now >= state.until:
        plain = Plain(state.numbers, now + OFFER_AGAIN_S, waits=False)
        return plain, (*(SendPlain(chunks) for chunks in state.held), Waiting(0), Agreed(agreed=False))
    if now < state.offer_at:
        return state, (WakeAt(state.offer_at),)
    state = state._replace(offer_at=now + OFFER_INTERVAL_S, offered_at=now)
    return state, (_offer(state.numbers), WakeAt(min(state.offer_at, state.until)))


# ---- what the peer says


def _hear(state: Present, return_route: Route, now: float) -> Outcome:
    values = [value for kind, value in return_route[1:] if kind == 0 and len(value) == _NUMBER_BYTES]
    if not is_marked(return_route) or len(return_route) not in {2, 3} or len(values) != len(return_route) - 1:
        return state, (Refused("recovery-offer", "neither an offer nor an answer"),)
    numbers = state.numbers
    theirs = int.from_bytes(values[0], "big")
    if len(values) == 1:
        if theirs not in numbers.spent:
            others = [one for one in numbers.candidates if one != theirs]
            state = state._replace(numbers=numbers._replace(candidates=(*others, theirs)[-MAX_CANDIDATES:]))
        return state, (SendHeartbeat((MARKER, _hop(numbers.ours), _hop(theirs))),)
    if values[1] != _hop(numbers.ours).value or theirs in numbers.spent:
        return state, ()  # the answer to an offer of long ago, or once more to one that was answered
    return _step(*_begin(state, theirs, now))


def _begin(state: Present, theirs: int, now: float) -> tuple[Recovering, list[RecoveryEvent], list[AgreementEffect]]:
    """Both numbers are known: return a connection and what it has to take; one with an older number of theirs ends."""
    numbers = state.numbers
    numbers = numbers._replace(candidates=(), spent=(*numbers.spent, theirs)[-MAX_SPENT:])
    effects: list[AgreementEffect] = []
    expected_rtt_s, waiting = FIRST_RTT_S, 0
    held: tuple[tuple[Chunk, ...], ...] = ()
    if isinstance(state, Recovering):
        effects += (Failed("the peer began anew", state.connection.sender.kept), Waiting(0))
    elif isinstance(state, Offering):
        held, waiting, expected_rtt_s = state.held, state.waiting, max(now - state.offered_at, LEAST_RTT_S)
    config = recovery.Recovery(numbers.ours ^ theirs, numbers.config.packet, expected_rtt_s)
    connection = recovery.start(config, now)._replace(waiting=waiting)
    effects.append(Agreed(agreed=True))
    return Recovering(numbers, connection, now), [MessageGiven(chunks, now) for chunks in held], effects


def _receive_unknown(
    state: Present, packets: tuple[Packet, ...], now: float, effects: list[AgreementEffect]
) -> Outcome:
    """Packets of a connection that is not there: an answer of ours may have allowed it, or it has ended."""
    named = {connection_of(packet) for packet in packets}
    ours = state.numbers.ours
    for theirs in state.numbers.candidates:
        if ours ^ theirs in named:
            began, events, said = _begin(state, theirs, now)
            return _step(began, [*events, PacketsReceived(packets, now)], [*effects, *said], beginning=True)
    effects.append(Refused("recovery-unknown", f"{len(packets)} packets of a connection that is not there"))
    strange = connection_of(packets[0])
    if strange is not None and packets[0][0] <= PIECE_HURRY:
        effects.append(Transmit((encode_gone(strange),)))
    return state, tuple(effects)


def _step(
    state: Recovering, events: list[RecoveryEvent], effects: list[AgreementEffect], *, beginning: bool = False
) -> Outcome:
    """Let the connection take events, and see to what it cannot do itself."""
    connection: recovery.RecoveryState = state.connection
    strange: list[Packet] = []
    for event in events:
        connection, said = recovery.receive(connection, event)
        for effect in said:
            if isinstance(effect, Unknown):
                strange += effect.packets
            else:
                effects.append(effect)
    if not isinstance(connection, Open):  # its number is not used again
        numbers = Numbers(state.numbers.config, state.numbers.generation + 1)
        return Plain(numbers), (*effects, Waiting(0), Agreed(agreed=False))
    state = Recovering(state.numbers, connection, state.used_at)
    if strange and not beginning:
        return _receive_unknown(state, tuple(strange), events[-1].now, effects)
    return state, tuple(effects)
