"""What authorities vouch for: the attributes of the identities that presented a credential (facts 03 section 5.5).

One of the node's tables.  An entry is gone from the second at which its credential expires, and as soon as the
authority has revoked it; until then a newer credential of the same authority replaces it.

Unlike the peer's table it keeps what each authority said of a subject apart: there, a credential of one authority wipes
out what another one had said.
"""

from typing import Final, NamedTuple

MAX_SUBJECTS: Final = 10_000
"""Subjects whose attributes are kept; beyond that the one whose credential came longest ago has to present it again."""

MAX_REVOCATIONS: Final = 100_000
"""Revocations that are kept, over all authorities; beyond that the oldest one is forgotten."""


class Vouched(NamedTuple):
    """The attributes of one subject, as (name, value) ascending by name; times in seconds since 1970."""

    attributes: tuple[tuple[bytes, bytes], ...]
    created_at: int
    expires_at: int


class SubjectAttributes:
    """The table.  Identifiers are their 32 bytes."""

    __slots__ = ("_revoked", "_subjects")

    def __init__(self) -> None:
        self._subjects: dict[bytes, dict[bytes, Vouched]] = {}
        self._revoked: dict[tuple[bytes, bytes], int] = {}

    def store(self, subject: bytes, authority: bytes, vouched: Vouched) -> bool:
        """Keep what a verified credential says; return whether it counts: one that is revoked does not."""
        if vouched.created_at <= self._revoked.get((subject, authority), -1):
            return False
        entry = self._subjects.pop(subject, {})
        entry[authority] = vouched
        self._subjects[subject] = entry  # it is the newest again
        if len(self._subjects) > MAX_SUBJECTS:
            del self._subjects[next(iter(self._subjects))]
        return True

    def find(self, subject: bytes, authority: bytes, now: int) -> Vouched | None:
        """Return what the authority vouches for at this second; ``None`` for a stranger to it."""
        entry = self._subjects.get(subject)
        if entry is None:
            return None
        vouched = entry.get(authority)
        if vouched is None or vouched.expires_at > now:
            return vouched
        self._forget(subject, authority)
        return None

    def revoke(self, subject: bytes, authority: bytes, not_after: int) -> None:
        """Void what the authority said of the subject up to and including that second."""
        key = subject, authority
        if not_after <= self._revoked.get(key, -1):
            return
        self._revoked.pop(key, None)
        self._revoked[key] = not_after
        if len(self._revoked) > MAX_REVOCATIONS:
            del self._revoked[next(iter(self._revoked))]
        vouched = self._subjects.get(subject, {}).get(authority)
        if vouched is not None and vouched.created_at <= not_after:
            self._forget(subject, authority)

    def next_expiry(self, subject: bytes, now: int) -> int | None:
        """Return the second at which the first of the subject's attributes will be gone, if there still are any."""
        ends = (vouched.expires_at for vouched in self._subjects.get(subject, {}).values())
        return min((end for end in ends if end > now), default=None)

    def _forget(self, subject: bytes, authority: bytes) -> None:
        entry = self._subjects[subject]
        del entry[authority]
        if not entry:
            del self._subjects[subject]
