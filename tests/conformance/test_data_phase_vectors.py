"""The data phase against the worked transcript and the tracker sequences of the Rust tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.channels.data_phase import (
    KeyChoice,
    NonceWindow,
    ReceivingState,
    accept,
    choose_key,
    open_packet,
    seal,
    start_receiving,
    start_sending,
)
from ockam_ref.errors import PeerError
from ockam_ref.noise.primitives import MAX_NONCE, Aead, Cipher, SessionKey

VECTORS = Path(__file__).parent.parent / "vectors"
NOISE_XX: dict[str, Any] = json.loads((VECTORS / "noise_xx.json").read_text())
TRANSCRIPT: dict[str, Any] = json.loads((VECTORS / "secure_channel_transcript.json").read_text())
LADDER: list[dict[str, Any]] = TRANSCRIPT["rekey_ladder"]
DIRECTIONS = {"initiator_to_responder": "k2", "responder_to_initiator": "k1"}


def session_key(secret: str) -> SessionKey:
    return SessionKey(Cipher.AES_256_GCM, bytes.fromhex(secret))


def first_packets(key: SessionKey, count: int) -> list[bytes]:
    state, packets = start_sending(key), []
    for _ in range(count):
        state, packet = seal(state, b"text")
        packets.append(packet)
    return packets


def is_accepted(state: ReceivingState, packet: bytes) -> tuple[ReceivingState, bool]:
    try:
        state, plaintext = open_packet(state, packet)
    except PeerError:
        return state, False
    assert plaintext == b"text"
    return state, True


@pytest.mark.parametrize("message", TRANSCRIPT["encrypted_messages"], ids=lambda message: message["name"])
@pytest.mark.spec("DATA-1")
def test_encrypted_message(message: dict[str, Any]) -> None:
    assert (message["aad"], int(message["gcm_nonce"], 16)) == ("", message["nonce"])
    sending, receiving = start_sending(session_key(message["key"])), start_receiving(session_key(message["key"]))
    for _ in range(message["nonce"]):
        sending, packet = seal(sending, b"")
        receiving, _ = open_packet(receiving, packet)
    _, packet = seal(sending, bytes.fromhex(message["plaintext_cbor"]))
    assert packet.hex() == message["worker_payload"]
    assert len(packet) == message["worker_payload_len"]
    assert open_packet(receiving, packet)[1].hex() == message["plaintext_cbor"]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.spec("DATA-1", "DATA-2", "DATA-5")
def test_rekey_ladder(direction: str) -> None:
    key = session_key(TRANSCRIPT["final"][DIRECTIONS[direction]])
    steps = {step["nonce"]: step for step in LADDER if step["direction"] == direction}
    assert len(steps) == len(LADDER) / 2
    sending, receiving = start_sending(key), start_receiving(key)
    for nonce in range(max(steps) + 1):
        plaintext = bytes([nonce])
        sending, packet = seal(sending, plaintext)
        receiving, opened = open_packet(receiving, packet)
        assert opened == plaintext
        if nonce in steps:
            step = steps[nonce]
            assert (step["plaintext"], packet.hex()) == (plaintext.hex(), step["wire"])
            expected = Aead(session_key(step["key"])).encrypt(nonce, b"", b"probe")
            assert sending.aead.encrypt(nonce, b"", b"probe") == expected
            assert receiving.keys.current.encrypt(nonce, b"", b"probe") == expected


@pytest.mark.parametrize(
    "scenario", TRANSCRIPT["receive_window_scenarios"]["scenarios"], ids=lambda scenario: scenario["name"]
)
@pytest.mark.spec("DATA-4", "DATA-5", "DATA-6")
def test_receive_window_scenario(scenario: dict[str, Any]) -> None:
    key = session_key(TRANSCRIPT["final"]["k2"])
    packets = first_packets(key, 100)
    state = start_receiving(key)
    for nonce, expected in scenario["nonces"]:
        before = state
        state, accepted = is_accepted(state, packets[nonce])
        assert accepted is expected, nonce
        assert accepted or state is before


@pytest.mark.parametrize("vector", NOISE_XX["nonce_tracker"], ids=lambda vector: vector["name"])
@pytest.mark.spec("DATA-4")
def test_nonce_tracker(vector: dict[str, Any]) -> None:
    """Both the bare window and real packets give the answers of the sequence."""
    assert vector["window"] == 32
    key = session_key(TRANSCRIPT["final"]["k1"])
    packets = first_packets(key, max(nonce for nonce, _ in vector["steps"]) + 1)
    state, window = start_receiving(key), NonceWindow()
    for nonce, expected in vector["steps"]:
        if expected:
            window = accept(window, nonce)
        else:
            with pytest.raises(PeerError):
                accept(window, nonce)
        state, accepted = is_accepted(state, packets[nonce])
        assert accepted is expected, nonce
        assert state.window == window


KEY_TRACKER = {vector["name"]: vector for vector in NOISE_XX["key_tracker"]}


def chosen(nonce: int, rekeys: int, interval: int) -> str:
    try:
        return choose_key(nonce, rekeys=rekeys, interval=interval).value
    except PeerError:
        return "error"


@pytest.mark.parametrize("name", ["first_interval", "middle_interval"])
@pytest.mark.spec("DATA-5")
def test_key_tracker_get(name: str) -> None:
    vector = KEY_TRACKER[name]
    assert vector["has_previous"] is (vector["rekeys"] > 0)
    assert not vector["max_reached"]
    for nonce, expected in vector["get"]:
        assert chosen(int(nonce), vector["rekeys"], vector["interval"]) == expected, nonce


@pytest.mark.spec("DATA-9")
def test_key_tracker_get_after_the_last_interval() -> None:
    """The flag of the vector is a count of rekeys beyond the last nonce here; then every nonce is refused."""
    vector = KEY_TRACKER["last_interval"]
    assert vector["max_reached"]
    beyond = MAX_NONCE // vector["interval"] + 1
    for nonce, expected in [*vector["get"], *((n, "error") for n in (50, MAX_NONCE - vector["interval"], MAX_NONCE))]:
        assert chosen(int(nonce), beyond, vector["interval"]) == expected


@pytest.mark.spec("DATA-5", "DATA-6")
def test_key_tracker_update() -> None:
    """Only a new key lets the previous one go; the interval here is the real one, as packets are opened."""
    vector = KEY_TRACKER["update_key"]
    rekeys = vector["rekeys"]
    made = first_packets(session_key(TRANSCRIPT["final"]["k1"]), 32 * (rekeys + 2))
    state = start_receiving(session_key(TRANSCRIPT["final"]["k1"]))
    for packet in made[: 32 * rekeys + 1 : 16]:
        state, _ = open_packet(state, packet)
    assert state.keys.rekeys == rekeys
    nonces = {"current": 32 * rekeys + 1, "previous": 32 * rekeys - 1, "new": 32 * (rekeys + 1)}
    for used, let_go in vector["update"]:
        before = state.keys
        state, _ = open_packet(state, made[nonces[used]])
        gone = [name for name in ("current", "previous") if getattr(before, name) not in state.keys]
        assert gone == ([] if let_go is None else ["previous"])
    assert state.keys.rekeys == rekeys + 1


@pytest.mark.spec("DATA-9")
def test_key_tracker_update_on_the_last_interval() -> None:
    vector = KEY_TRACKER["update_on_last_interval"]
    rekeys, interval = int(vector["rekeys"]), vector["interval"]
    assert chosen(rekeys * interval, rekeys, interval) == KeyChoice.CURRENT.value
    for max_reached in vector["update_max_reached"]:
        rekeys += 1
        probes = {chosen(nonce, rekeys, interval) for nonce in range(MAX_NONCE - 2 * interval, MAX_NONCE + 1)}
        assert (probes == {"error"}) is max_reached
