"""Whose are the names of a relay service: the pure table of who holds which, and for how long after.

A name that was registered through a secure channel belongs to the identity at its other end.  Nobody else gets it while
its relay lives, nor for a while after, so that whose link broke finds its name again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ockam_ref.wire.address import Address

MAX_NAME_BYTES: Final = 255
"""Bytes a relay name may have in UTF-8."""

MAX_NAMES_PER_OWNER: Final = 256
"""HeldNames that one identity may hold, or one link over which no identity is known."""

RESERVED_S: Final = 600.0
"""How long a name is kept for the identity that held it after its relay has ended."""

MAX_RESERVED: Final = 4096
"""HeldNames that are kept for identities without a relay; of more, the one that was left longest ago is free."""


class Holding(NamedTuple):
    """Who holds a name: an identity, or where none is known the link ``hop``.

    ``until`` is the monotonic time at which it is free, ``None`` while its relay lives.
    """

    owner: bytes | None
    hop: Address
    until: float | None = None

    @property
    def holder(self) -> bytes | Address:
        """Whom the name counts for."""
        return self.hop if self.owner is None else self.owner


@dataclass(frozen=True, slots=True)
class HeldNames:
    """Every name that is held, how many each holder has, and those without a relay, the one left longest ago first.

    No step looks at all of them: a flood of registrations must cost no more than any other.
    """

    holdings: Mapping[Address, Holding] = field(default_factory=dict)
    counts: Mapping[bytes | Address, int] = field(default_factory=dict)
    reserved: Mapping[Address, None] = field(default_factory=dict)


NO_NAMES: Final = HeldNames()


def is_relay_name(name: str) -> bool:
    """Return whether a relay may have that name.

    It is not empty, not too long, has no ``#`` (facts 05 trap 16), and nothing in it is invisible: no control or format
    character, and no space at an end.
    """
    size = len(name.encode(errors="surrogatepass"))
    return 0 < size <= MAX_NAME_BYTES and "#" not in name and name.isprintable() and name == name.strip()


def refuse_claim(names: HeldNames, address: Address | None, claim: Holding, now: float) -> tuple[str, str] | None:
    """Return the rule and the sentence that refuse a claim to the address, ``None`` for one that is to be drawn."""
    held = None if address is None else names.holdings.get(address)
    if held is not None and (held.until is None or held.until > now):
        if held.owner is not None and held.owner != claim.owner:
            return "name-taken", "the name belongs to another identity"
        if held.holder == claim.holder:
            return None
    if names.counts.get(claim.holder, 0) >= MAX_NAMES_PER_OWNER:
        return "name-limit", f"one owner has at most {MAX_NAMES_PER_OWNER} names"
    return None


def hold(names: HeldNames, address: Address, claim: Holding) -> HeldNames:
    """Return the table in which the claim holds the address: its relay lives."""
    return _put(names, address, claim)


def reserve(names: HeldNames, address: Address, claim: Holding, now: float) -> HeldNames:
    """Return the table in which the address is kept for the claim a while."""
    reserved = _put(names, address, claim._replace(until=now + RESERVED_S))
    if len(reserved.reserved) > MAX_RESERVED:
        return _put(reserved, next(iter(reserved.reserved)), None)
    return reserved


def release(names: HeldNames, address: Address, now: float) -> HeldNames:
    """Return the table after a relay has ended: an identity's name is kept for it a while, any other is free."""
    held = names.holdings.get(address)
    if held is None:
        return names
    return _put(names, address, None) if held.owner is None else reserve(names, address, held, now)


def forget_free(names: HeldNames, now: float) -> HeldNames:
    """Return the table without the names whose time is over."""
    for address in names.reserved:
        until = names.holdings[address].until
        if until is None or until > now:
            break
        names = _put(names, address, None)
    return names


def _put(names: HeldNames, address: Address, holding: Holding | None) -> HeldNames:
    holdings, counts, reserved = dict(names.holdings), dict(names.counts), dict(names.reserved)
    before = holdings.pop(address, None)
    if before is not None:
        reserved.pop(address, None)
        counts[before.holder] -= 1
        if not counts[before.holder]:
            del counts[before.holder]
    if holding is not None:
        holdings[address] = holding
        counts[holding.holder] = counts.get(holding.holder, 0) + 1
        if holding.until is not None:
            reserved[address] = None
    return HeldNames(holdings, counts, reserved)
