"""Durations as the peer's command line takes them: ``10m``, ``1h``, ``600``; a plain number is seconds."""

import re
from typing import Final

import click

_UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1, "": 1000}
_DURATION: Final = re.compile(r"([0-9]{1,15})(d|h|m|s|ms)?")


class DurationType(click.ParamType[int]):
    """Becomes whole seconds, rounded up."""

    name = "DURATION"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number and an optional unit."""
        if isinstance(value, int):
            return value
        found = _DURATION.fullmatch(value)
        if found is None or int(found[1]) == 0:
            self.fail(f"{value!r} is no duration; write 90s, 10m, 1h or 30d", param, ctx)
        return -(-int(found[1]) * _UNITS[found[2] or ""] // 1000)


DURATION: Final = DurationType()
