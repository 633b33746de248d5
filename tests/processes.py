"""Processes that tests start, talk to and end.

Nothing here sleeps: every wait is for something that a process does, with a deadline, and a wait that fails shows what
the process has said.
"""

import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

REPOSITORY: Final = Path(__file__).resolve().parents[1]

HOME_VARIABLE: Final = "OCKAM_REF_HOME"
"""Where our commands keep identities and the rest."""

SESSION_HOME: Final = os.environ.get(HOME_VARIABLE)
"""What ``tests/conftest.py`` has set, which is nobody's."""

READY_S: Final = 20.0
END_S: Final = 8.0


class ProcessError(AssertionError):
    """A process did not do what the test needs; the text holds what it said."""


class Process:
    """One process of a test, told to end by SIGTERM, or by its standard input ending if the test itself is killed.

    Its state is in a folder of its own, unless its environment names another one.
    """

    def __init__(self, name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.started = time.monotonic()
        self.lines: list[str] = []
        self._said = ""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._home = tempfile.TemporaryDirectory(prefix="ockam-ref-test-", ignore_cleanup_errors=True)
        variables = dict(os.environ if environment is None else environment)
        if variables.get(HOME_VARIABLE, SESSION_HOME) == SESSION_HOME:
            variables[HOME_VARIABLE] = self._home.name
        self._process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._unread: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"stdout of {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def line(self, beginning: str = "", *, timeout: float = READY_S) -> str:
        """Return the next line that begins like this, without its end; others are kept in ``lines``."""
        deadline = time.monotonic() + timeout
        while True:
            found = self._next_line(deadline, f"a line that begins with {beginning!r}")
            self.lines.append(found)
            if found.startswith(beginning):
                return found

    def rest(self, *, timeout: float = READY_S) -> list[str]:
        """Wait for the end of the output; return the lines that nobody has read yet."""
        deadline = time.monotonic() + timeout
        found: list[str] = []
        while (line := self._next(deadline, "the end of its output")) is not None:
            found.append(line)
        self.lines += found
        return found

    def write(self, text: str) -> None:
        """Write to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def close_input(self) -> None:
        """End its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def ended(self, *, timeout: float = READY_S) -> int:
        """Wait for the process to end; return its exit code."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessError(self._story(f"has not ended within {timeout} s")) from None

    def errors(self) -> str:
        """Return what the process has written to its standard error."""
        if not self._errors.closed:
            self._errors.seek(0)
            self._said = self._errors.read().decode(errors="replace")
        return self._said

    def stop(self) -> None:
        """End the process by its id; raise if it had to be killed."""
        assert self._process.stdin is not None
        if self._process.poll() is None:
            self._process.terminate()
        self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise ProcessError(self._story(f"has not ended within {END_S} s of SIGTERM")) from None
        finally:
            self._close()

    def kill(self) -> None:
        """End the process without giving it a chance to say good-bye."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._unread.put(line)
        self._unread.put(None)

    def _next(self, deadline: float, wanted: str) -> str | None:
        try:
            line = self._unread.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise ProcessError(self._story(f"has not printed {wanted} in time")) from None
        if line is None:
            self._unread.put(None)
            return None
        return line.decode().rstrip("\n")

    def _next_line(self, deadline: float, wanted: str) -> str:
        line = self._next(deadline, wanted)
        if line is None:
            raise ProcessError(self._story(f"ended before it printed {wanted}"))
        return line

    def _story(self, what: str) -> str:
        said = "".join(f"\n  {line}" for line in self._printed()) or " nothing"
        code = self._process.poll()
        return (
            f"{self.name} (pid {self.pid}) {what}\nexit code: {code}\nprinted:{said}\nstandard error:\n{self.errors()}"
        )

    def _printed(self) -> Sequence[object]:
        return self.lines

    def _close(self) -> None:
        self._reader.join(END_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self.errors()
        self._errors.close()
        self._home.cleanup()


ProcessT = TypeVar("ProcessT", bound=Process)


class Processes:
    """All processes of one test; leaving the context ends them, the last one first."""

    def __init__(self) -> None:
        self.started: list[Process] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, process: ProcessT) -> ProcessT:
        """Take a process that has just been started."""
        self.started.append(process)
        self._stack.callback(process.stop)
        return process
