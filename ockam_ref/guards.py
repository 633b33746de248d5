"""Who must hear when a peer may no longer pass: the table behind ``Guard``.

One of the node's tables, edited in place.  A worker has one guard at a time.
"""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from ockam_ref.effects import Guard

W = TypeVar("W", bound=Hashable)

GUARD_TIMER: Final = "guard"
"""The name of the timer that the node sets for a guarded worker: for the second at which a credential ends."""


class Guards(Generic[W]):
    """The guards of one node; ``W`` is whatever stands for a worker.  In order, so that a run can be repeated."""

    __slots__ = ("_guards", "_of_peer")

    def __init__(self) -> None:
        self._guards: dict[W, Guard] = {}
        self._of_peer: dict[bytes | None, dict[W, None]] = {}

    def set(self, worker: W, guard: Guard) -> None:
        """Give the worker this guard, in the place of the one it had."""
        self.forget(worker)
        self._guards[worker] = guard
        self._of_peer.setdefault(guard.peer, {})[worker] = None

    def find(self, worker: W) -> Guard | None:
        """Return the guard of the worker, if it has one."""
        return self._guards.get(worker)

    def forget(self, worker: W) -> None:
        """Take the worker's guard away; nothing happens where there is none."""
        guard = self._guards.pop(worker, None)
        if guard is None:
            return
        workers = self._of_peer[guard.peer]
        del workers[worker]
        if not workers:
            del self._of_peer[guard.peer]

    def workers(self) -> list[W]:
        """Return every worker that has a guard."""
        return list(self._guards)

    def workers_of(self, peer: bytes | None) -> list[W]:
        """Return the workers whose guard asks about that peer."""
        return list(self._of_peer.get(peer, ()))
