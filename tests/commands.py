"""The command line in processes of its own, and the fixtures of the folders that test it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pytest

from tests.interop.harness import ANY_PORT, CommandLine, Event, Peer, Peers, Relayed
from tests.interop.traffic import Target
from tests.processes import REPOSITORY, Process

__all__ = ["Finished", "Portal", "command_line", "environment", "open_portal", "peers", "run", "start", "target"]

OURS: Final = (sys.executable, "-m", "ockam_ref")
LOOP_VARIABLE: Final = "OCKAM_REF_LOOP"
FINISH_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended by itself."""

    code: int
    output: str
    errors: str
    seconds: float


def environment(*, loop: str | None = None) -> dict[str, str]:
    """Return the environment of a command, with the event loop that it is told to use, or told nothing."""
    variables = {name: value for name, value in os.environ.items() if name != LOOP_VARIABLE}
    return variables if loop is None else {**variables, LOOP_VARIABLE: loop}


def run(*words: str, command: Sequence[str] = OURS, variables: dict[str, str] | None = None) -> Finished:
    """Run a command that ends by itself; whatever it does, it shows nobody a traceback."""
    began = time.monotonic()
    done = subprocess.run(
        [*command, *words],
        cwd=REPOSITORY,
        env=environment() if variables is None else variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=FINISH_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def start(peers: Peers, *words: str, variables: dict[str, str] | None = None) -> Process:
    """Start a command that prints sentences and serves."""
    known = environment() if variables is None else variables
    return peers.add(Process(" ".join(words), [*OURS, *words], environment=known))


@pytest.fixture
def peers() -> Iterator[Peers]:
    """The processes of one test.  What they wrote to standard error is shown if it fails; a traceback fails it."""
    started = Peers()
    try:
        with started:
            yield started
    finally:
        for process in started.started:
            if errors := process.errors():
                print(f"--- {process.name} (pid {process.pid}) ---\n{errors}")
    broken = [process.name for process in started.started if "Traceback" in process.errors()]
    assert not broken, f"a traceback of {broken}"


@pytest.fixture
def command_line(peers: Peers) -> CommandLine:
    """The command line, printing events."""
    return CommandLine(peers)


@pytest.fixture
def target() -> Iterator[Target]:
    """A server behind a portal."""
    with Target() as started:
        yield started


@dataclass(frozen=True, slots=True)
class Portal:
    """Hub, outlet and inlet, each a process; ``address`` is where clients connect."""

    hub: Peer
    outlet: Peer
    inlet: Peer
    at_hub: Event
    at_outlet: Event
    at_inlet: Event

    @property
    def address(self) -> str:
        """Where clients connect."""
        return str(self.at_inlet["listen"])

    @property
    def processes(self) -> tuple[Peer, Peer, Peer]:
        """All three."""
        return self.hub, self.outlet, self.inlet


def open_portal(command_line: CommandLine, target: str, *, relay: str | None = None) -> Portal:
    """Start a portal through a hub, in a channel with the outlet that is expected."""
    hub = command_line.start("hub", "--listen", ANY_PORT)
    at_hub = hub.ready()
    outlet, at_outlet = command_line.outlet(target, hub=at_hub["listen"], relay=relay)
    way = Relayed(at_hub["listen"], at_outlet["forwarding_address"])
    inlet, at_inlet = command_line.inlet(way, expect=at_outlet["identifier"])
    return Portal(hub, outlet, inlet, at_hub, at_outlet, at_inlet)
