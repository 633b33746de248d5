"""Trust policies: whom a channel may be with, decided on the verified identifier alone (facts 04 section 2.9)."""

from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never


@dataclass(frozen=True, slots=True)
class TrustEveryone:
    """Any peer that proved an identity."""


@dataclass(frozen=True, slots=True)
class TrustIdentifier:
    """Exactly this peer; 32 bytes."""

    identifier: bytes


@dataclass(frozen=True, slots=True)
class TrustIdentifiers:
    """Any of these peers; the empty set trusts nobody."""

    identifiers: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class AllTrust:
    """Both policies; the second is not asked when the first refuses."""

    first: "TrustPolicy"
    second: "TrustPolicy"


@dataclass(frozen=True, slots=True)
class AnyTrust:
    """Either policy; the second is not asked when the first accepts."""

    first: "TrustPolicy"
    second: "TrustPolicy"


TrustPolicy: TypeAlias = TrustEveryone | TrustIdentifier | TrustIdentifiers | AllTrust | AnyTrust

TRUST_EVERYONE: Final = TrustEveryone()


def is_trusted(policy: TrustPolicy, identifier: bytes) -> bool:
    """Return whether the policy accepts a peer with that verified identifier."""
    match policy:
        case TrustEveryone():
            return True
        case TrustIdentifier(expected):
            return identifier == expected
        case TrustIdentifiers(expected):
            return identifier in expected
        case AllTrust(first, second):
            return is_trusted(first, identifier) and is_trusted(second, identifier)
        case AnyTrust(first, second):
            return is_trusted(first, identifier) or is_trusted(second, identifier)
        case _:
            assert_never(policy)
