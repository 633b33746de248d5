"""Spans of time as people say them."""

from typing import Final

_UNITS: Final = (
    ("year", 365 * 86_400),
    ("month", 30 * 86_400),
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
    ("second", 1),
)


def span(seconds: int) -> str:
    """Return ``3 years`` or ``1 minute``: the largest unit that fits, rounded."""
    for name, length in _UNITS:
        if abs(seconds) >= length:
            count = (abs(seconds) + length // 2) // length
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "0 seconds"


def since(then: int, now: int) -> str:
    """Return ``3 years ago``, ``now`` or ``in 3 years``."""
    if then == now:
        return "now"
    return f"{span(now - then)} ago" if then < now else f"in {span(then - now)}"
