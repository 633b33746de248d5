"""What the kernel knows of a process: its memory, its processor time, its children."""

import os
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PARENT, _USER_TIME, _SYSTEM_TIME = 1, 11, 12  # places in /proc/PID/stat after the name of the program


def _stat(pid: int) -> list[str]:
    # The name stands in parentheses and may hold anything, parentheses included.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def processor_s(pid: int) -> float:
    """Return the seconds of processor time that the process has used, in user and kernel mode."""
    fields = _stat(pid)
    return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS_PER_S


def resident_mib(pid: int, *, peak: bool = False) -> float:
    """Return how much memory the process has resident now, or had at most, in MiB."""
    name = "VmHWM" if peak else "VmRSS"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no {name}")


def with_descendants(pids: list[int]) -> list[int]:
    """Return the processes and all that they have started, directly or not."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            pid = int(entry.name)
            try:
                parents[pid] = int(_stat(pid)[_PARENT])
            except (FileNotFoundError, ProcessLookupError):
                continue
    family = set(pids)
    while added := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= added
    return sorted(family)
