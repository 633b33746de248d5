import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, PeerError
from ockam_ref.noise.handshake import (
    MAX_MESSAGE_LENGTH,
    Completed,
    HandshakeState,
    Role,
    Step,
    initialize,
    read_message,
    write_message,
)
from ockam_ref.noise.patterns import NOISE_XX_25519_AESGCM_SHA256, OCKAM_XX_25519_AES256_GCM_SHA256, Pattern, Token
from ockam_ref.noise.primitives import KeyPair

SUITE = OCKAM_XX_25519_AES256_GCM_SHA256
INITIATOR_STATIC, INITIATOR_EPHEMERAL, RESPONDER_STATIC, RESPONDER_EPHEMERAL = (
    KeyPair.from_private_bytes(bytes([number]) * 32) for number in range(1, 5)
)
EPHEMERALS = {Role.INITIATOR: INITIATOR_EPHEMERAL, Role.RESPONDER: RESPONDER_EPHEMERAL}
IX = Pattern("IX", ((Token.E, Token.S), (Token.E, Token.EE, Token.SE, Token.S, Token.ES)))


def going_on(step: Step) -> HandshakeState:
    assert isinstance(step, HandshakeState)
    return step


def completed(step: Step) -> Completed:
    assert isinstance(step, Completed)
    return step


class Ends:
    """Both ends of a handshake that goes well up to message ``turn``."""

    def __init__(self, turn: int = 0, *, pattern: Pattern = SUITE.pattern, payload: bytes = b"") -> None:
        suite = replace(SUITE, pattern=pattern)
        self.ends: list[Step] = [
            initialize(suite, Role.INITIATOR, static=INITIATOR_STATIC),
            initialize(suite, Role.RESPONDER, static=RESPONDER_STATIC),
        ]
        self.turn = 0
        while self.turn < turn:
            self.read(self.write(payload))

    @property
    def writer(self) -> HandshakeState:
        return going_on(self.ends[self.turn % 2])

    @property
    def reader(self) -> HandshakeState:
        return going_on(self.ends[1 - self.turn % 2])

    def write(self, payload: bytes = b"") -> bytes:
        ephemeral = EPHEMERALS[self.writer.role] if Token.E in self.writer.next_tokens else None
        self.ends[self.turn % 2], message = write_message(self.writer, payload, ephemeral=ephemeral)
        return message

    def read(self, message: bytes) -> bytes:
        self.ends[1 - self.turn % 2], payload = read_message(self.reader, message)
        self.turn += 1
        return payload


@pytest.mark.parametrize(("turn", "overhead"), [(0, 32), (1, 96), (2, 64)])
@pytest.mark.parametrize("size", [0, 1, 323])
@pytest.mark.spec("NOISE-10", "NOISE-11")
def test_lengths(turn: int, overhead: int, size: int) -> None:
    ends = Ends(turn)
    message = ends.write(bytes(size))
    assert len(message) == overhead + size
    assert ends.read(message) == bytes(size)


@pytest.mark.spec("NOISE-10")
def test_message_1_is_the_ephemeral_key_and_clear_text() -> None:
    assert Ends().write(b"hello") == INITIATOR_EPHEMERAL.public + b"hello"


@pytest.mark.spec("NOISE-18", "NOISE-19")
def test_both_ends_agree_and_send_with_unlike_keys() -> None:
    initiator, responder = map(completed, Ends(3, payload=b"payload").ends)
    assert initiator.sending == responder.receiving != initiator.receiving == responder.sending
    assert (initiator.remote_static, responder.remote_static) == (RESPONDER_STATIC.public, INITIATOR_STATIC.public)
    assert initiator.handshake_hash == responder.handshake_hash
    assert (initiator.role, responder.role) == (Role.INITIATOR, Role.RESPONDER)


@pytest.mark.spec("NOISE-18")
def test_the_standard_suites_do_not_swap() -> None:
    ockam, standard = (
        completed(read_message(replace(ends.reader, symmetric=replace(ends.reader.symmetric, suite=suite)), message)[0])
        for suite in (SUITE, NOISE_XX_25519_AESGCM_SHA256)
        for ends in [Ends(2)]
        for message in [ends.write()]
    )
    assert (ockam.sending, ockam.receiving) == (standard.receiving, standard.sending)


@pytest.mark.spec("NOISE-17")
def test_the_initiator_knows_the_peer_before_message_3() -> None:
    assert [going_on(end).remote_static for end in Ends(1).ends] == [None, None]
    assert [going_on(end).remote_static for end in Ends(2).ends] == [RESPONDER_STATIC.public, None]


@pytest.mark.spec("NOISE-4")
def test_another_pattern_is_only_data() -> None:
    ends = Ends(pattern=IX)
    message = ends.write(b"clear")
    assert message == INITIATOR_EPHEMERAL.public + INITIATOR_STATIC.public + b"clear"
    assert ends.read(message) == b"clear"
    assert ends.read(ends.write(b"hidden")) == b"hidden"
    initiator, responder = map(completed, ends.ends)
    assert (initiator.sending, initiator.handshake_hash) == (responder.receiving, responder.handshake_hash)
    assert (initiator.remote_static, responder.remote_static) == (RESPONDER_STATIC.public, INITIATOR_STATIC.public)


