"""Runs the console blocks of a page as their reader would: one terminal for each caption, command by command.

A line that begins with ``$`` is a command, one that ends with ``&`` stays in the background until the end, and what
follows is what it prints, where ``...`` stands for anything.  The ports of the page are replaced by free ones.
"""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, NamedTuple

COMMAND_S: Final = 30.0
"""How long a command may take, and how long one in the background until it has printed what the page says."""

_BLOCK: Final = re.compile(
    r"^\.\. code-block:: console\n   :caption: (?P<caption>.+)\n\n(?P<body>(?:(?:   .*)?\n)+)", re.MULTILINE
)
_EXPORT: Final = re.compile(r"export (?P<name>\w+)=(?P<value>\S+)$")


class Step(NamedTuple):
    """One command in one terminal, and what it prints."""

    terminal: str
    command: str
    printed: str


def steps(page: str) -> Iterator[Step]:
    """Return the commands of a page in their order."""
    for block in _BLOCK.finditer(page):
        lines = [line[3:] for line in block["body"].rstrip().split("\n")]
        assert lines[0].startswith("$ "), lines[0]
        command, printed = "", list[str]()
        for line in [*lines, "$ "]:
            if line.startswith("$ "):
                if command:
                    yield Step(block["caption"], command, "\n".join(printed))
                command, printed = line[2:], []
            elif line.startswith("> "):
                command += "\n" + line[2:]
            else:
                printed.append(line)


def matches(expected: str, printed: str, *, whole: bool) -> bool:
    """Whether the lines are those of the page; without ``whole``, whether they begin so."""
    pattern = ".*?".join(map(re.escape, expected.split("...")))
    return re.match(rf"{pattern}\s*\Z" if whole else pattern, printed.strip("\n") + "\n", re.DOTALL) is not None


def free_ports(count: int) -> list[str]:
    """Return ports that nobody has at the moment, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in sockets]


@dataclass
class Terminals:
    """The terminals of one reader, who sits in ``folder``."""

    folder: Path
    ports: Mapping[str, str]
    environment: Mapping[str, str]
    exports: dict[str, dict[str, str]] = field(default_factory=dict)
    running: list[tuple[Step, "subprocess.Popen[bytes]", Path]] = field(default_factory=list)

    def run(self, step: Step) -> None:
        """Run a command, and compare what it prints with the page."""
        exports = self.exports.setdefault(step.terminal, {})
        export = _EXPORT.match(step.command)
        if export is not None:
            exports[export["name"]] = self._finish(Step(step.terminal, f"echo {export['value']}", "")).strip()
        elif step.command.endswith("&"):
            self._begin(step)
        else:
            printed = self._finish(step)
            assert matches(step.printed, printed, whole=True), (
                f"{step.command}\nprinted\n{printed}\nnot\n{step.printed}"
            )

    def close(self) -> None:
        """End what runs in the background."""
        for _, process, _ in reversed(self.running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for _, process, _ in self.running:
            process.wait(COMMAND_S)

    def _finish(self, step: Step) -> str:
        process = self._start(step.command, step.terminal, subprocess.PIPE)
        try:
            printed, _ = process.communicate(timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        text = self._as_in_the_page(printed.decode())
        assert process.returncode == 0, f"{step.command}\nended with {process.returncode} and printed\n{text}"
        return text

    def _begin(self, step: Step) -> None:
        log = self.folder / f"background-{len(self.running)}.log"
        with log.open("wb") as output:
            process = self._start(step.command.removesuffix("&"), step.terminal, output)
        self.running.append((step, process, log))
        deadline = time.monotonic() + COMMAND_S
        while not matches(step.printed, printed := self._as_in_the_page(log.read_text()), whole=False):
            assert process.poll() is None, f"{step.command}\nended and printed\n{printed}"
            assert time.monotonic() < deadline, f"{step.command}\nprinted\n{printed}\nnot\n{step.printed}"
            time.sleep(0.02)  # the log is a file, which nobody can wait for

    def _start(self, command: str, terminal: str, output: int | IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["bash", "-c", self._with_free_ports(command)],
            cwd=self.folder,
            env={**self.environment, **self.exports.get(terminal, {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _with_free_ports(self, text: str) -> str:
        return re.sub(r"\b\d{4}\b", lambda found: self.ports.get(found[0], found[0]), text)

    def _as_in_the_page(self, text: str) -> str:
        for port, free in self.ports.items():
            text = re.sub(rf"\b{free}\b", port, text)
        return text
