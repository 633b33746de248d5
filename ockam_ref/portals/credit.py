"""Credit: how two ends of our kind keep a stalled socket from blocking its neighbours, on the peer's own bytes.

The peer ignores Ping and Pong on a running connection, so they are free to mean this between our own ends:

* a Pong that answers no Ping announces "I answer marks"; an outlet sends one right after the Pong of the opening, an
  inlet answers it with one of its own, together with the first bytes in either direction;
* once the other side has announced itself, a Ping after every ``MARK_EVERY_BYTES`` marks a place in the stream; the
  receiver answers with a Pong when everything before the mark has left its process towards the socket;
* a sender has at most ``WINDOW_BYTES`` that are not answered for, then it stops to read from its socket.

With a peer that never announces itself nothing of this happens, and only the link's own back-pressure applies.
"""

from dataclasses import dataclass, replace
from typing import Final

WINDOW_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one portal connection and direction that may be on their way; by measurement, less costs throughput."""

MARK_EVERY_BYTES: Final = WINDOW_BYTES // 4

RESUME_BELOW_BYTES: Final = WINDOW_BYTES // 2
"""A paused sender reads again when no more than this is on its way."""


@dataclass(frozen=True, slots=True)
class Credit:
    """The sending direction of one connection: bytes up to each unanswered mark, and after the last one."""

    marks: tuple[int, ...] = ()
    unmarked: int = 0
    outstanding: int = 0
    agreed: bool = False
    paused: bool = False


NO_CREDIT: Final = Credit()
"""The other side has not announced itself; most never do."""


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from an event: the next state, whether to send a mark, and whether reading changes."""

    credit: Credit
    mark: bool = False
    pause: bool = False
    resume: bool = False


def credit_sent(credit: Credit, length: int) -> Step:
    """Account for bytes that were just sent."""
    if not credit.agreed:
        return Step(credit)
    unmarked, outstanding, marks = credit.unmarked + length, credit.outstanding + length, credit.marks
    mark = unmarked >= MARK_EVERY_BYTES
    if mark:
        marks, unmarked = (*marks, unmarked), 0
    pause = outstanding >= WINDOW_BYTES and not credit.paused
    return Step(
        Credit(marks, unmarked, outstanding, agreed=True, paused=credit.paused or pause), mark=mark, pause=pause
    )


def credit_answered(credit: Credit) -> Step:
    """Account for a Pong: an announcement, or the answer to the oldest mark; a Pong too many is ignored."""
    if not credit.agreed:
        return Step(replace(credit, agreed=True))
    if not credit.marks:
        return Step(credit)
    outstanding = credit.outstanding - credit.marks[0]
    resume = credit.paused and outstanding <= RESUME_BELOW_BYTES
    paused = credit.paused and not resume
    return Step(Credit(credit.marks[1:], credit.unmarked, outstanding, agreed=True, paused=paused), resume=resume)
