"""HandshakeState: one end of a handshake, as pure functions over a frozen value (Noise section 5.3).

The choice that facts 04 section 1.8 leaves open: a message that fails, for any reason, leaves the state
untouched. The state is a value and the caller still has it, so a genuine message that comes after a forged one
completes the handshake.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias, TypeVar

from ockam_ref.errors import ErrorCode, MisuseError, PeerError
from ockam_ref.noise.patterns import Suite, Token
from ockam_ref.noise.primitives import KEY_LENGTH, TAG_LENGTH, Buffer, HoldsKeys, KeyPair, SessionKey
from ockam_ref.noise.symmetric_state import (
    SymmetricState,
    decrypt_and_hash,
    encrypt_and_hash,
    initialize_symmetric,
    mix_hash,
    mix_key,
    split,
)

T = TypeVar("T")

MAX_MESSAGE_LENGTH: Final = 65535
"""Bytes a handshake message may have, both ways."""


class Role(Enum):
    """Which end of the handshake this is."""

    INITIATOR = 0
    RESPONDER = 1


@dataclass(frozen=True, slots=True)
class HandshakeState(HoldsKeys):
    """One end between two messages; a state that has written a message must not write another.

    ``remote_static`` is there once the message that carries it was read: after message 2 for the initiator of XX,
    who can look at the peer before it shows itself in message 3.
    """

    role: Role
    symmetric: SymmetricState
    static: KeyPair
    ephemeral: KeyPair | None = None
    remote_static: bytes | None = None
    remote_ephemeral: bytes | None = None
    messages_done: int = 0

    @property
    def writes_next(self) -> bool:
        """Whether the next message is this end's to write."""
        return self.messages_done % 2 == self.role.value

    @property
    def next_tokens(self) -> tuple[Token, ...]:
        """The tokens of the next message."""
        return self.symmetric.suite.pattern.messages[self.messages_done]


@dataclass(frozen=True, slots=True)
class Completed(HoldsKeys):
    """The end of a handshake; nothing of it but this is kept (the ephemeral and chaining keys are let go).

    ``handshake_hash`` is equal at both ends and differs for any two handshakes; it is no secret.
    """

    sending: SessionKey
    receiving: SessionKey
    remote_static: bytes
    handshake_hash: bytes
    role: Role


Step: TypeAlias = HandshakeState | Completed


def initialize(suite: Suite, role: Role, *, static: KeyPair, prologue: Buffer = b"") -> HandshakeState:
    """Return the state before the first message; both ends must give the same prologue."""
    return HandshakeState(role, mix_hash(initialize_symmetric(suite), prologue), static)


def write_message(state: HandshakeState, payload: Buffer, *, ephemeral: KeyPair | None = None) -> tuple[Step, bytes]:
    """Write the next message around the payload, which is encrypted as soon as there is a key.

    A fresh ``ephemeral`` is given exactly when the message has an ``e`` token: messages 1 and 2 of XX.

    Raises:
        MisuseError: not this end's turn, an ephemeral key missing or given in vain (``MISUSE``), or a message
            that would be longer than 65535 bytes (``TOO_LONG``).
        PeerError: ``AUTHENTICATION_FAILED``, when a public key of the peer is a low-order point.
    """
    if not state.writes_next:
        raise MisuseError(ErrorCode.MISUSE, "it is the peer's turn to write")
    tokens = state.next_tokens
    if (Token.E in tokens) is not (ephemeral is not None):
        raise MisuseError(ErrorCode.MISUSE, "an ephemeral key is given exactly when the message has one")
    ephemeral = ephemeral or state.ephemeral
    symmetric = state.symmetric
    parts = []
    for token in tokens:
        if token is Token.E:
            public = _present(ephemeral).public
            symmetric = mix_hash(symmetric, public)
            parts.append(public)
        elif token is Token.S:
            symmetric, part = encrypt_and_hash(symmetric, state.static.public)
            parts.append(part)
        else:
            secret = _dh(state, token, ephemeral, state.remote_static, state.remote_ephemeral)
            symmetric = mix_key(symmetric, secret)
    symmetric, part = encrypt_and_hash(symmetric, payload)
    message = b"".join((*parts, part))
    if len(message) > MAX_MESSAGE_LENGTH:
        raise MisuseError(ErrorCode.TOO_LONG, f"a handshake message of {len(message)} bytes is too long")
    return _advance(state, symmetric, ephemeral, state.remote_static, state.remote_ephemeral), message


def read_message(state: HandshakeState, data: Buffer) -> tuple[Step, bytes]:
    """Read the peer's next message and return its payload.

    Raises:
        PeerError: ``TOO_LONG`` (above 65535 bytes), ``TRUNCATED``, or ``AUTHENTICATION_FAILED`` for everything
            that does not decrypt and for a low-order public key. The state given can be used again.
        MisuseError: ``MISUSE``, when it is not the peer's turn.
    """
    if state.writes_next:
        raise MisuseError(ErrorCode.MISUSE, "it is this end's turn to write")
    if len(data) > MAX_MESSAGE_LENGTH:
        raise PeerError(ErrorCode.TOO_LONG, f"a handshake message of {len(data)} bytes is too long")
    symmetric = state.symmetric
    remote_static, remote_ephemeral = state.remote_static, state.remote_ephemeral
    rest = memoryview(data)
    for token in state.next_tokens:
        if token is Token.E:
            part, rest = _take(rest, KEY_LENGTH)
            symmetric = mix_hash(symmetric, part)
            remote_ephemeral = bytes(part)
        elif token is Token.S:
            part, rest = _take(rest, KEY_LENGTH + TAG_LENGTH if symmetric.has_key else KEY_LENGTH)
            symmetric, remote_static = decrypt_and_hash(symmetric, part)
        else:
            symmetric = mix_key(symmetric, _dh(state, token, state.ephemeral, remote_static, remote_ephemeral))
    symmetric, payload = decrypt_and_hash(symmetric, rest)
    return _advance(state, symmetric, state.ephemeral, remote_static, remote_ephemeral), payload


def _dh(
    state: HandshakeState,
    token: Token,
    ephemeral: KeyPair | None,
    remote_static: bytes | None,
    remote_ephemeral: bytes | None,
) -> bytes:
    """Return the Diffie-Hellman result of a token, which names the initiator's key first, then the responder's."""
    own = state.role.value
    key_pair = state.static if token.value[own] == "s" else ephemeral
    public = remote_static if token.value[1 - own] == "s" else remote_ephemeral
    return _present(key_pair).dh(_present(public))


def _advance(
    state: HandshakeState,
    symmetric: SymmetricState,
    ephemeral: KeyPair | None,
    remote_static: bytes | None,
    remote_ephemeral: bytes | None,
) -> Step:
    done = state.messages_done + 1
    suite = symmetric.suite
    if done < len(suite.pattern.messages):
        return HandshakeState(
            state.role, symmetric, state.static, ephemeral, remote_static, remote_ephemeral, messages_done=done
        )
    first, second = split(symmetric)
    sends_first = (state.role is Role.INITIATOR) is not suite.swap_split
    sending, receiving = (first, second) if sends_first else (second, first)
    return Completed(sending, receiving, _present(remote_static), symmetric.transcript_hash, state.role)


def _take(rest: memoryview, length: int) -> tuple[memoryview, memoryview]:
    if len(rest) < length:
        raise PeerError(ErrorCode.TRUNCATED, f"{length} bytes are needed and {len(rest)} are left")
    return rest[:length], rest[length:]


def _present(key: T | None) -> T:
    if key is None:
        raise MisuseError(ErrorCode.MISUSE, "the pattern uses a key before it is sent")
    return key
