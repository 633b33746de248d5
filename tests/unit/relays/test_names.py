"""Whose are the names: the table alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.relays.names import (
    MAX_NAMES_PER_OWNER,
    MAX_RESERVED,
    NO_NAMES,
    RESERVED_S,
    HeldNames,
    Holding,
    forget_free,
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


def rule(names: HeldNames, claim: Holding, address: Address | None = BOB, now: float = NOW) -> str | None:
    refused = refuse_claim(names, address, claim, now)
    return None if refused is None else refused[0]


@pytest.mark.spec("RL-5")
def test_a_name_of_an_identity_is_for_nobody_else() -> None:
    held = hold(NO_NAMES, BOB, MINE)
    assert rule(held, MINE) is None
    assert rule(held, MINE._replace(hop=ELSEWHERE)) is None
    assert [rule(held, other) for other in (THEIRS, NOBODY, ANYBODY)] == ["name-taken"] * 3
    assert rule(held, THEIRS, local("other")) is None
    assert rule(held, THEIRS, None) is None


@pytest.mark.spec("RL-5")
def test_a_name_of_nobody_is_for_everybody() -> None:
    held = hold(NO_NAMES, BOB, NOBODY)
    assert [rule(held, claim) for claim in (NOBODY, ANYBODY, MINE)] == [None] * 3


@pytest.mark.spec("RL-9")
def test_an_identity_finds_its_name_again() -> None:
    left = release(hold(NO_NAMES, BOB, MINE), BOB, NOW)
    assert left == reserve(NO_NAMES, BOB, MINE, NOW)
    assert left.holdings == {BOB: MINE._replace(until=NOW + RESERVED_S)}
    assert rule(left, MINE, now=NOW + 1) is None
    assert rule(left, THEIRS, now=NOW + RESERVED_S - 1) == "name-taken"
    assert rule(left, THEIRS, now=NOW + RESERVED_S) is None
    assert forget_free(left, NOW + RESERVED_S - 1) == left
    assert forget_free(left, NOW + RESERVED_S) == NO_NAMES
    assert release(hold(NO_NAMES, BOB, NOBODY), BOB, NOW) == NO_NAMES
    assert release(NO_NAMES, BOB, NOW) == NO_NAMES


@pytest.mark.spec("RL-9")
def test_names_without_a_relay_are_bounded() -> None:
    names = hold(NO_NAMES, BOB, MINE)
    for number in range(MAX_RESERVED):
        names = reserve(names, local(f"n{number}"), MINE, NOW)
    left = release(names, BOB, NOW)
    assert len(left.holdings) == MAX_RESERVED
    assert local("n0") not in left.holdings
    assert BOB in left.holdings


@pytest.mark.spec("RL-7")
@pytest.mark.parametrize("claim", [MINE, NOBODY])
def test_one_owner_has_so_many_names(claim: Holding) -> None:
    names = NO_NAMES
    for number in range(MAX_NAMES_PER_OWNER):
        assert rule(names, claim) is None
        names = hold(names, local(f"n{number}"), claim)
    assert rule(names, claim) == "name-limit"
    assert rule(names, claim, None) == "name-limit"
    assert rule(names, claim, local("n0")) is None
    assert rule(names, THEIRS) is None
    assert rule(names, ANYBODY) is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hold", "reserve", "release", "forget"]),
        st.sampled_from([local(f"n{number}") for number in range(4)]),
        st.sampled_from([MINE, THEIRS, NOBODY, ANYBODY]),
        st.floats(0, RESERVED_S),
    ),
    max_size=40,
)


@pytest.mark.spec("RL-5", "RL-7", "RL-9")
@given(STEPS)
def test_the_table_counts_right_whatever_happens(steps: list[tuple[str, Address, Holding, float]]) -> None:
    names, now = NO_NAMES, NOW
    for step, address, claim, pause in steps:
        now += pause
        if step == "hold":
            names = hold(names, address, claim)
        elif step == "reserve":
            names = reserve(names, address, claim, now)
        elif step == "release":
            names = release(names, address, now)
        else:
            names = forget_free(names, now)
            assert all(one.until is None or one.until > now for one in names.holdings.values())
        counted: dict[bytes | Address, int] = {}
        for one in names.holdings.values():
            counted[one.holder] = counted.get(one.holder, 0) + 1
        assert names.counts == counted
        assert set(names.reserved) == {key for key, one in names.holdings.items() if one.until is not None}
        until = [names.holdings[key].until for key in names.reserved]
        assert until == sorted(until)  # type: ignore[type-var]
