"""Identifiers: the 32-byte hash of the first change of an identity (facts 03 section 3.2)."""

from dataclasses import dataclass
from typing import Final

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError

IDENTIFIER_LENGTH: Final = 32
"""Bytes in an identifier, and in any other hash of a change."""

_PREFIX: Final = "I"
_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")
# What the peer trims: the Unicode property White_Space. Python's own strip() would also take U+001C to U+001F.
_WHITE_SPACE: Final = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


@dataclass(frozen=True, slots=True)
class Identifier:
    """Who somebody is, for ever: it does not change when the keys do. ``str()`` gives ``I`` and 64 lower-case digits.

    Raises:
        MisuseError: ``value`` has not exactly 32 bytes.
    """

    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != IDENTIFIER_LENGTH:
            raise MisuseError(
                ErrorCode.BAD_IDENTIFIER, f"an identifier has {IDENTIFIER_LENGTH} bytes, not {len(self.value)}"
            )

    def __str__(self) -> str:
        return _PREFIX + self.value.hex()


def parse_identifier(text: str) -> Identifier:
    """Read the text form: white space around it is dropped, the ``I`` is upper case, the digits are of either case.

    Raises:
        DecodeError: ``BAD_IDENTIFIER``, for anything else, the 40 digits of before November 2023 included.
    """
    trimmed = text.strip(_WHITE_SPACE)
    digits = trimmed[len(_PREFIX) :]
    if not trimmed.startswith(_PREFIX) or len(digits) != 2 * IDENTIFIER_LENGTH or not _HEX_DIGITS.issuperset(digits):
        raise DecodeError(
            ErrorCode.BAD_IDENTIFIER, f"an identifier is 'I' and {2 * IDENTIFIER_LENGTH} hexadecimal digits"
        )
    return Identifier(bytes.fromhex(digits))
