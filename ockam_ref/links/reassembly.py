"""Putting messages together again from the slices that one source sends in datagrams (facts 08 section 2.2).

Pure: ``receive(state, datagrams, now)`` returns the next state, the messages that became complete, and what was lost.
A window of five messages is kept, as by the peer, so slices may come in any order and messages overtake each other.
Better than the peer:

* a slice that comes twice is harmless, and so is an empty last one;
* a slice that contradicts those before it, because a new sender uses the number of an old one, begins its message anew;
* a sender that restarted is heard at once.  Its numbers begin anywhere, half of the time behind the window; they count
  as late only within ``MAX_LATE`` messages of it and ``RESTART_SILENCE_S`` seconds of the last slice we could use;
* the forms of releases 0.130 to 0.144 are understood too, slices may have any length, and memory is bounded.

How slices wait is the matter of ``ockam_ref.links.unfinished``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from ockam_ref.errors import DecodeError
from ockam_ref.links.form import Fault
from ockam_ref.links.unfinished import Draft, Unfinished, contradicts, fault_of
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH
from ockam_ref.wire.udp_datagram import AnySlice, LegacySlice, Slice, decode_slice

WINDOW: Final = 5
"""Messages of one source that can be unfinished at a time; a newer one pushes the oldest out."""

MAX_LATE: Final = 1024
"""A number this far behind the window or less is late; one further behind is that of a sender that restarted.

