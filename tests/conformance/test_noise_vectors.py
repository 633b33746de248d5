"""Noise handshakes against literals of other implementations, and step by step against the worked transcript."""

import json
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.noise.cipher_state import decrypt_with_ad, encrypt_with_ad, initialize_key
from ockam_ref.noise.handshake import Completed, HandshakeState, Role, Step, initialize, read_message, write_message
from ockam_ref.noise.patterns import (
    NOISE_XX_25519_AESGCM_SHA256,
    NOISE_XX_25519_CHACHAPOLY_BLAKE2S,
    NOISE_XX_25519_CHACHAPOLY_SHA256,
    OCKAM_XX_25519_AES256_GCM_SHA256,
    Suite,
    Token,
)
from ockam_ref.noise.primitives import Aead, Cipher, HashName, KeyPair, SessionKey, hkdf2
from ockam_ref.noise.symmetric_state import (
    SymmetricState,
    decrypt_and_hash,
    encrypt_and_hash,
    initialize_symmetric,
    mix_hash,
    mix_key,
    split,
)

VECTORS = Path(__file__).parent.parent / "vectors"
NOISE_XX: dict[str, Any] = json.loads((VECTORS / "noise_xx.json").read_text())
STANDARD: dict[str, Any] = json.loads((VECTORS / "noise_standard_xx.json").read_text())
TRANSCRIPT: dict[str, Any] = json.loads((VECTORS / "secure_channel_transcript.json").read_text())

SUITES = {
    suite.protocol_name.decode(): suite
    for suite in (
        OCKAM_XX_25519_AES256_GCM_SHA256,
        NOISE_XX_25519_AESGCM_SHA256,
        NOISE_XX_25519_CHACHAPOLY_SHA256,
        NOISE_XX_25519_CHACHAPOLY_BLAKE2S,
    )
}
CIPHERS = {"AES-256-GCM": Cipher.AES_256_GCM, "ChaCha20-Poly1305": Cipher.CHACHA20_POLY1305}
HASHES = {"SHA-256": HashName.SHA256, "BLAKE2s": HashName.BLAKE2S}
SIDES = ("initiator", "responder")
HANDSHAKES = NOISE_XX["handshakes"] + [{**vector, "keys": STANDARD["keys"]} for vector in STANDARD["handshakes"]]


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def key_pair(vector: dict[str, Any], owner: str) -> KeyPair:
    return KeyPair.from_private_bytes(hexed(vector["keys"][owner]))


def run(vector: dict[str, Any]) -> list[Completed]:
    """Run both ends over the messages of a vector; each is written and read byte for byte."""
    suite = SUITES[vector["protocol_name_ascii"]]
    ends: list[Step] = [
        initialize(suite, role, static=key_pair(vector, f"{side}_static"), prologue=hexed(vector["prologue"]))
        for role, side in zip(Role, SIDES, strict=True)
    ]
    for turn, expected in enumerate(vector["messages"]):
        writer, reader = ends[turn % 2], ends[1 - turn % 2]
        assert isinstance(writer, HandshakeState)
        assert isinstance(reader, HandshakeState)
        ephemeral = key_pair(vector, f"{SIDES[turn % 2]}_ephemeral") if Token.E in writer.next_tokens else None
        ends[turn % 2], message = write_message(writer, hexed(expected["payload"]), ephemeral=ephemeral)
        assert message.hex() == expected["message"]
        ends[1 - turn % 2], payload = read_message(reader, message)
        assert payload.hex() == expected["payload"]
    return [end for end in ends if isinstance(end, Completed)]


@pytest.mark.parametrize("vector", NOISE_XX["initialization"], ids=lambda vector: vector["name"])
@pytest.mark.spec("NOISE-2")
def test_initialization(vector: dict[str, Any]) -> None:
    name = hexed(vector["protocol_name_padded"]).rstrip(b"\0").decode()
    state = initialize(SUITES[name], Role.INITIATOR, static=KeyPair.from_private_bytes(bytes(range(32)))).symmetric
    assert (state.chaining_key.hex(), state.transcript_hash.hex()) == (vector["ck"], vector["h"])
    assert state.cipher.nonce == vector["n"]
    assert not state.has_key


