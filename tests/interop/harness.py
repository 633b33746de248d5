"""Start the programs of both implementations, read what they report, and end them.

A ``Peer`` is one process that prints one JSON object a line.  Nothing here sleeps: every wait is for an event with a
deadline, and a wait that fails shows what the process wrote to its standard error.
"""

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias

REPOSITORY: Final = Path(__file__).resolve().parents[2]
ANY_PORT: Final = "127.0.0.1:0"

READY_S: Final = 20.0
DONE_S: Final = 90.0
END_S: Final = 8.0

Event: TypeAlias = dict[str, Any]


class PeerError(AssertionError):
    """A process did not do what the test needs; the text holds what it said."""


class Peer:
    """One process of a test, told to end by SIGTERM, or by its standard input ending if the test itself is killed."""

    def __init__(self, name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.seen: list[Event] = []
        self.started = time.monotonic()
        self._said = ""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"stdout of {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def event(
        self, name: str, *, timeout: float = READY_S, where: Callable[[Event], bool] = lambda _event: True
    ) -> Event:
        """Return the next event of this name that also satisfies ``where``; others are kept in ``seen``."""
        deadline = time.monotonic() + timeout
        while True:
            found = self._next(deadline, name)
            self.seen.append(found)
            if found.get("event") == name and where(found):
                return found
            if found.get("event") == "error":
                raise PeerError(self._story(f"reported an error while {name!r} was awaited"))

    def ready(self) -> Event:
        """Return the ``ready`` event."""
        return self.event("ready")

    def ended(self, *, timeout: float = READY_S) -> int:
        """Wait for the process to end by itself; return its exit code."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise PeerError(self._story(f"has not ended by itself within {timeout} s")) from None

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
            raise PeerError(self._story(f"has not ended within {END_S} s of SIGTERM")) from None
        finally:
            self._close()

    def kill(self) -> None:
        """End the process without giving it a chance to say good-bye."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _next(self, deadline: float, wanted: str) -> Event:
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise PeerError(self._story(f"has not reported {wanted!r} in time")) from None
        if line is None:
            self._lines.put(None)
            raise PeerError(self._story(f"ended before it reported {wanted!r}"))
        try:
            found = json.loads(line)
        except ValueError:
            raise PeerError(self._story(f"printed a line that is not JSON: {line!r}")) from None
        if not isinstance(found, dict):
            raise PeerError(self._story(f"printed a line that is not an object: {line!r}"))
        return found

    def _story(self, what: str) -> str:
        events = "".join(f"\n  {event}" for event in self.seen) or " none"
        return f"{self.name} (pid {self.pid}) {what}\nexit code: {self._process.poll()}\nevents:{events}\nstandard error:\n{self.errors()}"

    def _close(self) -> None:
        self._reader.join(END_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self.errors()
        self._errors.close()


class Peers:
    """All processes of one test; leaving the context ends them, the last one first."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.started: list[Peer] = []
        self._environment = environment
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self, name: str, command: Sequence[str]) -> Peer:
        """Start one process."""
        peer = Peer(name, command, environment=self._environment)
        self.started.append(peer)
        self._stack.callback(peer.stop)
        return peer


@dataclass(frozen=True, slots=True)
class Direct:
    """The other node itself listens."""

    node: str


@dataclass(frozen=True, slots=True)
class Relayed:
    """The other node is registered with a hub."""

    hub: str
    forwarding_address: str


@dataclass(frozen=True, slots=True)
class Via:
    """A worker of a middle node passes messages on to the other node."""

    middle: str
    hop: str


Way: TypeAlias = Direct | Relayed | Via


class Implementation(Protocol):
    """What a test asks of either implementation.  Everything but ``echo`` returns a process that is ready."""

    name: str

    def hub(self) -> Event:
        """Start a hub: TCP listener, relay services, echo."""

    def responder(self) -> Event:
        """Start a node that listens, with secure channel listener and echo workers."""

    def middle(self, responder: str) -> Event:
        """Start a node that listens and whose worker ``forward_to_responder`` passes on to the responder."""

    def outlet(
        self, target: str, *, hub: str | None = None, relay: str | None = None, channel: bool = True
    ) -> tuple[Peer, Event]:
        """Start a node with an outlet, registered with a hub or listening itself."""

    def inlet(self, way: Way, *, expect: str | None = None, channel: bool = True) -> tuple[Peer, Event]:
        """Start a node with an inlet."""

    def echo(self, way: Way, *, total: int, channel: bool, expect: str | None = None, worker: str = "echo") -> Event:
        """Send ``total`` bytes to an echo worker and compare what comes back; return the ``done`` event."""


class Program:
    """A program with the options of ``ockam-peer``."""

    def __init__(self, name: str, command: Sequence[str], peers: Peers) -> None:
        self.name = name
        self._command = command
        self._peers = peers

    def start(self, *words: str) -> Peer:
        """Start the program with these arguments."""
        return self._peers.start(f"{self.name} {words[0]}", [*self._command, *words])

    def hub(self) -> Event:
        return self.start("hub", "--listen", ANY_PORT).ready()

    def responder(self) -> Event:
        return self.start("node", "--listen", ANY_PORT).ready()

    def middle(self, responder: str) -> Event:
        return self.start("middle", "--listen", ANY_PORT, "--connect", responder).ready()

    def outlet(
        self,
        target: str,
        *,
        hub: str | None = None,
        relay: str | None = None,
        channel: bool = True,
        skip_handshake: bool = False,
    ) -> tuple[Peer, Event]:
        options = [*flag("--no-channel", on=not channel), *flag("--skip-handshake", on=skip_handshake)]
        if hub is None:
            peer = self.start("node", "--listen", ANY_PORT, "--outlet", target, *options)
        else:
            peer = self.start("outlet", "--target", target, "--hub", hub, *option("--relay", relay), *options)
        return peer, peer.ready()

    def start_inlet(
        self, way: Way, *, expect: str | None = None, channel: bool = True, skip_handshake: bool = False
    ) -> Peer:
        """Start an inlet without waiting for it, for tests where it fails."""
        options = [*flag("--no-channel", on=not channel), *flag("--skip-handshake", on=skip_handshake)]
        return self.start("inlet", "--listen", ANY_PORT, *way_options(way), *option("--expect", expect), *options)

    def inlet(
        self, way: Way, *, expect: str | None = None, channel: bool = True, skip_handshake: bool = False
    ) -> tuple[Peer, Event]:
        peer = self.start_inlet(way, expect=expect, channel=channel, skip_handshake=skip_handshake)
        return peer, peer.ready()

    def echo(self, way: Way, *, total: int, channel: bool, expect: str | None = None, worker: str = "echo") -> Event:
        # The size of a message is no power of two and divides nothing, so that the last message is a short one.
        sizes = ["--worker", worker, "--bytes", str(total), "--chunk", "40009"]
        options = [*way_options(way), *flag("--channel", on=channel), *option("--expect", expect), *sizes]
        return self.start("echo", *options).event("done", timeout=DONE_S)


def rust_program(binary: Path, peers: Peers) -> Program:
    """Return the program of ``rust_peer/``."""
    return Program("rust", [str(binary)], peers)


def python_program(peers: Peers) -> Program:
    """Return the program of ``python_peers/``; it is no hub, which the command line is."""
    return Program("python", [sys.executable, "-m", "tests.interop.python_peers.peer"], peers)


class CommandLine:
    """The command line of this repository, and for what it has no command, the program of ``python_peers/``."""

    name = "python"

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._program = python_program(peers)
        self.middle = self._program.middle
        self.echo = self._program.echo

    def start(self, *words: str) -> Peer:
        """Start the command line with these arguments."""
        return self._peers.start(f"python {words[0]}", [sys.executable, "-m", "ockam_ref", *words, "--json"])

    def hub(self) -> Event:
        return self.start("hub", "--listen", ANY_PORT).ready()

    def responder(self) -> Event:
        return self.hub()  # it has a secure channel listener and echo too

    def outlet(
        self, target: str, *, hub: str | None = None, relay: str | None = None, channel: bool = True
    ) -> tuple[Peer, Event]:
        place = ["--listen", ANY_PORT] if hub is None else ["--hub", hub, *option("--relay", relay)]
        peer = self.start("outlet", target, *place, *flag("--no-channel", on=not channel))
        return peer, peer.ready()

    def start_inlet(self, way: Way, *, expect: str | None = None, channel: bool = True) -> Peer:
        """Start an inlet without waiting for it, for tests where it fails."""
        match way:
            case Direct(node):
                place = ["--node", node]
            case Relayed(hub, forwarding_address):
                place = ["--hub", hub, forwarding_address]
            case Via():
                raise NotImplementedError("an inlet through a middle node")
        options = [*option("--expect", expect), *flag("--no-channel", on=not channel)]
        return self.start("inlet", ANY_PORT, *place, *options)

    def inlet(self, way: Way, *, expect: str | None = None, channel: bool = True) -> tuple[Peer, Event]:
        peer = self.start_inlet(way, expect=expect, channel=channel)
        return peer, peer.ready()


def way_options(way: Way) -> list[str]:
    """Return the options of ``ockam-peer`` that say how to reach the other node."""
    match way:
        case Direct(node):
            return ["--node", node]
        case Relayed(hub, forwarding_address):
            return ["--hub", hub, "--forwarding-address", forwarding_address]
        case Via(middle, hop):
            return ["--via", middle, "--hop", hop]


def flag(name: str, *, on: bool) -> list[str]:
    """Return the option if it is wanted."""
    return [name] if on else []


def option(name: str, value: str | None) -> list[str]:
    """Return the option and its value if there is one."""
    return [] if value is None else [name, value]
