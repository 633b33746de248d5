"""What commands print: sentences for people, or one JSON object a line (``--json``).

A thread of its own writes, so that a reader that is slow, or has gone away, holds up nobody's connections.
"""

import json
import os
import queue
import sys
import threading
from typing import Final, NoReturn

import click

EXIT_FAILED: Final = 1
"""The command understood what to do and could not: a hub that cannot be reached, a port that is taken."""

MAX_WAITING_LINES: Final = 10_000
"""Lines that may wait for a slow reader of the standard output; what comes beyond that is counted and left out."""

LAST_LINES_S: Final = 0.25
"""How long a command that ends waits for its last lines to be read."""


class Output:
    """The standard output of a command.

    Every event has a name and fields; the sentence is what a person reads in their place.  An event without a sentence
    is for programs only.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._left_out = 0
        self._writer: threading.Thread | None = None

    def event(self, event: str, sentence: str | None = None, **fields: object) -> None:
        """Print one event.  Fields that are ``None`` are left out."""
        if self.as_json:
            self._put(_as_json(event, _known(fields)))
        elif sentence is not None:
            self._put(printable(sentence))

    def ready(
        self,
        role: str,
        sentence: str,
        *,
        listen: str | None = None,
        forwarding_address: str | None = None,
        identifier: str | None = None,
        **more: object,
    ) -> None:
        """Print that the command now does what it is for; the fields that are named here are always there."""
        if not self.as_json:
            self._put(printable(sentence))
            return
        fields = {
            "role": role,
            "listen": listen,
            "forwarding_address": forwarding_address,
            "identifier": identifier,
            "pid": os.getpid(),
        }
        self._put(_as_json("ready", fields | _known(more)))

    def close(self) -> None:
        """Print what still waits, unless nobody reads it."""
        if self._writer is not None:
            self._lines.put(None)
            self._writer.join(LAST_LINES_S)

    def _put(self, line: str) -> None:
        if self._writer is None:
            # a daemon: a write that nobody reads must not keep the process alive
            self._writer = threading.Thread(target=self._write, name="output", daemon=True)
            self._writer.start()
        if self._lines.qsize() >= MAX_WAITING_LINES:
            self._left_out += 1
            return
        if self._left_out:
            count, self._left_out = self._left_out, 0
            sentence = f"({count} more, which nobody read in time)"
            self._lines.put(_as_json("events-left-out", {"count": count}) if self.as_json else sentence)
        self._lines.put(line)

    def _write(self) -> None:
        """Write past ``sys.stdout``: nothing may be left in its buffer for the interpreter to trip over at its end."""
        number = None if sys.stdout is None else sys.stdout.fileno()
        while (line := self._lines.get()) is not None:
            left = memoryview(f"{line}\n".encode(errors="backslashreplace"))
            try:
                while left and number is not None:
                    left = left[os.write(number, left) :]
            except OSError:
                number = None  # the reader is gone; a service goes on


def printable(text: str, *, keep: str = "\n\t") -> str:
    """Return a text that cannot give orders to a terminal: strangers choose parts of what is printed."""
    return "".join(
        character if character.isprintable() or character in keep else ascii(character)[1:-1] for character in text
    )


def warn(sentence: str) -> None:
    """Tell people something on the error stream, loudly."""
    click.secho(sentence, fg="yellow", err=True)


def fail(sentence: str) -> NoReturn:
    """End the command with a sentence that says what to do, and exit code 1."""
    click.echo(f"ockam-ref: {printable(sentence)}", err=True)
    sys.exit(EXIT_FAILED)


def _known(fields: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value is not None}


def _as_json(event: str, fields: dict[str, object]) -> str:
    return json.dumps({"event": event, **fields})
