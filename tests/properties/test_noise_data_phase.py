"""The data phase under loss, reordering, duplication and garbage, against a model that is a plain set."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ockam_ref.channels.data_phase import (
    OVERHEAD,
    NonceWindow,
    ReceivingState,
    accept,
    open_packet,
    seal,
    start_receiving,
    start_sending,
)
from ockam_ref.errors import ErrorCode, PeerError
from ockam_ref.noise.primitives import Cipher, SessionKey

SECRET = bytes(range(32))
KEY = SessionKey(Cipher.AES_256_GCM, SECRET)
REFUSALS = {ErrorCode.TRUNCATED, ErrorCode.NONCE_REJECTED, ErrorCode.AUTHENTICATION_FAILED}


def first_packets(count: int) -> list[bytes]:
    state, packets = start_sending(KEY), []
    for nonce in range(count):
        state, packet = seal(state, nonce.to_bytes(2, "big"))
        packets.append(packet)
    return packets


PACKETS = first_packets(600)


class Model:
    """What a receiver should accept, said with sets: new, and at most 32 away from the largest."""

    def __init__(self) -> None:
        self.accepted: set[int] = set()

    def offer(self, nonce: int) -> bool:
        is_new = nonce not in self.accepted and abs(nonce - max(self.accepted, default=0)) <= 32
        if is_new:
            self.accepted.add(nonce)
        return is_new


@st.composite
def arrivals(draw: st.DrawFn) -> list[int]:
    """Nonces as a network delivers them: mostly onwards, with gaps, repetitions and late ones."""
    position, nonces = 0, []
    for jump in draw(st.lists(st.integers(-40, 36) | st.integers(0, 3) | st.just(32) | st.just(-32), max_size=80)):
        nonce = min(max(position + jump, 0), len(PACKETS) - 1)
        nonces.append(nonce)
        position = max(position, nonce) if jump <= 33 else position
    return nonces


@given(nonces=arrivals())
@pytest.mark.spec("DATA-4", "DATA-5", "DATA-6")
@settings(max_examples=200, deadline=None)
def test_accepted_exactly_when_new_and_near(nonces: list[int]) -> None:
    model, state, window = Model(), start_receiving(KEY), NonceWindow()
    for nonce in nonces:
        if model.offer(nonce):
            state, plaintext = open_packet(state, PACKETS[nonce])
            window = accept(window, nonce)
            assert plaintext == nonce.to_bytes(2, "big")
        else:
            with pytest.raises(PeerError) as refused:
                open_packet(state, PACKETS[nonce])
            assert refused.value.code == ErrorCode.NONCE_REJECTED
        assert state.window == window
        assert window.seen == sum(1 << window.largest - seen for seen in model.accepted if window.largest - seen <= 32)


@given(order=st.randoms(use_true_random=False), batch=st.integers(1, 16), loss=st.floats(0, 0.4))
@pytest.mark.spec("DATA-4")
@settings(max_examples=50, deadline=None)
def test_reordering_and_loss_within_a_batch_cost_only_the_lost(order: object, batch: int, loss: float) -> None:
    state, delivered, sent = start_receiving(KEY), [], []
    for start in range(0, 256, batch):
        numbers = list(range(start, start + batch))
        order.shuffle(numbers)  # type: ignore[attr-defined]
        for nonce in numbers[int(batch * loss) :]:
            state, plaintext = open_packet(state, PACKETS[nonce])
            delivered.append(int.from_bytes(plaintext, "big"))
            sent.append(nonce)
    assert delivered == sent


def survives(state: ReceivingState, garbage: bytes) -> None:
    with pytest.raises(PeerError) as refused:
        open_packet(state, garbage)
    assert refused.value.code in REFUSALS
    assert (refused.value.code == ErrorCode.TRUNCATED) is (len(garbage) < OVERHEAD)


@pytest.mark.parametrize("length", range(65))
@pytest.mark.spec("DATA-6", "DATA-7")
def test_truncation_and_zeros_of_every_length(length: int) -> None:
    _, long_packet = seal(start_sending(KEY), bytes(64 - OVERHEAD + 1))
    state = start_receiving(KEY)
    survives(state, long_packet[:length])
    survives(state, bytes(length))
    assert open_packet(state, PACKETS[0])[1] == b"\0\0"


@given(
    garbage=st.binary(max_size=64), warm_up=st.integers(0, 70), nonce=st.integers(0, 2**64 - 1) | st.integers(0, 128)
)
@pytest.mark.spec("DATA-6", "DATA-7")
@settings(max_examples=200, deadline=None)
def test_garbage_is_harmless_at_any_time(garbage: bytes, warm_up: int, nonce: int) -> None:
    state = start_receiving(KEY)
    for packet in PACKETS[:warm_up]:
        state, _ = open_packet(state, packet)
    survives(state, garbage)
    survives(state, nonce.to_bytes(8, "big") + garbage)
    assert open_packet(state, PACKETS[warm_up])[1] == warm_up.to_bytes(2, "big")


@given(secret=st.binary(min_size=32, max_size=32), texts=st.lists(st.binary(max_size=300), max_size=70))
@pytest.mark.spec("DATA-1", "DATA-2", "NOISE-20")
@settings(max_examples=50, deadline=None)
def test_what_is_sealed_is_opened_and_no_key_is_shown(secret: bytes, texts: list[bytes]) -> None:
    key = SessionKey(Cipher.AES_256_GCM, secret)
    sending, receiving = start_sending(key), start_receiving(key)
    for nonce, text in enumerate(texts):
        sending, packet = seal(sending, text)
        receiving, opened = open_packet(receiving, packet)
        assert opened == text
        assert packet[:8] == nonce.to_bytes(8, "big")
    for shown in (repr(sending), repr(receiving), repr(key)):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