Late datagrams were overtaken on their way; more than a thousand messages do not overtake one.  A sender that restarts
hits this range once in 64 times, and is then heard after ``RESTART_SILENCE_S``.
"""

RESTART_SILENCE_S: Final = 2.0
"""After so long without a slice that we could use, a number that is late or done with is that of a new sender."""

MAX_WAITING_BYTES: Final = 40 * 1024 * 1024
"""What the unfinished messages of one source may cost, two of the longest ones; beyond it the oldest is given up."""

_NUMBERS: Final = 0x1_0000
_HALF: Final = 0x8000


class Done(Enum):
    """The place of a message that was delivered."""

    DONE = "done"


Place: TypeAlias = Unfinished | Done | None


@dataclass(frozen=True, slots=True)
class Reassembly:
    """The window of one source: ``places`` for the numbers from ``oldest`` on, empty before the first datagram.

    ``heard`` is when a slice last was of use, in seconds; ``waiting`` is what the unfinished messages cost.
    """

    oldest: int = 0
    places: tuple[Place, ...] = ()
    heard: float = 0.0
    waiting: int = 0


Results: TypeAlias = list[bytes | Fault]


def receive(state: Reassembly, datagrams: Sequence[bytes | memoryview], now: float) -> tuple[Reassembly, Results]:
    """Take datagrams of the source, in the order in which they came; return what became complete and what was lost.

    Faults of one kind are told once for a batch.
    """
    work = _Work(state, now)
    owned = list(map(bytes, datagrams))
    position, end = 0, len(owned)
    while position < end:
        datagram = owned[position]
        position += 1
        try:
            piece = decode_slice(datagram)
        except DecodeError as error:
            work.refuse("undecodable-datagram", str(error))
            continue
        draft = work.take(piece)
        if draft is not None and position < end:
            position += draft.follow(owned, position, piece)
            work.check(draft)
    return work.freeze(), work.results()


class _Work:
    """The window of one source while a batch is worked off."""

    __slots__ = ("_complete", "_faults", "_heard", "_now", "_oldest", "_places")

    def __init__(self, state: Reassembly, now: float) -> None:
        self._now = now
        self._heard = state.heard
        self._oldest = state.oldest
        self._places: list[Place | Draft] = list(state.places)
        self._complete: list[bytes] = []
        self._faults: dict[str, list[str]] = {}

    def freeze(self) -> Reassembly:
        places = tuple(place.freeze() if isinstance(place, Draft) else place for place in self._places)
        waiting = sum(place.cost for place in places if isinstance(place, Unfinished))
        return Reassembly(self._oldest, places, self._heard, waiting)

    def results(self) -> Results:
        faults = (
            Fault(rule, details[0] if len(details) == 1 else f"{details[0]}, and {len(details) - 1} more")
            for rule, details in self._faults.items()
        )
        return [*self._complete, *faults]

    def refuse(self, rule: str, detail: str) -> None:
        self._faults.setdefault(rule, []).append(detail)

    def take(self, piece: AnySlice) -> "Draft | None":
        """Put a slice into its place; return its message if that is still unfinished."""
        fault = fault_of(piece)
        if fault is not None:
            self.refuse("bad-slice", fault)
            return None
        position = self._find(piece.number)
        if position is None:
            return None
        if isinstance(piece, Slice) and piece.total == 1:
            self._lose(position, "another message has its number")
            self._finish(position, bytes(piece.data))
            return None
        draft = self._draft(position, piece)
        if draft.add(piece):
            self._heard = self._now
        return draft if self.check(draft) else None

    def check(self, draft: Draft) -> bool:
        """Deliver a message that is complete; return whether it is still unfinished."""
        position = (draft.number - self._oldest) % _NUMBERS
        message = draft.message()
        if message is None:
            return self._bound(position)
        if len(message) > MAX_MESSAGE_LENGTH:
            self._lose(position, f"{len(message)} bytes are more than a message can have")
            return False
        self._finish(position, message)
        return False

    def _finish(self, position: int, message: bytes) -> None:
        self._places[position] = Done.DONE
        self._complete.append(message)
        self._heard = self._now

    def _find(self, number: int) -> int | None:
        """Return where the number lies in the window, which moves if it must; ``None`` for one that comes too late."""
        if not self._places:
            self._begin(number)
        is_silent = self._now - self._heard >= RESTART_SILENCE_S
        behind = (self._oldest - number) % _NUMBERS
        if 1 <= behind <= _HALF:
            if behind <= MAX_LATE and not is_silent:
                self.refuse("late-datagram", f"message {number} came after {WINDOW} newer ones")
                return None
            self._begin(number)
        position = (number - self._oldest) % _NUMBERS
        if position >= WINDOW:
            self._shift(position - WINDOW + 1)
            return WINDOW - 1
        if self._places[position] is Done.DONE:
            if not is_silent:
                return None
            self._begin(number)
            return WINDOW - 1
        return position

    def _begin(self, number: int) -> None:
        """Make a window that ends with this number; those just before it may have been overtaken."""
        for position in range(len(self._places)):
            self._lose(position, "its sender began anew")
        self._oldest = (number - WINDOW + 1) % _NUMBERS
        self._places = [None] * WINDOW

    def _shift(self, count: int) -> None:
        gone = min(count, WINDOW)
        for position in range(gone):
            self._lose(position, "newer messages came before it was complete")
        self._places = [*self._places[gone:], *[None] * gone]
        self._oldest = (self._oldest + count) % _NUMBERS

    def _lose(self, position: int, why: str) -> None:
        place = self._places[position]
        if isinstance(place, Unfinished | Draft):
            number = (self._oldest + position) % _NUMBERS
            there = place.kept + (place.last is not None)
            of = f" of {place.total}" if place.total else ""
            self.refuse("unfinished-message", f"message {number} is lost with {there}{of} slices there: {why}")
            self._places[position] = None

    def _draft(self, position: int, piece: AnySlice) -> Draft:
        """Return the message that the slice belongs to, begun anew if the slice contradicts what is there."""
        place = self._places[position]
        if isinstance(place, Unfinished):
            place = self._places[position] = Draft(piece.number, place)
        if isinstance(place, Draft):
            if not contradicts(place, piece):
                return place
            self._lose(position, "a slice contradicts those before it")
        legacy = isinstance(piece, LegacySlice)
        draft = Draft(piece.number, Unfinished(legacy, 0 if isinstance(piece, LegacySlice) else piece.total))
        self._places[position] = draft
        return draft

    def _bound(self, kept: int) -> bool:
        """Give up the oldest messages while all together cost too much; return whether the one at ``kept`` stays."""
        waiting = [
            (position, place.cost)
            for position, place in enumerate(self._places)
            if isinstance(place, Unfinished | Draft)
        ]
        total = sum(cost for _, cost in waiting)
        for position, cost in sorted(waiting, key=lambda one: one[0] == kept):
            if total <= MAX_WAITING_BYTES:
                break
            self._lose(position, f"unfinished messages of this source cost more than {MAX_WAITING_BYTES} bytes")
            total -= cost
        return self._places[kept] is not None
