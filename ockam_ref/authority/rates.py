"""How often who may ask: requests are counted for each caller in windows of a minute."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

WINDOW_S: Final = 60
"""Seconds after which counting begins anew."""
REQUESTS_A_MINUTE: Final = 120
"""Requests of one caller to one service in a window."""
ENROLLER_REQUESTS_A_MINUTE: Final = 6000
"""Those of a caller who may enrol others."""
REVOCATION_REQUESTS_A_MINUTE: Final = 1200
"""Questions of one caller about revocations: every process of a member asks every two seconds."""
REFUSED_CODES_A_MINUTE: Final = 5
"""One-time codes that one caller may present in vain in a window; none is looked at afterwards."""
AUDITED_REFUSALS_A_MINUTE: Final = 120
"""Refusals of a window that are written into the audit log; it has an end, and strangers must not fill it."""
MAX_COUNTED: Final = 4096
"""Counters of a window; the oldest is forgotten for one beyond."""

Counter: TypeAlias = tuple[str, bytes]
"""What is counted and for whom."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The counters of the window that began at ``since`` (seconds since 1970)."""

    since: int = 0
    counts: Mapping[Counter, int] = field(default_factory=dict)

    def count(self, counter: Counter, *, now: int) -> int:
        """Return how often that happened in the window of ``now``."""
        return self.counts.get(counter, 0) if self._covers(now) else 0

    def plus_one(self, counter: Counter, *, now: int) -> "Rates":
        """Return the counters after one more."""
        if not self._covers(now):
            return Rates(now, {counter: 1})
        counts = dict(self.counts)
        count = counts.pop(counter, 0)
        if len(counts) >= MAX_COUNTED:
            del counts[next(iter(counts))]
        counts[counter] = count + 1
        return Rates(self.since, counts)

    def wait_s(self, *, now: int) -> int:
        """Return the seconds until the next window."""
        return max(self.since + WINDOW_S - now, 1)

    def _covers(self, now: int) -> bool:
        return self.since <= now < self.since + WINDOW_S
