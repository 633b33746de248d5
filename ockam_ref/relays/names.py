"""Whose are the names of a relay service: the pure table of who holds which, and for how long after.

A name that was registered through a secure channel belongs to the identity at its other end.  Nobody else gets it while
its relay lives, nor for a while after, so that whose link broke finds its name again.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.wire.address import Address

MAX_NAME_BYTES: Final = 255
"""Bytes a relay name may have in UTF-8."""

MAX_NAMES_PER_OWNER: Final = 256
"""Names that one identity may hold, or one link over which no identity is known."""

RESERVED_S: Final = 600.0
"""How long a name is kept for the identity that held it after its relay has ended."""

MAX_RESERVED: Final = 4096
"""Names that are kept for identities without a relay; of more, the one that was left longest ago is free."""


class Holding(NamedTuple):
    """Who holds a name: an identity, or where none is known the link ``hop``.

    ``until`` is the monotonic time at which it is free, ``None`` while its relay lives.
    """

    owner: bytes | None
    hop: Address
    until: float | None = None


Holdings: TypeAlias = Mapping[Address, Holding]

NO_HOLDINGS: Final[Holdings] = {}


def is_relay_name(name: str) -> bool:
    """Return whether a relay may have that name.

    It is not empty, not too long, has no ``#`` (facts 05 trap 16), and nothing in it is invisible: no control or format
    character, and no space at an end.
    """
    size = len(name.encode(errors="surrogatepass"))
    return 0 < size <= MAX_NAME_BYTES and "#" not in name and name.isprintable() and name == name.strip()


def refuse_claim(holdings: Holdings, address: Address | None, claim: Holding, now: float) -> tuple[str, str] | None:
    """Return the rule and the sentence that refuse a claim to the address, ``None`` for one that is to be drawn."""
    held = None if address is None else holdings.get(address)
    if held is not None and _is_kept(held, now):
        if held.owner is not None and held.owner != claim.owner:
            return "name-taken", "the name belongs to another identity"
        if _holder(held) == _holder(claim):
            return None
    if sum(_holder(one) == _holder(claim) and _is_kept(one, now) for one in holdings.values()) >= MAX_NAMES_PER_OWNER:
        return "name-limit", f"one owner has at most {MAX_NAMES_PER_OWNER} names"
    return None


def hold(holdings: Holdings, address: Address, claim: Holding) -> Holdings:
    """Return the table in which the claim holds the address."""
    return {**holdings, address: claim}


def reserve(claim: Holding, now: float) -> Holding:
    """Return how a name without a relay is kept: for an identity a while, otherwise not."""
    return claim._replace(until=now if claim.owner is None else now + RESERVED_S)


def release(holdings: Holdings, address: Address, now: float) -> Holdings:
    """Return the table after a relay has ended: an identity's name is kept for it a while, any other is free."""
    held = holdings.get(address)
    left = {key: one for key, one in holdings.items() if key != address and _is_kept(one, now)}
    if held is not None and held.owner is not None:
        left[address] = reserve(held, now)
    reserved = [key for key, one in left.items() if one.until is not None]
    for key in reserved[:-MAX_RESERVED]:
        del left[key]
    return left


def _holder(holding: Holding) -> bytes | Address:
    return holding.hop if holding.owner is None else holding.owner


def _is_kept(holding: Holding, now: float) -> bool:
    return holding.until is None or holding.until > now
