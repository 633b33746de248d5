"""Recovery of lost pieces between our own ends: whole messages, in order, each once, over packets that may be lost.

One machine for both directions of a connection.  It knows neither UDP nor sockets: packets are bytes of a given
greatest length, time is an argument, and what is random (the connection's number) was agreed before, see
``ockam_ref.links.recovery_agreement``.

Each direction is a stream with its own packet numbers.  Selective acknowledgements, a round-trip estimate, loss by
packets overtaken or by time, and probes are those of RFC 9002; the pace is that of ``ockam_ref.links.congestion``.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.errors import DecodeError
from ockam_ref.links import recovery_sender as sending
from ockam_ref.links.form import Broken
from ockam_ref.links.recovery_packets import (
    ACKNOWLEDGEMENT,
    GONE,
    GONE_BYTES,
    Packet,
    connection_of,
    decode_acknowledgement,
    encode_gone,
)
from ockam_ref.links.recovery_receiver import WINDOW_BYTES, Receiver, acknowledge_now, sort_packets, take
from ockam_ref.links.recovery_sender import MAX_WAITING_BYTES, Sender, first_sender
from ockam_ref.links.recovery_stream import Chunk
from ockam_ref.links.rtt import FIRST_RTT_S
from ockam_ref.machine import Transition
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH

PACKET_BYTES: Final = 1200
"""Length of the longest packet unless a caller knows better: what QUIC takes every path to carry."""

MIN_PACKET_BYTES: Final = 508
"""No path may take less: the longest acknowledgement has to fit, and every UDP path takes as much."""

SILENCE_S: Final = 30.0
"""A peer that says nothing for so long while it should acknowledge something is given up."""

LEAST_WAKE_S: Final = 0.001
"""A machine asks to be woken no sooner than this: it never keeps its host busy with timers."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Configuration: the agreed number, the longest packet, and what is known of the path."""

    connection: int
    packet: int = PACKET_BYTES
    expected_rtt_s: float = FIRST_RTT_S
    silence_s: float = SILENCE_S


# ---- events


class MessageGiven(NamedTuple):
    """The owner wants this message carried; its chunks are joined."""

    chunks: tuple[Chunk, ...]
    now: float


class PacketsReceived(NamedTuple):
    """Packets came in, in this order."""

    packets: tuple[Packet, ...]
    now: float


class Due(NamedTuple):
    """The time of the last ``WakeAt`` has come (or an earlier one's: that harms nothing)."""

    now: float


class PathChanged(NamedTuple):
    """Packets go another way from now on, and may have this length there."""

    packet: int
    now: float
    expected_rtt_s: float = FIRST_RTT_S


class Left(NamedTuple):
    """The owner wants no more of it."""

    now: float


RecoveryEvent: TypeAlias = MessageGiven | PacketsReceived | Due | PathChanged | Left

# ---- effects


class Transmit(NamedTuple):
    """Send the packets, in order."""

    packets: tuple[bytes, ...]


class Deliver(NamedTuple):
    """These messages are complete, in order."""

    messages: tuple[memoryview, ...]


class WakeAt(NamedTuple):
    """Say ``Due`` at this time; replaces what was asked before."""

    at: float


class Waiting(NamedTuple):
    """So many bytes wait to be sent for the first time; a host holds those who give them."""

    bytes: int


class Refused(NamedTuple):
    """Something was not taken: a message that was given, or a packet."""

    rule: str
    detail: str


class Unknown(NamedTuple):
    """Packets of another connection came; the owner knows whether that one begins now or is long over."""

    packets: tuple[Packet, ...]


class Failed(NamedTuple):
    """The connection is over; ``lost`` bytes of messages were not acknowledged, and may have come or not."""

    reason: str
    lost: int


RecoveryEffect: TypeAlias = Transmit | Deliver | WakeAt | Waiting | Refused | Unknown | Failed
RecoveryEffects: TypeAlias = tuple[RecoveryEffect, ...]

# ---- states


class Open(NamedTuple):
    """Both directions; ``heard_at`` is when the peer last said anything, ``wake_at`` what the host was asked for."""

    sender: Sender
    receiver: Receiver
    silence_s: float
    heard_at: float
    wake_at: float | None = None
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: nothing is taken and nothing is said."""

    reason: str


RecoveryState: TypeAlias = Open | Ended

TRANSITIONS: Final = (
    Transition("Open", "MessageGiven", "Open", "sent at once where window and pace let it, or refused"),
    Transition("Open", "PacketsReceived", "Open", "messages, acknowledgements, and what these let go"),
    Transition("Open", "PacketsReceived", "Ended", "the peer says that it is gone, or broke the stream"),
    Transition("Open", "Due", "Open", "an acknowledgement, a burst, what is lost by time, a probe"),
    Transition("Open", "Due", "Ended", "the peer was silent for too long"),
    Transition("Open", "PathChanged", "Open", "what is on its way leaves again, nothing of the old path is believed"),
    Transition("Open", "Left", "Ended", "the peer is told"),
    Transition("Ended", "any", "Ended", "ignored"),
)


def start(config: Recovery, now: float) -> Open:
    """Return the state of a connection that was just agreed."""
    packet = max(config.packet, MIN_PACKET_BYTES)
    return Open(
        first_sender(config.connection, packet, config.expected_rtt_s, WINDOW_BYTES, now),
        Receiver(config.connection),
        config.silence_s,
        now,
    )


def receive(state: RecoveryState, event: RecoveryEvent) -> tuple[RecoveryState, RecoveryEffects]:
    """Advance the connection by one event; the peer's input never raises."""
    if isinstance(state, Ended):
        return state, ()
    match event:
        case MessageGiven(chunks, now):
            return _give(state, chunks, now)
        case PacketsReceived(packets, now):
            return _receive_packets(state, packets, now)
        case Due(now):
            return _be_due(state, now)
        case PathChanged(packet, now, expected_rtt_s):
            packet = max(packet, MIN_PACKET_BYTES)
            sender = sending.on_new_path(state.sender, packet, expected_rtt_s, now)
            return _go_on(state._replace(sender=sender, heard_at=now), [], now)
        case _:
            return Ended("left"), (Transmit((encode_gone(state.sender.connection),)),)