def test_a_pattern_that_uses_a_key_too_early_is_refused() -> None:
    state = initialize(
        replace(SUITE, pattern=Pattern("early", ((Token.ES, Token.S), (Token.S,)))),
        Role.INITIATOR,
        static=INITIATOR_STATIC,
    )
    with pytest.raises(MisuseError) as refused:
        write_message(state, b"")
    assert refused.value.code == ErrorCode.MISUSE


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.spec("NOISE-16")
def test_out_of_turn(turn: int) -> None:
    ends = Ends(turn)
    ephemeral = RESPONDER_EPHEMERAL if Token.E in ends.reader.next_tokens else None
    with pytest.raises(MisuseError, match="this end's turn") as reading:
        read_message(ends.writer, bytes(96))
    with pytest.raises(MisuseError, match="the peer's turn") as writing:
        write_message(ends.reader, b"", ephemeral=ephemeral)
    assert reading.value.code == writing.value.code == ErrorCode.MISUSE


@pytest.mark.parametrize(("turn", "ephemeral"), [(0, None), (1, None), (2, INITIATOR_EPHEMERAL)])
@pytest.mark.spec("NOISE-16")
def test_an_ephemeral_key_exactly_when_the_message_has_one(turn: int, ephemeral: KeyPair | None) -> None:
    with pytest.raises(MisuseError) as refused:
        write_message(Ends(turn).writer, b"", ephemeral=ephemeral)
    assert refused.value.code == ErrorCode.MISUSE


@pytest.mark.parametrize(("turn", "overhead"), [(0, 32), (1, 96), (2, 64)])
@pytest.mark.spec("NOISE-12")
def test_the_longest_message(turn: int, overhead: int) -> None:
    ends = Ends(turn)
    with pytest.raises(MisuseError) as too_long:
        ends.write(bytes(MAX_MESSAGE_LENGTH - overhead + 1))
    with pytest.raises(PeerError) as received:
        ends.read(bytes(MAX_MESSAGE_LENGTH + 1))
    assert too_long.value.code == received.value.code == ErrorCode.TOO_LONG
    message = ends.write(bytes(MAX_MESSAGE_LENGTH - overhead))
    assert len(message) == MAX_MESSAGE_LENGTH == 65535
    assert ends.read(message) == bytes(MAX_MESSAGE_LENGTH - overhead)


@pytest.mark.parametrize(("turn", "overhead"), [(0, 32), (1, 96), (2, 64)])
@pytest.mark.spec("NOISE-13", "NOISE-15")
def test_every_truncation_is_refused_and_harmless(turn: int, overhead: int) -> None:
    ends = Ends(turn)
    message = ends.write()
    for length in range(overhead):
        with pytest.raises(PeerError) as refused:
            read_message(ends.reader, message[:length])
        assert refused.value.code in {ErrorCode.TRUNCATED, ErrorCode.AUTHENTICATION_FAILED}
        # what is left of an encrypted payload cannot be told from a whole one once it holds a tag
        assert refused.value.code == ErrorCode.TRUNCATED or length >= overhead - 16
    assert ends.read(message) == b""


@pytest.mark.parametrize(("turn", "part"), [(1, 0), (1, 40), (1, 90), (2, 0), (2, 50)])
@pytest.mark.spec("NOISE-14", "NOISE-15")
def test_a_genuine_message_after_a_forged_one_completes(turn: int, part: int) -> None:
    ends = Ends(turn)
    message = ends.write(b"payload")
    forged = bytearray(message)
    forged[part] ^= 1
    with pytest.raises(PeerError) as refused:
        read_message(ends.reader, forged)
    assert refused.value.code == ErrorCode.AUTHENTICATION_FAILED
    assert ends.read(message) == b"payload"
    while ends.turn < 3:
        ends.read(ends.write())
    initiator, responder = map(completed, ends.ends)
    assert initiator.handshake_hash == responder.handshake_hash


@pytest.mark.spec("NOISE-9")
def test_a_low_order_ephemeral_key_is_refused() -> None:
    responder, _ = read_message(Ends().reader, bytes(32))
    with pytest.raises(PeerError) as in_message_1:
        write_message(going_on(responder), b"", ephemeral=RESPONDER_EPHEMERAL)
    ends = Ends(1)
    with pytest.raises(PeerError) as in_message_2:
        ends.read(bytes(32) + ends.write()[32:])
    assert in_message_1.value.code == in_message_2.value.code == ErrorCode.AUTHENTICATION_FAILED


@pytest.mark.spec("NOISE-14")
def test_unlike_prologues_part_at_message_2() -> None:
    initiator = initialize(SUITE, Role.INITIATOR, static=INITIATOR_STATIC, prologue=b"one")
    responder = initialize(SUITE, Role.RESPONDER, static=RESPONDER_STATIC, prologue=b"other")
    after_1, message = write_message(initiator, b"", ephemeral=INITIATOR_EPHEMERAL)
    before_2, _ = read_message(responder, message)
    _, message = write_message(going_on(before_2), b"", ephemeral=RESPONDER_EPHEMERAL)
    with pytest.raises(PeerError) as refused:
        read_message(going_on(after_1), message)
    assert refused.value.code == ErrorCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.spec("NOISE-20")
def test_states_are_not_copied(turn: int, copier: Callable[[Any], object]) -> None:
    for end in Ends(turn).ends:
        with pytest.raises(TypeError, match="holds keys"):
            copier(end)


@pytest.mark.spec("NOISE-19")
def test_nothing_else_is_left_when_completed() -> None:
    assert set(Completed.__slots__) == {"sending", "receiving", "remote_static", "handshake_hash", "role"}
