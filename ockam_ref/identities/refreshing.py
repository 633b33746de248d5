"""When a credential of one's own is fetched anew (facts 03 section 6.1)."""

from typing import Final, NamedTuple

CLOCK_SKEW_GAP_S: Final = 60
"""A credential that has no more than these seconds left is not presented: the other end's clock may be ahead."""
PROACTIVE_REFRESH_GAP_S: Final = 60
"""So many seconds before that the next one is fetched."""
MIN_RETRY_INTERVAL_S: Final = 10
"""Seconds between a fetch, also one that failed, and the next, at least."""


class RefreshTiming(NamedTuple):
    """The three intervals, in seconds; the defaults are the peer's."""

    clock_skew_gap_s: int = CLOCK_SKEW_GAP_S
    proactive_refresh_gap_s: int = PROACTIVE_REFRESH_GAP_S
    min_retry_interval_s: int = MIN_RETRY_INTERVAL_S

    def is_usable(self, expires_at: int, now: int) -> bool:
        """Return whether a credential can still be presented."""
        return expires_at > now + self.clock_skew_gap_s

    def refresh_at(self, expires_at: int, now: int, *, tried_at: int | None = None) -> int:
        """Return when the next credential is to be fetched; ``now`` if at once.

        ``expires_at`` is that of the credential held, ``tried_at`` when one was fetched, or could not be, the last
        time; all are in seconds since 1970.  The peer waits after a failure only, and so never stops to fetch
        credentials that live no longer than both gaps.
        """
        due = max(now, expires_at - self.clock_skew_gap_s - self.proactive_refresh_gap_s)
        return due if tried_at is None else max(due, tried_at + self.min_retry_interval_s)
