import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from ockam_ref.channels.data_phase import (
    OVERHEAD,
    KeyChoice,
    NonceWindow,
    ReceivingKeys,
    ReceivingState,
    SendingState,
    accept,
    choose_key,
    open_packet,
    packet_nonce,
    seal,
    start_receiving,
    start_sending,
)
from ockam_ref.errors import ErrorCode, MisuseError, PeerError
from ockam_ref.noise.primitives import MAX_NONCE, Aead, Cipher, SessionKey

SECRET = bytes(range(32))
KEY = SessionKey(Cipher.AES_256_GCM, SECRET)


def packets(count: int) -> list[bytes]:
    """The first packets under the fixed key; the plaintext of each is its nonce."""
    state, made = start_sending(KEY), []
    for number in range(count):
        state, packet = seal(state, str(number).encode())
        made.append(packet)
    return made


def refusal(state: ReceivingState, packet: bytes) -> ErrorCode:
    with pytest.raises(PeerError) as refused:
        open_packet(state, packet)
    return refused.value.code


@pytest.mark.spec("DATA-1")
def test_a_packet_byte_by_byte() -> None:
    state, packet = seal(SendingState(Aead(KEY), 5), memoryview(b"text"))
    assert packet == (5).to_bytes(8, "big") + Aead(KEY).encrypt(5, b"", b"text")
    assert len(packet) == 4 + OVERHEAD == 28
    assert (state.next_nonce, packet_nonce(packet)) == (6, 5)


@pytest.mark.spec("DATA-1", "DATA-2", "DATA-5")
def test_nonces_have_no_gaps_and_each_32_have_their_key() -> None:
    aead = Aead(KEY)
    receiving = start_receiving(KEY)
    for number, packet in enumerate(packets(130)):
        if number in {32, 64, 96, 128}:
            aead = aead.rekeyed()
        text = str(number).encode()
        assert packet == number.to_bytes(8, "big") + aead.encrypt(number, b"", text)
        receiving, plaintext = open_packet(receiving, bytearray(packet))
        assert plaintext == text
        assert receiving.keys.rekeys == number // 32


@pytest.mark.parametrize("size", [0, 1, 65536])
def test_sizes(size: int) -> None:
    _, packet = seal(start_sending(KEY), bytes(size))
    assert open_packet(start_receiving(KEY), packet)[1] == bytes(size)


@pytest.mark.spec("DATA-3")
def test_the_reserved_nonce_is_not_sent() -> None:
    state, packet = seal(SendingState(Aead(KEY), MAX_NONCE - 1), b"last")
    assert packet_nonce(packet) == MAX_NONCE - 1
    with pytest.raises(MisuseError) as refused:
        seal(state, b"one too many")
    assert refused.value.code == ErrorCode.NONCE_EXHAUSTED


@pytest.mark.parametrize("length", range(OVERHEAD))
@pytest.mark.spec("DATA-7")
def test_short_packets_are_truncated(length: int) -> None:
    assert refusal(start_receiving(KEY), packets(1)[0][:length]) == ErrorCode.TRUNCATED
    with pytest.raises(PeerError) as refused:
        packet_nonce(bytes(length))
    assert refused.value.code == ErrorCode.TRUNCATED


@pytest.mark.parametrize(
    ("window", "nonce", "accepted"),
    [
        (NonceWindow(), 0, NonceWindow(0, 0b1)),
        (NonceWindow(), 32, NonceWindow(32, 0b1)),
        (NonceWindow(), 33, None),
        (NonceWindow(0, 0b1), 0, None),
        (NonceWindow(0, 0b1), 1, NonceWindow(1, 0b11)),
        (NonceWindow(40, 0b1), 8, NonceWindow(40, 1 << 32 | 0b1)),
        (NonceWindow(40, 0b1), 7, None),
        (NonceWindow(40, 1 << 32 | 0b1), 8, None),
        (NonceWindow(40, 1 << 32 | 0b11), 41, NonceWindow(41, 0b111)),
        (NonceWindow(40, 0b1), 72, NonceWindow(72, 1 << 32 | 0b1)),
        (NonceWindow(40, 0b1), 73, None),
        (NonceWindow(MAX_NONCE - 1, 0b1), MAX_NONCE, NonceWindow(MAX_NONCE, 0b11)),
    ],
)
@pytest.mark.spec("DATA-4")
def test_window(window: NonceWindow, nonce: int, accepted: NonceWindow | None) -> None:
    if accepted is not None:
        assert accept(window, nonce) == accepted
    else:
        with pytest.raises(PeerError) as refused:
            accept(window, nonce)
        assert refused.value.code == ErrorCode.NONCE_REJECTED