def _give(state: Open, chunks: tuple[Chunk, ...], now: float) -> tuple[RecoveryState, RecoveryEffects]:
    sender = state.sender
    length = sum(map(len, chunks))
    if length > MAX_MESSAGE_LENGTH:
        return state, (Refused("too-long", f"a message of {length} bytes; {MAX_MESSAGE_LENGTH} is the limit"),)
    if sender.kept + length > MAX_WAITING_BYTES:
        return state, (Refused("recovery-full", f"{sender.kept} bytes wait already; {MAX_WAITING_BYTES} is the limit"),)
    if not sender.flight and not sender.again and not sender.waiting:
        state = state._replace(heard_at=max(state.heard_at, now))
    return _go_on(state._replace(sender=sending.give(sender, chunks)), [], now)


def _receive_packets(state: Open, packets: tuple[Packet, ...], now: float) -> tuple[RecoveryState, RecoveryEffects]:
    sender, receiver = state.sender, state.receiver
    rows, hurry, others = sort_packets(packets, sender.connection)
    effects: list[RecoveryEffect] = []
    is_heard = bool(rows)
    if rows:
        receiver, messages = take(receiver, rows, now, hurry=hurry)
        if messages:
            effects.append(Deliver(tuple(messages)))
        if isinstance(receiver.framing, Broken):
            return _fail(state, receiver.framing.reason, effects, tell=True)
    unknown: list[Packet] = []
    for packet in others:
        if connection_of(packet) != sender.connection:
            unknown.append(packet)
        elif packet[0] == ACKNOWLEDGEMENT:
            try:
                acknowledgement = decode_acknowledgement(packet)
            except DecodeError as error:
                effects.append(Refused("recovery-packet", str(error)))
                continue
            if acknowledgement.ranges[-1][1] > sender.next_number:
                effects.append(Refused("recovery-packet", "an acknowledgement of what was never sent"))
                continue
            is_heard = True
            sender = sending.acknowledge(sender, acknowledgement, now)
        elif packet[0] == GONE and len(packet) == GONE_BYTES:
            return _fail(state._replace(sender=sender), "the peer does not know the connection any more", effects)
        else:
            effects.append(Refused("recovery-packet", f"a packet of {len(packet)} bytes and kind {packet[0]}"))
    if unknown:
        effects.append(Unknown(tuple(unknown)))
    if receiver is state.receiver and sender is state.sender:
        return state, tuple(effects)
    heard_at = now if is_heard else state.heard_at
    return _go_on(Open(sender, receiver, state.silence_s, heard_at, state.wake_at, state.waiting), effects, now)


def _be_due(state: Open, now: float) -> tuple[RecoveryState, RecoveryEffects]:
    state = state._replace(wake_at=None)
    sender = state.sender
    if sender.flight and now >= _silent_until(state):
        return _fail(state, f"the peer has said nothing for {state.silence_s:g} s", [], tell=True)
    effects: list[RecoveryEffect] = []
    if sender.lost_at is not None and sender.lost_at <= now:
        sender = sending.look_for_losses(sender, now)
    if sending.is_probe_due(sender, now):
        sender, packets = sending.probe(sender, now)
        effects.append(Transmit(tuple(packets)))
    return _go_on(state._replace(sender=sender), effects, now)


def _silent_until(state: Open) -> float:
    return max(state.heard_at, state.sender.outstanding_since) + state.silence_s


def _go_on(state: Open, effects: list[RecoveryEffect], now: float) -> tuple[RecoveryState, RecoveryEffects]:
    """Send what may leave, acknowledge what is due, and ask to be woken for the rest."""
    receiver = state.receiver
    sender, packets = sending.transmit(state.sender, now)
    if receiver.ack_at is not None and receiver.ack_at <= now:
        receiver, acknowledgement = acknowledge_now(receiver, now)
        packets = [acknowledgement, *packets]
    if packets:
        effects.append(Transmit(tuple(packets)))
    waiting = sender.waiting
    if waiting != state.waiting:
        effects.append(Waiting(waiting))
    wake_at = state.wake_at
    wanted = _wanted(sender, receiver, state)
    if wanted is not None:
        wanted = max(wanted, now + LEAST_WAKE_S)
        if wake_at is None or wanted < wake_at:
            wake_at = wanted
            effects.append(WakeAt(wanted))
    return Open(sender, receiver, state.silence_s, state.heard_at, wake_at, waiting), tuple(effects)


def _wanted(sender: Sender, receiver: Receiver, state: Open) -> float | None:
    """Return when something will be due if nothing happens before."""
    wanted = sending.next_deadline(sender)
    if sender.flight:
        silent_until = max(state.heard_at, sender.outstanding_since) + state.silence_s
        wanted = silent_until if wanted is None else min(wanted, silent_until)
    if receiver.ack_at is not None and (wanted is None or receiver.ack_at < wanted):
        return receiver.ack_at
    return wanted


def _fail(
    state: Open, reason: str, effects: list[RecoveryEffect], *, tell: bool = False
) -> tuple[RecoveryState, RecoveryEffects]:
    if tell:
        effects.append(Transmit((encode_gone(state.sender.connection),)))
    effects.append(Failed(reason, state.sender.kept))
    return Ended(reason), tuple(effects)
