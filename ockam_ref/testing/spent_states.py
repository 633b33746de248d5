"""Checks that a state which holds keys or nonces is stepped once.

Two packets from one state would be encrypted with one key and one nonce, which gives both away.
``SpentStates`` watches the steps a test makes itself; ``refuse_repeated_nonces`` watches every encryption below it,
so that a test can put a whole node inside.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.noise.primitives import MAX_NONCE, Aead, Buffer

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class SpentStates:
    """Remembers the states that were stepped, by identity, for as long as it lives."""

    def __init__(self) -> None:
        self._spent: dict[int, object] = {}  # the states themselves too, so that no identity is given out again

    def step(self, function: Callable[Concatenate[S, P], R], state: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return ``function(state, ...)``; a step that raises spends nothing.

        Raises:
            MisuseError: ``STATE_ALREADY_USED``.
        """
        if id(state) in self._spent:
            raise _already_used(type(state).__name__)
        result = function(state, *args, **kwargs)
        self._spent[id(state)] = state
        return result


@contextmanager
def refuse_repeated_nonces() -> Iterator[None]:
    """Let no two encryptions inside this block use one key with one nonce, whatever code makes them.

    Keys are told apart by their value, so a block must not run two conversations that start from the same fixed keys.

    Raises:
        MisuseError: ``STATE_ALREADY_USED``, out of the second encryption.
    """
    encrypt = Aead.encrypt
    used: set[tuple[bytes, int]] = set()

    def encrypt_once(self: Aead, nonce: int, associated_data: bytes, plaintext: Buffer) -> bytes:
        use = (encrypt(self, MAX_NONCE, b"which key is this", b""), nonce)
        if use in used:
            raise _already_used("cipher state")
        used.add(use)
        return encrypt(self, nonce, associated_data, plaintext)

    Aead.encrypt = encrypt_once  # type: ignore[method-assign]
    try:
        yield
    finally:
        Aead.encrypt = encrypt  # type: ignore[method-assign]


def _already_used(name: str) -> MisuseError:
    return MisuseError(ErrorCode.STATE_ALREADY_USED, f"a {name} was stepped twice")
