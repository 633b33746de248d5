"""Who wants to know when a worker stops: the table behind ``Watch``, ``WatchTerminal`` and ``TellBeyond``.

Beside it stand the followers of workers (``Follow``).

One of the node's tables, edited in place.  A *place* is a hop of ours and an address of the node behind it; a watcher
has one at a time, and a later one replaces it.
"""

from collections.abc import Hashable
from typing import Generic, TypeAlias, TypeVar

from ockam_ref.wire.address import Address

W = TypeVar("W", bound=Hashable)

Place: TypeAlias = tuple[Address, Address]


class Watches(Generic[W]):
    """The watches of one node; ``W`` is whatever stands for a worker.

    The inner tables have no values: they are in order, so that a run can be repeated effect by effect.
    """

    __slots__ = ("_at_place", "_followers", "_leader_of", "_place_of", "_watchers", "_watching")

    def __init__(self) -> None:
        self._watchers: dict[W, dict[tuple[W, Address], None]] = {}
        self._watching: dict[W, dict[tuple[W, Address], None]] = {}
        self._at_place: dict[Place, dict[W, None]] = {}
        self._place_of: dict[W, Place] = {}
        self._followers: dict[W, dict[W, None]] = {}
        self._leader_of: dict[W, W] = {}

    def add(self, watcher: W, watched: W, address: Address) -> None:
        """Remember that ``watcher`` wants to hear when the worker behind ``address`` stops."""
        self._watchers.setdefault(watched, {})[watcher, address] = None
        self._watching.setdefault(watcher, {})[watched, address] = None

    def add_beyond(self, watcher: W, place: Place) -> None:
        """Remember that ``watcher`` wants to hear when the other node says that ``place`` is gone."""
        self._forget_place(watcher)
        self._place_of[watcher] = place
        self._at_place.setdefault(place, {})[watcher] = None

    def take_beyond(self, place: Place) -> list[W]:
        """Return, and forget, who watches the place."""
        watchers = list(self._at_place.get(place, ()))
        for watcher in watchers:
            self._forget_place(watcher)
        return watchers

    def follow(self, leader: W, follower: W) -> None:
        """Remember that ``follower`` gets what ``leader`` tells; a worker follows one at a time, the latest."""
        self._unfollow(follower)
        self._leader_of[follower] = leader
        self._followers.setdefault(leader, {})[follower] = None

    def followers(self, leader: W) -> list[W]:
        """Return who follows the worker, the first to begin first."""
        return list(self._followers.get(leader, ()))

    def take(self, stopped: W) -> list[tuple[W, Address]]:
        """Forget a worker that has stopped; return who watched it, and under which address."""
        self._forget_place(stopped)
        self._unfollow(stopped)
        for follower in self._followers.pop(stopped, ()):
            del self._leader_of[follower]
        for watched, address in self._watching.pop(stopped, ()):
            watchers = self._watchers[watched]
            del watchers[stopped, address]
            if not watchers:
                del self._watchers[watched]
        told = list(self._watchers.pop(stopped, ()))
        for watcher, address in told:
            watching = self._watching[watcher]
            del watching[stopped, address]
            if not watching:
                del self._watching[watcher]
        return told

    def _unfollow(self, follower: W) -> None:
        leader = self._leader_of.pop(follower, None)
        if leader is not None:
            followers = self._followers[leader]
            del followers[follower]
            if not followers:
                del self._followers[leader]

    def _forget_place(self, watcher: W) -> None:
        place = self._place_of.pop(watcher, None)
        if place is not None:
            watchers = self._at_place[place]
            del watchers[watcher]
            if not watchers:
                del self._at_place[place]