@pytest.mark.parametrize("vector", HANDSHAKES, ids=lambda vector: vector["name"])
@pytest.mark.spec("NOISE-1", "NOISE-3", "NOISE-10", "NOISE-11", "NOISE-18", "NOISE-19")
def test_handshake(vector: dict[str, Any]) -> None:
    initiator, responder = run(vector)
    hashes = {initiator.handshake_hash.hex(), responder.handshake_hash.hex()}
    assert hashes == {vector["handshake_hash"] or initiator.handshake_hash.hex()}
    assert initiator.remote_static == key_pair(vector, "responder_static").public
    assert responder.remote_static == key_pair(vector, "initiator_static").public
    sending = [initialize_key(end.sending) for end in (initiator, responder)]
    receiving = [initialize_key(end.receiving) for end in (initiator, responder)]
    first = 1 if "sources" in vector else 0  # the published ones go on with the turns of the handshake
    for number, expected in enumerate(vector["transport_messages"], start=first):
        writer, reader = number % 2, 1 - number % 2
        sending[writer], ciphertext = encrypt_with_ad(sending[writer], b"", hexed(expected["payload"]))
        assert ciphertext.hex() == expected["ciphertext"]
        receiving[reader], payload = decrypt_with_ad(receiving[reader], b"", ciphertext)
        assert payload.hex() == expected["payload"]


@pytest.mark.parametrize(
    "vector", [vector for vector in HANDSHAKES if "split" in vector], ids=lambda vector: vector["name"]
)
@pytest.mark.spec("NOISE-18")
def test_split(vector: dict[str, Any]) -> None:
    expected = vector["split"]
    for end, side in zip(run(vector), SIDES, strict=True):
        assert end.sending.expose_secret().hex() == expected[expected[f"{side}_encrypts_with"]]
        assert end.receiving.expose_secret().hex() == expected[expected[f"{side}_decrypts_with"]]


@pytest.mark.parametrize("vector", NOISE_XX["handshakes"], ids=lambda vector: vector["name"])
@pytest.mark.spec("NOISE-2")
def test_suite_of_a_vector(vector: dict[str, Any]) -> None:
    suite = SUITES[vector["protocol_name_ascii"]]
    assert (suite.cipher, suite.hash_name) == (CIPHERS[vector["suite"]["cipher"]], HASHES[vector["suite"]["hash"]])
    assert len(suite.protocol_name) == vector["protocol_name_len"]
    padded = vector["protocol_name_padded"]
    assert (padded is None) is vector["protocol_name_hashed"]
    assert padded in {None, initialize_symmetric(suite).chaining_key.hex()}


def test_hkdf() -> None:
    (vector,) = (vector for vector in NOISE_XX["primitives"] if "ikm" in vector)
    assert vector["info"] == ""
    first, second = hkdf2(hexed(vector["salt"]), hexed(vector["ikm"]))
    assert (first.hex(), second.hex()) == (vector["k1"], vector["k2"])


def test_aead() -> None:
    (vector,) = (vector for vector in NOISE_XX["primitives"] if "aad" in vector)
    aead = Aead(SessionKey(Cipher.AES_256_GCM, hexed(vector["key"])))
    nonce = int(vector["nonce"], 16)
    ciphertext = aead.encrypt(nonce, hexed(vector["aad"]), hexed(vector["plaintext"]))
    assert ciphertext.hex() == vector["ciphertext_and_tag"]
    assert aead.decrypt(nonce, hexed(vector["aad"]), ciphertext).hex() == vector["plaintext"]


