"""The ways of packets between the hosts of a ``MemoryNetwork``, and the packets that are on them."""

import heapq
import random
from collections.abc import Callable
from itertools import count

from ockam_ref.links.impairment import Impairment, Passage, let_through

_Way = tuple[str, str]
_PERFECT = Impairment()


class Paths:
    """One path for each pair of sender and receiver; without an impairment a packet arrives at once."""

    def __init__(self, dice: random.Random) -> None:
        self.sent = 0
        self.lost = 0
        self._dice = dice
        self._impairments: dict[_Way, Impairment] = {}
        self._passages: dict[_Way, Passage] = {}
        self._cut: set[frozenset[str]] = set()
        self._on_their_way: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def impair(self, sender: str, receiver: str, impairment: Impairment) -> None:
        """Change what happens from now on."""
        self._impairments[sender, receiver] = impairment

    def cut(self, one: str, other: str) -> None:
        """Let nothing through between the two."""
        self._cut.add(frozenset((one, other)))

    def join(self, one: str, other: str) -> None:
        """Undo ``cut``."""
        self._cut.discard(frozenset((one, other)))

    def carry(self, sender: str, receiver: str, length: int, now: float, arrive: Callable[[], None]) -> None:
        """Take a packet; ``arrive`` is called for each copy that gets through, when its time has come."""
        way = (sender, receiver)
        self.sent += 1
        if frozenset(way) in self._cut:
            self.lost += 1
            return
        impairment = self._impairments.get(way, _PERFECT)
        passage = self._passages.get(way, Passage())
        self._passages[way], arrivals = let_through(impairment, passage, length, now, self._dice.random)
        if not arrivals:
            self.lost += 1
        for at in arrivals:
            heapq.heappush(self._on_their_way, (at, next(self._order), arrive))

    @property
    def next_arrival(self) -> float | None:
        """When the next packet arrives, if one is on its way."""
        return self._on_their_way[0][0] if self._on_their_way else None

    def arrive(self, now: float) -> bool:
        """Let all packets arrive whose time has come; return whether there were any."""
        due = False
        while self._on_their_way and self._on_their_way[0][0] <= now:
            due = True
            heapq.heappop(self._on_their_way)[2]()
        return due
