"""SymmetricState: the chaining key, the transcript hash and a CipherState (Noise section 5.2)."""

from dataclasses import dataclass, field

from ockam_ref.noise.cipher_state import CipherState, decrypt_with_ad, encrypt_with_ad, initialize_key
from ockam_ref.noise.patterns import Suite
from ockam_ref.noise.primitives import HASH_LENGTH, Buffer, HoldsKeys, SessionKey, hash_of, hkdf2


@dataclass(frozen=True, slots=True)
class SymmetricState(HoldsKeys):
    """The paper's ``ck``, ``h`` and cipher state, and the suite that says how they are computed."""

    suite: Suite
    chaining_key: bytes = field(repr=False)
    transcript_hash: bytes
    cipher: CipherState

    @property
    def has_key(self) -> bool:
        """Whether what is sent from now on is encrypted."""
        return self.cipher.aead is not None


def initialize_symmetric(suite: Suite) -> SymmetricState:
    """Return the state that begins with the suite's name: padded with zeros to 32 bytes, or hashed when longer."""
    name = suite.protocol_name
    start = name.ljust(HASH_LENGTH, b"\0") if len(name) <= HASH_LENGTH else hash_of(suite.hash_name, name)
    return SymmetricState(suite, start, start, CipherState())


def mix_hash(state: SymmetricState, data: Buffer) -> SymmetricState:
    """Bind the data to the transcript."""
    return SymmetricState(state.suite, state.chaining_key, _hash_with(state, data), state.cipher)


def mix_key(state: SymmetricState, key_material: bytes) -> SymmetricState:
    """Derive the next chaining key and a new cipher key, its counter at 0."""
    chaining_key, secret = hkdf2(state.chaining_key, key_material, hash_name=state.suite.hash_name)
    cipher = initialize_key(SessionKey(state.suite.cipher, secret))
    return SymmetricState(state.suite, chaining_key, state.transcript_hash, cipher)


def encrypt_and_hash(state: SymmetricState, plaintext: Buffer) -> tuple[SymmetricState, bytes]:
    """Encrypt with the transcript hash as associated data, and bind the ciphertext to the transcript."""
    cipher, ciphertext = encrypt_with_ad(state.cipher, state.transcript_hash, plaintext)
    return SymmetricState(state.suite, state.chaining_key, _hash_with(state, ciphertext), cipher), ciphertext


def decrypt_and_hash(state: SymmetricState, ciphertext: Buffer) -> tuple[SymmetricState, bytes]:
    """Undo ``encrypt_and_hash``; both ends then have the same transcript.

    Raises:
        PeerError: ``TRUNCATED`` or ``AUTHENTICATION_FAILED``.
    """
    cipher, plaintext = decrypt_with_ad(state.cipher, state.transcript_hash, ciphertext)
    return SymmetricState(state.suite, state.chaining_key, _hash_with(state, ciphertext), cipher), plaintext


def split(state: SymmetricState) -> tuple[SessionKey, SessionKey]:
    """Return the two keys of the data phase, in the order the paper gives them."""
    first, second = hkdf2(state.chaining_key, b"", hash_name=state.suite.hash_name)
    return SessionKey(state.suite.cipher, first), SessionKey(state.suite.cipher, second)


def _hash_with(state: SymmetricState, data: Buffer) -> bytes:
    return hash_of(state.suite.hash_name, state.transcript_hash, data)