class Replay:
    """One end of the transcript, by the operations its steps name."""

    def __init__(self, side: str) -> None:
        owners = {"initiator": ("initiator", "responder"), "responder": ("responder", "initiator")}
        self.own, self.peer = owners[side]
        self.side = side
        self.state = initialize_symmetric(SUITES[TRANSCRIPT["protocol_name"]])

    def public(self, name: str) -> bytes:
        """The public key behind ``e``, ``s``, ``re`` or ``rs``."""
        owner = self.peer if name.startswith("r") else self.own
        return hexed(TRANSCRIPT["public_keys"][owner + {"e": "_ephemeral", "s": "_static"}[name[-1]]])

    def dh(self, token: str) -> bytes:
        own, remote = list(token) if self.side == "initiator" else list(token[::-1])
        kinds = {"e": "ephemeral", "s": "static"}
        pair = KeyPair.from_private_bytes(hexed(TRANSCRIPT["fixed_inputs"][f"{self.own}_{kinds[own]}"]))
        return pair.dh(hexed(TRANSCRIPT["public_keys"][f"{self.peer}_{kinds[remote]}"]))

    def step(self, step: dict[str, Any]) -> None:
        operation, _, argument = step["step"].rstrip(")").partition("(")
        match operation:
            case "protocol_name_padded":
                pass
            case "mix_hash":
                data = b"" if argument in {"prologue", "payload1"} else self.public(argument)
                assert len(data) == step.get("data_len", 0)
                self.state = mix_hash(self.state, data)
            case "mix_key":
                assert self.dh(argument).hex() == step["dh"]
                self.state = mix_key(self.state, hexed(step["dh"]))
            case "encrypt_and_hash":
                assert_cipher(self.state, step)
                self.state, ciphertext = encrypt_and_hash(self.state, hexed(step["plaintext"]))
                assert ciphertext.hex() == step["ciphertext"]
            case "decrypt_and_hash":
                assert_cipher(self.state, step)
                self.state, plaintext = decrypt_and_hash(self.state, hexed(step["ciphertext"]))
                assert plaintext.hex() == step["plaintext"]
            case "split":
                keys = split(self.state)
                assert [key.expose_secret().hex() for key in keys] == [step["k1"], step["k2"]]
            case _:
                pytest.fail(f"unknown step {step['step']}")
        assert step.get("h") in {None, self.state.transcript_hash.hex()}
        assert step.get("ck") in {None, self.state.chaining_key.hex()}
        if operation == "mix_key":
            assert_cipher(self.state, step)


def assert_cipher(state: SymmetricState, step: dict[str, Any]) -> None:
    """The key is compared by what it encrypts: a cipher in use does not give it out."""
    assert state.cipher.nonce == step["n"]
    assert state.cipher.aead is not None
    expected = Aead(SessionKey(Cipher.AES_256_GCM, hexed(step["k"])))
    assert state.cipher.aead.encrypt(99, b"", b"probe") == expected.encrypt(99, b"", b"probe")
    assert step.get("aad") in {None, state.transcript_hash.hex()}
    assert step.get("nonce") in {None, f"{step['n']:024x}"}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.spec("NOISE-2", "NOISE-5", "NOISE-7", "NOISE-8", "NOISE-10", "NOISE-18")
def test_transcript_step_by_step(side: str) -> None:
    replay = Replay(side)
    steps = TRANSCRIPT[f"{side}_steps"]
    for step in steps:
        replay.step(step)
    names = [step["step"].partition("(")[0] for step in steps]
    assert names[-1] == "split"
    assert names.count("mix_key") == 3
    assert replay.state.transcript_hash.hex() == TRANSCRIPT["final"]["handshake_hash"]
    assert replay.state.chaining_key.hex() == TRANSCRIPT["final"]["ck"]


@pytest.mark.spec("NOISE-11", "NOISE-18", "NOISE-19")
def test_transcript_messages_and_final_keys() -> None:
    final = TRANSCRIPT["final"]
    payloads = ["", *(TRANSCRIPT[f"{side}_identity"]["identity_and_credentials"] for side in SIDES[::-1])]
    messages = TRANSCRIPT["handshake_messages"]
    assert [message["len"] for message in messages] == [32, 419, 387]
    ends = run(
        {
            "protocol_name_ascii": TRANSCRIPT["protocol_name"],
            "prologue": TRANSCRIPT["prologue"],
            "keys": TRANSCRIPT["fixed_inputs"],
            "messages": [
                {"payload": payload, "message": message["bytes"]}
                for payload, message in zip(payloads, messages, strict=True)
            ],
        }
    )
    for end, side in zip(ends, SIDES, strict=True):
        assert end.handshake_hash.hex() == final["handshake_hash"]
        assert end.sending.expose_secret().hex() == final[final[f"{side}_encrypts_with"]]
        assert end.receiving.expose_secret().hex() == final[final[f"{side}_decrypts_with"]]


def test_every_suite_is_judged_by_a_vector() -> None:
    suites: list[Suite] = [SUITES[vector["protocol_name_ascii"]] for vector in HANDSHAKES]
    assert {suite.protocol_name for suite in suites} == {name.encode() for name in SUITES}
    assert sum(len(vector["transport_messages"]) for vector in NOISE_XX["handshakes"]) == 6
