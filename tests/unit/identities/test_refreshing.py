import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.identities.refreshing import RefreshTiming

PEERS = RefreshTiming()
TIMES = st.integers(min_value=0, max_value=2**40)


@pytest.mark.spec("CRED-23")
@pytest.mark.parametrize(("left", "usable"), [(-1, False), (0, False), (60, False), (61, True), (120, True)])
def test_what_can_be_presented(left: int, usable: bool) -> None:  # noqa: FBT001
    assert PEERS.is_usable(1000 + left, 1000) is usable


@pytest.mark.spec("CRED-24")
@pytest.mark.parametrize(
    ("left", "tried_ago", "delay"),
    [
        (0, None, 0),
        (60, None, 0),
        (61, None, 0),
        (120, None, 0),
        (121, None, 1),
        (1_000, None, 880),
        (2_592_000, None, 2_591_880),
        (0, 0, 10),
        (0, 9, 1),
        (0, 10, 0),
        (125, 0, 10),
        (131, 0, 11),
    ],
)
def test_when_the_next_one_is_fetched(left: int, tried_ago: int | None, delay: int) -> None:
    now = 1_000_000
    tried_at = None if tried_ago is None else now - tried_ago
    assert PEERS.refresh_at(now + left, now, tried_at=tried_at) == now + delay


@pytest.mark.spec("CRED-24")
@given(TIMES, TIMES, st.none() | TIMES, st.builds(RefreshTiming, *(st.integers(0, 10_000),) * 3))
def test_a_fetch_is_neither_early_nor_crowded(
    expires_at: int, now: int, tried_at: int | None, timing: RefreshTiming
) -> None:
    due = timing.refresh_at(expires_at, now, tried_at=tried_at)
    assert due >= now
    assert due + timing.clock_skew_gap_s + timing.proactive_refresh_gap_s >= expires_at
    assert tried_at is None or due >= tried_at + timing.min_retry_interval_s
    reasons = {now, expires_at - timing.clock_skew_gap_s - timing.proactive_refresh_gap_s}
    assert due in reasons | (set() if tried_at is None else {tried_at + timing.min_retry_interval_s})
