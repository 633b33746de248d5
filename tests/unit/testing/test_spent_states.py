import pytest

from ockam_ref.channels.data_phase import open_packet, seal, start_receiving, start_sending
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.noise.handshake import HandshakeState, Role, initialize, write_message
from ockam_ref.noise.patterns import OCKAM_XX_25519_AES256_GCM_SHA256
from ockam_ref.noise.primitives import Aead, Cipher, KeyPair, SessionKey
from ockam_ref.testing.spent_states import SpentStates, refuse_repeated_nonces

KEY = SessionKey(Cipher.AES_256_GCM, bytes(range(32)))
PAIR = KeyPair.from_private_bytes(bytes(range(32)))


@pytest.mark.spec("NOISE-21")
def test_a_spent_sending_state_is_refused() -> None:
    spent = SpentStates()
    first = start_sending(KEY)
    second, _ = spent.step(seal, first, b"one")
    spent.step(seal, second, b"two")
    for state in (first, second):
        with pytest.raises(MisuseError, match="SendingState") as refused:
            spent.step(seal, state, b"three")
        assert refused.value.code == ErrorCode.STATE_ALREADY_USED


@pytest.mark.spec("NOISE-21")
def test_a_spent_handshake_state_is_refused() -> None:
    spent = SpentStates()
    state = initialize(OCKAM_XX_25519_AES256_GCM_SHA256, Role.INITIATOR, static=PAIR)
    following, message = spent.step(write_message, state, b"", ephemeral=PAIR)
    assert isinstance(following, HandshakeState)
    assert message == PAIR.public
    with pytest.raises(MisuseError, match="HandshakeState"):
        spent.step(write_message, state, b"", ephemeral=PAIR)


def test_a_step_that_raises_spends_nothing() -> None:
    spent = SpentStates()
    state = initialize(OCKAM_XX_25519_AES256_GCM_SHA256, Role.INITIATOR, static=PAIR)
    with pytest.raises(MisuseError, match="ephemeral"):
        spent.step(write_message, state, b"")
    spent.step(write_message, state, b"", ephemeral=PAIR)


@pytest.mark.parametrize("nonce", [0, 31, 32, 64])
@pytest.mark.spec("NOISE-21")
def test_a_repeated_nonce_is_refused(nonce: int) -> None:
    with refuse_repeated_nonces():
        state = start_sending(KEY)
        for _ in range(nonce):
            state, _ = seal(state, b"")
        seal(state, b"one")
        with pytest.raises(MisuseError) as refused:
            seal(state, b"two")
    assert refused.value.code == ErrorCode.STATE_ALREADY_USED


@pytest.mark.spec("NOISE-21")
def test_a_repetition_is_seen_across_objects_with_one_key() -> None:
    with refuse_repeated_nonces():
        seal(start_sending(KEY), b"one")
        with pytest.raises(MisuseError):
            Aead(KEY).encrypt(0, b"", b"two")


def test_receiving_and_rekeying_are_no_repetition() -> None:
    with refuse_repeated_nonces():
        sending, receiving = start_sending(KEY), start_receiving(KEY)
        for _ in range(100):
            sending, packet = seal(sending, b"text")
            open_packet(receiving, packet)
            receiving, _ = open_packet(receiving, packet)


def test_the_watch_ends_with_its_block() -> None:
    encrypt = Aead.encrypt
    state = start_sending(KEY)
    first = seal(state, b"one")
    with pytest.raises(ZeroDivisionError), refuse_repeated_nonces():
        raise ZeroDivisionError
    assert Aead.encrypt is encrypt
    assert seal(state, b"one")[1] == first[1]
