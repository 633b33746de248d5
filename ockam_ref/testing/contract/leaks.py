"""Counting what a process holds: descriptors, tasks, memory."""

import asyncio
import gc
import tracemalloc
import warnings
from pathlib import Path
from typing import Final

MAX_GROWTH_BYTES: Final = 128 * 1024
"""What a thousand failures may leave in memory: caches of the interpreter and of the event loop."""

_DESCRIPTORS: Final = next((place for place in (Path("/proc/self/fd"), Path("/dev/fd")) if place.is_dir()), None)


class Leaks:
    """Takes stock when it is made; ``check`` fails when there is more now."""

    def __init__(self) -> None:
        tracemalloc.start()
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()  # what others have left behind is not ours to answer for
        self._descriptors = _count_descriptors()
        self._tasks = len(asyncio.all_tasks())
        self._bytes = tracemalloc.get_traced_memory()[0]

    def check(self) -> None:
        """Compare with what there was; of what has been asked for, all must have ended."""
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - self._bytes
        tracemalloc.stop()
        assert _count_descriptors() <= self._descriptors, "sockets or files are left open"
        assert len(asyncio.all_tasks()) <= self._tasks, "tasks are left"
        assert grown < MAX_GROWTH_BYTES, f"{grown} bytes are left in memory"


def _count_descriptors() -> int:
    """Zero where the system has no list of them."""
    return sum(1 for _ in _DESCRIPTORS.iterdir()) if _DESCRIPTORS is not None else 0
