"""Handshake patterns as data, and the suites that name one with its primitives (facts 04 sections 1.1, 1.6)."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.noise.primitives import Cipher, HashName


class Token(Enum):
    """One step of a message: a public key that is sent, or a Diffie-Hellman result that is mixed in."""

    E = "e"
    S = "s"
    EE = "ee"
    ES = "es"
    SE = "se"


@dataclass(frozen=True, slots=True)
class Pattern:
    """The messages of a handshake, the initiator's first; each end sends its static key in one of them.

    Raises:
        MisuseError: an end never shows its static key, so that nobody would be known in the end.
    """

    name: str
    messages: tuple[tuple[Token, ...], ...]

    def __post_init__(self) -> None:
        for sender in (self.messages[::2], self.messages[1::2]):
            if sum(tokens.count(Token.S) for tokens in sender) != 1:
                raise MisuseError(ErrorCode.MISUSE, f"pattern {self.name} must send both static keys, each once")


XX: Final = Pattern(
    "XX",
    (
        (Token.E,),
        (Token.E, Token.EE, Token.S, Token.ES),
        (Token.S, Token.SE),
    ),
)


@dataclass(frozen=True, slots=True)
class Suite:
    """A protocol name, the pattern and primitives it stands for, and who sends with which output of Split.

    With ``swap_split`` the initiator sends with the second output, as Ockam does;
    without it with the first, as the Noise specification says.
    """

    protocol_name: bytes
    pattern: Pattern
    cipher: Cipher
    hash_name: HashName
    swap_split: bool = False


OCKAM_XX_25519_AES256_GCM_SHA256: Final = Suite(
    b"OCKAM_XX_25519_AES256_GCM_SHA256", XX, Cipher.AES_256_GCM, HashName.SHA256, swap_split=True
)
NOISE_XX_25519_AESGCM_SHA256: Final = Suite(b"Noise_XX_25519_AESGCM_SHA256", XX, Cipher.AES_256_GCM, HashName.SHA256)
NOISE_XX_25519_CHACHAPOLY_SHA256: Final = Suite(
    b"Noise_XX_25519_ChaChaPoly_SHA256", XX, Cipher.CHACHA20_POLY1305, HashName.SHA256
)
NOISE_XX_25519_CHACHAPOLY_BLAKE2S: Final = Suite(
    b"Noise_XX_25519_ChaChaPoly_BLAKE2s", XX, Cipher.CHACHA20_POLY1305, HashName.BLAKE2S
)
