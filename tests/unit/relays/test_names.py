"""Whose are the names: the table alone."""

import pytest

from ockam_ref.relays.names import (
    MAX_NAMES_PER_OWNER,
    MAX_RESERVED,
    NO_HOLDINGS,
    RESERVED_S,
    Holding,
    Holdings,
    hold,
    refuse_claim,
    release,
    reserve,
)
from ockam_ref.wire.address import Address, local

BOB, HOP, ELSEWHERE = local("forward_to_bob"), local("hop"), local("elsewhere")
MINE, THEIRS = Holding(b"me" * 16, HOP), Holding(b"it" * 16, HOP)
NOBODY, ANYBODY = Holding(None, HOP), Holding(None, ELSEWHERE)
NOW = 100.0


def rule(holdings: Holdings, claim: Holding, address: Address | None = BOB, now: float = NOW) -> str | None:
    refused = refuse_claim(holdings, address, claim, now)
    return None if refused is None else refused[0]


@pytest.mark.spec("RL-5")
def test_a_name_of_an_identity_is_for_nobody_else() -> None:
    held = hold(NO_HOLDINGS, BOB, MINE)
    assert rule(held, MINE) is None
    assert rule(held, MINE._replace(hop=ELSEWHERE)) is None
    assert [rule(held, other) for other in (THEIRS, NOBODY, ANYBODY)] == ["name-taken"] * 3
    assert rule(held, THEIRS, local("other")) is None
    assert rule(held, THEIRS, None) is None


@pytest.mark.spec("RL-5")
def test_a_name_of_nobody_is_for_everybody() -> None:
    held = hold(NO_HOLDINGS, BOB, NOBODY)
    assert [rule(held, claim) for claim in (NOBODY, ANYBODY, MINE)] == [None] * 3


@pytest.mark.spec("RL-9")
def test_an_identity_finds_its_name_again() -> None:
    left = release(hold(NO_HOLDINGS, BOB, MINE), BOB, NOW)
    assert left == {BOB: reserve(MINE, NOW)}
    assert rule(left, MINE, now=NOW + 1) is None
    assert rule(left, THEIRS, now=NOW + RESERVED_S - 1) == "name-taken"
    assert rule(left, THEIRS, now=NOW + RESERVED_S) is None
    assert release(left, local("another"), NOW + RESERVED_S) == NO_HOLDINGS
    assert release(hold(NO_HOLDINGS, BOB, NOBODY), BOB, NOW) == NO_HOLDINGS


@pytest.mark.spec("RL-9")
def test_names_without_a_relay_are_bounded() -> None:
    holdings = {local(f"n{number}"): reserve(MINE, NOW) for number in range(MAX_RESERVED)}
    holdings[BOB] = MINE
    left = release(holdings, BOB, NOW)
    assert len(left) == MAX_RESERVED
    assert local("n0") not in left
    assert BOB in left


@pytest.mark.spec("RL-7")
@pytest.mark.parametrize("claim", [MINE, NOBODY])
def test_one_owner_has_so_many_names(claim: Holding) -> None:
    holdings = {local(f"n{number}"): claim for number in range(MAX_NAMES_PER_OWNER)}
    assert rule(holdings, claim) == "name-limit"
    assert rule(holdings, claim, None) == "name-limit"
    assert rule(holdings, claim, local("n0")) is None
    assert rule(holdings, THEIRS) is None
    assert rule(holdings, ANYBODY) is None
