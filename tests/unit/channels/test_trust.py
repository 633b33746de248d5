from dataclasses import dataclass

import pytest

from ockam_ref.channels.trust import (
    AllTrust,
    AnyTrust,
    TrustEveryone,
    TrustIdentifier,
    TrustIdentifiers,
    TrustPolicy,
    is_trusted,
)

ALICE, BOB = bytes(32), b"\x01" * 32
YES, NO = TrustEveryone(), TrustIdentifiers(frozenset())


@pytest.mark.spec("CH-10")
@pytest.mark.parametrize(
    ("policy", "trusts_alice", "trusts_bob"),
    [
        (TrustEveryone(), True, True),
        (TrustIdentifier(ALICE), True, False),
        (TrustIdentifiers(frozenset((ALICE, BOB))), True, True),
        (TrustIdentifiers(frozenset((BOB,))), False, True),
        (TrustIdentifiers(frozenset()), False, False),
        (AllTrust(TrustIdentifier(ALICE), TrustIdentifiers(frozenset((ALICE, BOB)))), True, False),
        (AnyTrust(TrustIdentifier(ALICE), AllTrust(YES, TrustIdentifier(BOB))), True, True),
    ],
)
def test_policies(policy: TrustPolicy, trusts_alice: bool, trusts_bob: bool) -> None:  # noqa: FBT001
    assert (is_trusted(policy, ALICE), is_trusted(policy, BOB)) == (trusts_alice, trusts_bob)


@pytest.mark.spec("CH-10")
@pytest.mark.parametrize("first", [YES, NO])
@pytest.mark.parametrize("second", [YES, NO])
def test_truth_tables(first: TrustPolicy, second: TrustPolicy) -> None:
    assert is_trusted(AllTrust(first, second), ALICE) is (first is YES and second is YES)
    assert is_trusted(AnyTrust(first, second), ALICE) is (first is YES or second is YES)


@dataclass(frozen=True)
class NotAPolicy:
    """Whoever asks this one fails."""


@pytest.mark.spec("CH-10")
def test_the_second_policy_is_asked_only_if_it_matters() -> None:
    trap: TrustPolicy = NotAPolicy()  # type: ignore[assignment]
    assert not is_trusted(AllTrust(NO, trap), ALICE)
    assert is_trusted(AnyTrust(YES, trap), ALICE)
    with pytest.raises(AssertionError):
        is_trusted(AllTrust(YES, trap), ALICE)
