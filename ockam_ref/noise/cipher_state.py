"""CipherState: a key, or none yet, and the counter of its next message (Noise section 5.1)."""

from dataclasses import dataclass

from ockam_ref.errors import ErrorCode, MisuseError, PeerError
from ockam_ref.noise.primitives import MAX_NONCE, TAG_LENGTH, Aead, Buffer, HoldsKeys, SessionKey


@dataclass(frozen=True, slots=True)
class CipherState(HoldsKeys):
    """The paper's ``k`` and ``n``; a state with a key is used for one message only."""

    aead: Aead | None = None
    nonce: int = 0


def initialize_key(key: SessionKey) -> CipherState:
    """Return the state that begins with that key, its counter at 0.

    This is also how the keys of a completed standard handshake are used, one state for each direction.
    """
    return CipherState(Aead(key), 0)


def encrypt_with_ad(state: CipherState, associated_data: bytes, plaintext: Buffer) -> tuple[CipherState, bytes]:
    """Encrypt under the next nonce; without a key the plaintext is the answer.

    Raises:
        MisuseError: ``NONCE_EXHAUSTED``, after 2**64 - 1 messages.
    """
    if state.aead is None:
        return state, bytes(plaintext)
    ciphertext = state.aead.encrypt(_usable(state.nonce), associated_data, plaintext)
    return CipherState(state.aead, state.nonce + 1), ciphertext


def decrypt_with_ad(state: CipherState, associated_data: bytes, ciphertext: Buffer) -> tuple[CipherState, bytes]:
    """Decrypt under the next nonce; without a key the ciphertext is the answer.

    Raises:
        PeerError: ``TRUNCATED`` when there is not even a tag, ``AUTHENTICATION_FAILED`` when it is wrong.
        MisuseError: ``NONCE_EXHAUSTED``, after 2**64 - 1 messages.
    """
    if state.aead is None:
        return state, bytes(ciphertext)
    if len(ciphertext) < TAG_LENGTH:
        raise PeerError(ErrorCode.TRUNCATED, f"{len(ciphertext)} bytes are less than a tag")
    plaintext = state.aead.decrypt(_usable(state.nonce), associated_data, ciphertext)
    return CipherState(state.aead, state.nonce + 1), plaintext


def rekey(state: CipherState) -> CipherState:
    """Return the state with the next key, the counter going on; without a key nothing changes."""
    return state if state.aead is None else CipherState(state.aead.rekeyed(), state.nonce)


def _usable(nonce: int) -> int:
    if nonce >= MAX_NONCE:
        raise MisuseError(ErrorCode.NONCE_EXHAUSTED, "no nonce is left under this key")
    return nonce
