"""Handshakes between random keys: both ends agree, and nothing an attacker changes goes through."""

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ockam_ref.errors import ErrorCode, PeerError
from ockam_ref.noise.handshake import Completed, HandshakeState, Role, Step, initialize, read_message, write_message
from ockam_ref.noise.patterns import (
    NOISE_XX_25519_AESGCM_SHA256,
    NOISE_XX_25519_CHACHAPOLY_BLAKE2S,
    NOISE_XX_25519_CHACHAPOLY_SHA256,
    OCKAM_XX_25519_AES256_GCM_SHA256,
    Suite,
    Token,
)
from ockam_ref.noise.primitives import KeyPair

SUITES = [
    OCKAM_XX_25519_AES256_GCM_SHA256,
    NOISE_XX_25519_AESGCM_SHA256,
    NOISE_XX_25519_CHACHAPOLY_SHA256,
    NOISE_XX_25519_CHACHAPOLY_BLAKE2S,
]
REFUSALS = {ErrorCode.TRUNCATED, ErrorCode.TOO_LONG, ErrorCode.AUTHENTICATION_FAILED}
# Hashed with a prefix, because hypothesis also tries constants of the code: the protocol name and its plain hash
# are in every transcript, and a key that equals one of them is no secret.
secrets = st.binary(max_size=32).map(lambda seed: hashlib.sha256(b"secret" + seed).digest())
payloads = st.lists(st.binary(max_size=400), min_size=3, max_size=3)
fixed_secrets = [bytes([number]) * 32 for number in range(1, 5)]


class Run:
    """A handshake; ``exchanges`` holds the message, its reader and its reader's next state, turn by turn."""

    def __init__(self, suite: Suite, keys: list[bytes], texts: list[bytes], *, prologue: bytes = b"") -> None:
        pairs = [KeyPair.from_private_bytes(key) for key in keys]
        self.statics, ephemerals = pairs[:2], pairs[2:]
        self.ends: list[Step] = [
            initialize(suite, role, static=static, prologue=prologue)
            for role, static in zip(Role, self.statics, strict=True)
        ]
        self.seen: list[Step] = list(self.ends)
        self.exchanges: list[tuple[bytes, HandshakeState]] = []
        self.received: list[bytes] = []
        for turn, text in enumerate(texts):
            writer, reader = self.ends[turn % 2], self.ends[1 - turn % 2]
            assert isinstance(writer, HandshakeState)
            assert isinstance(reader, HandshakeState)
            ephemeral = ephemerals[turn % 2] if Token.E in writer.next_tokens else None
            self.ends[turn % 2], message = write_message(writer, text, ephemeral=ephemeral)
            self.ends[1 - turn % 2], payload = read_message(reader, message)
            self.exchanges.append((message, reader))
            self.received.append(payload)
            self.seen += self.ends


@given(
    suite=st.sampled_from(SUITES), keys=st.lists(secrets, min_size=4, max_size=4), texts=payloads, prologue=st.binary()
)
@pytest.mark.spec("NOISE-10", "NOISE-18", "NOISE-19", "NOISE-20")
@settings(max_examples=100, deadline=None)
def test_both_ends_agree_and_show_no_secret(
    suite: Suite, keys: list[bytes], texts: list[bytes], prologue: bytes
) -> None:
    run = Run(suite, keys, texts, prologue=prologue)
    initiator, responder = run.ends
    assert isinstance(initiator, Completed)
    assert isinstance(responder, Completed)
    assert run.received == texts
    assert initiator.handshake_hash == responder.handshake_hash
    assert initiator.sending == responder.receiving
    assert initiator.receiving == responder.sending
    assert initiator.sending != initiator.receiving
    assert [responder.remote_static, initiator.remote_static] == [static.public for static in run.statics]
    symmetrics = [state.symmetric for state in run.seen if isinstance(state, HandshakeState)]
    chaining_keys = [symmetric.chaining_key for symmetric in symmetrics if symmetric.has_key]
    assert chaining_keys
    hidden = [*keys, *chaining_keys, initiator.sending.expose_secret(), initiator.receiving.expose_secret()]
    shown = " ".join(map(repr, run.seen))
    assert not [secret for secret in hidden if secret.hex() in shown or repr(secret) in shown]


FIXED = {suite.protocol_name: Run(suite, fixed_secrets, [b"one", b"two", b"three"]) for suite in SUITES}


def refusal(reader: HandshakeState, message: bytes) -> ErrorCode | None:
    try:
        read_message(reader, message)
    except PeerError as refused:
        return refused.code
    return None


@pytest.mark.parametrize("suite", SUITES[:3:2], ids=lambda suite: suite.protocol_name.decode())
@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.spec("NOISE-14", "NOISE-15")
def test_every_flipped_bit_of_messages_2_and_3_is_refused(suite: Suite, turn: int) -> None:
    message, reader = FIXED[suite.protocol_name].exchanges[turn]
    for bit in range(8 * len(message)):
        flipped = bytearray(message)
        flipped[bit // 8] ^= 1 << bit % 8
        assert refusal(reader, bytes(flipped)) == ErrorCode.AUTHENTICATION_FAILED, bit
    assert refusal(reader, message) is None


@pytest.mark.parametrize("bit", range(8 * (32 + 3)))
@pytest.mark.spec("NOISE-14")
def test_every_flipped_bit_of_message_1_is_noticed_in_message_2(bit: int) -> None:
    """Message 1 is in clear: the responder takes it, and the initiator refuses what comes back."""
    run = FIXED[OCKAM_XX_25519_AES256_GCM_SHA256.protocol_name]
    message, responder = run.exchanges[0]
    _, initiator = run.exchanges[1]
    flipped = bytearray(message)
    flipped[bit // 8] ^= 1 << bit % 8
    misled, _ = read_message(responder, flipped)
    assert isinstance(misled, HandshakeState)
    _, answer = write_message(misled, b"two", ephemeral=KeyPair.from_private_bytes(fixed_secrets[3]))
    assert refusal(initiator, answer) == ErrorCode.AUTHENTICATION_FAILED


@given(suite=st.sampled_from(SUITES), turn=st.integers(0, 2), data=st.data())
@pytest.mark.spec("NOISE-13", "NOISE-14", "NOISE-15")
@settings(max_examples=200, deadline=None)
def test_whatever_arrives_is_refused_with_a_typed_error(suite: Suite, turn: int, data: Any) -> None:
    message, reader = FIXED[suite.protocol_name].exchanges[turn]
    cut = data.draw(st.integers(0, len(message)))
    mangled = message[:cut] + data.draw(st.binary(max_size=64)) + message[cut:][data.draw(st.integers(0, 64)) :]
    if turn > 0 and mangled != message:
        assert refusal(reader, mangled) in REFUSALS
    else:
        assert refusal(reader, mangled) in {None, ErrorCode.TRUNCATED}
    assert refusal(reader, message) is None