@pytest.mark.parametrize(
    ("rekeys", "nonce", "choice"),
    [
        (0, 0, KeyChoice.CURRENT),
        (0, 31, KeyChoice.CURRENT),
        (0, 32, KeyChoice.NEXT),
        (0, 63, KeyChoice.NEXT),
        (0, 64, None),
        (1, 0, KeyChoice.PREVIOUS),
        (2, 31, None),
        (2, 32, KeyChoice.PREVIOUS),
        (2, MAX_NONCE, None),
        (2**59 - 1, MAX_NONCE, KeyChoice.CURRENT),
        (2**59, MAX_NONCE, None),
    ],
)
@pytest.mark.spec("DATA-5", "DATA-9")
def test_key_choice(rekeys: int, nonce: int, choice: KeyChoice | None) -> None:
    if choice is not None:
        assert choose_key(nonce, rekeys=rekeys) is choice
    else:
        with pytest.raises(PeerError) as refused:
            choose_key(nonce, rekeys=rekeys)
        assert refused.value.code == ErrorCode.NONCE_REJECTED


@pytest.mark.spec("DATA-5")
def test_the_previous_interval_is_still_opened_inside_of_the_window() -> None:
    made = packets(96)
    state, _ = open_packet(start_receiving(KEY), made[31])
    state, _ = open_packet(state, made[63])
    assert state.keys.rekeys == 1
    first = state.keys.previous
    state, plaintext = open_packet(state, made[32])
    assert (plaintext, state.keys.previous) == (b"32", first)
    state, _ = open_packet(state, made[95])
    assert first not in state.keys
    assert open_packet(state, made[64])[1] == b"64"
    assert refusal(state, made[62]) == ErrorCode.NONCE_REJECTED


@pytest.mark.spec("DATA-6")
def test_a_forged_packet_of_the_next_interval_installs_no_key() -> None:
    made = packets(40)
    state = start_receiving(KEY)
    for packet in made[:20]:
        state, _ = open_packet(state, packet)
    for nonce in range(20, 52):
        assert refusal(state, nonce.to_bytes(8, "big") + bytes(20)) == ErrorCode.AUTHENTICATION_FAILED
    for packet in made[20:]:
        state, _ = open_packet(state, packet)
    assert state.window.largest == 39


@pytest.mark.spec("DATA-5", "DATA-6")
def test_a_packet_costs_one_derivation_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    derived: list[Aead] = []
    rekeyed = Aead.rekeyed

    def counted(self: Aead) -> Aead:
        derived.append(self)
        return rekeyed(self)

    monkeypatch.setattr(Aead, "rekeyed", counted)
    state = start_receiving(KEY)
    for nonce in (0, 5, 33, 64, 2**32, MAX_NONCE):
        refusal(state, nonce.to_bytes(8, "big") + bytes(20))
    assert derived == []
    refusal(state, (32).to_bytes(8, "big") + bytes(20))
    assert derived == [state.keys.current]


@pytest.mark.spec("DATA-6")
def test_every_bit_of_a_packet_counts() -> None:
    state = start_receiving(KEY)
    packet = packets(1)[0]
    for bit in range(8 * len(packet)):
        forged = bytearray(packet)
        forged[bit // 8] ^= 1 << bit % 8
        assert refusal(state, bytes(forged)) in {ErrorCode.AUTHENTICATION_FAILED, ErrorCode.NONCE_REJECTED}
    assert open_packet(state, packet)[1] == b"0"


@pytest.mark.spec("DATA-8")
def test_a_reflected_packet_is_refused() -> None:
    own_receiving = start_receiving(SessionKey(Cipher.AES_256_GCM, bytes(32)))
    assert refusal(own_receiving, packets(1)[0]) == ErrorCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize("start", [start_sending, start_receiving])
def test_other_ciphers_have_no_data_phase(start: Callable[[SessionKey], object]) -> None:
    with pytest.raises(MisuseError) as refused:
        start(SessionKey(Cipher.CHACHA20_POLY1305, SECRET))
    assert refused.value.code == ErrorCode.MISUSE


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.spec("NOISE-20")
def test_states_are_not_copied(copier: Callable[[Any], object]) -> None:
    aead = Aead(KEY)
    for state in (start_sending(KEY), start_receiving(KEY), ReceivingKeys(aead, aead, 0)):
        with pytest.raises(TypeError, match="holds keys"):
            copier(state)


@pytest.mark.spec("NOISE-20")
def test_states_show_no_keys() -> None:
    assert repr(start_sending(KEY)) == "SendingState(aead=Aead(AES_256_GCM), next_nonce=0)"
    assert repr(start_receiving(KEY)).count("Aead(AES_256_GCM)") == 2
