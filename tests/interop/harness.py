"""Start the programs of both implementations, read what they report, and end them.

A ``Peer`` is one process that prints one JSON object a line.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from tests.processes import READY_S, Process, ProcessError, Processes

ANY_PORT: Final = "127.0.0.1:0"

DONE_S: Final = 90.0

Event: TypeAlias = dict[str, Any]


class Peer(Process):
    """One process that prints events."""

    def __init__(self, name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(name, command, environment=environment)
        self.seen: list[Event] = []

    def event(
        self, name: str, *, timeout: float = READY_S, where: Callable[[Event], bool] = lambda _event: True
    ) -> Event:
        """Return the next event of this name that also satisfies ``where``; others are kept in ``seen``."""
        deadline = time.monotonic() + timeout
        while True:
            found = self._decode(self._next_line(deadline, f"the event {name!r}"))
            self.seen.append(found)
            if found.get("event") == name and where(found):
                return found
            if found.get("event") == "error":
                raise ProcessError(self._story(f"reported an error while {name!r} was awaited"))

    def ready(self) -> Event:
        """Return the ``ready`` event."""
        return self.event("ready")

    def _decode(self, line: str) -> Event:
        try:
            found = json.loads(line)
        except ValueError:
            raise ProcessError(self._story(f"printed a line that is not JSON: {line!r}")) from None
        if not isinstance(found, dict):
            raise ProcessError(self._story(f"printed a line that is not an object: {line!r}"))
        return found

    def _printed(self) -> Sequence[object]:
        return self.seen


class Peers(Processes):
    """All processes of one test."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._environment = environment

    def start(self, name: str, command: Sequence[str]) -> Peer:
        """Start one process."""
        return self.add(Peer(name, command, environment=self._environment))


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


@dataclass(frozen=True, slots=True)
class Udp:
    """The other node is bound to a UDP address; ``hop`` is a worker there that passes messages on, on a middle node.

    With ``fixed``, our own end talks with that address only.
    """

    node: str
    hop: str | None = None
    fixed: bool = False


Way: TypeAlias = Direct | Relayed | Via | Udp


class Implementation(Protocol):
    """What a test asks of either implementation.  Everything but ``echo`` returns a process that is ready."""

    name: str

    def hub(self) -> Event:
        """Start a hub: TCP listener, relay services, echo."""

    def responder(self) -> Event:
        """Start a node that listens, with secure channel listener and echo workers."""

    def middle(self, responder: str) -> Event:
        """Start a node that listens and whose worker ``forward_to_responder`` passes on to the responder."""

    def udp_responder(self) -> Event:
        """Start a node that is bound to a UDP address, with secure channel listener and echo workers."""

    def udp_middle(self, responder: str, *, onward: str) -> Event:
        """Start a node whose worker passes on from TCP to the responder's UDP address, or the other way round."""

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

    def ask(self, *words: str) -> Event:
        """Run a command that ends, and return what it reports."""
        return self.start(*words).event("done", timeout=DONE_S)

    def refusal(self, *words: str) -> str:
        """Run a command that fails, and return why."""
        failed = self.start(*words)
        message = failed.event("error")["message"]
        assert failed.ended() == 1
        assert isinstance(message, str)
        return message

    def hub(self) -> Event:
        return self.start("hub", "--listen", ANY_PORT).ready()

    def responder(self) -> Event:
        return self.start("node", "--listen", ANY_PORT).ready()

    def middle(self, responder: str) -> Event:
        return self.start("middle", "--listen", ANY_PORT, "--connect", responder).ready()

    def udp_responder(self) -> Event:
        return self.start("udp-node", "--bind", ANY_PORT).ready()

    def udp_middle(self, responder: str, *, onward: str) -> Event:
        if onward == "udp":
            return self.start("udp-middle", "--listen", ANY_PORT, "--udp", responder).ready()
        return self.start("udp-middle", "--bind", ANY_PORT, "--connect", responder).ready()

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
        return self.ask("echo", *options)


def rust_program(binary: Path, peers: Peers) -> Program:
    """Return the program of ``rust_peer/``."""
    return Program("rust", [str(binary)], peers)


class AuthorityProgram(Program):
    """A program with the options of ``ockam-authority``."""

    def serve(self, who: Sequence[str], trusted: Mapping[str, str], *, ttl_s: int | None = None) -> Event:
        """Start an authority with these members, whose attributes are written ``NAME=VALUE,...``."""
        members = ";".join(f"{identifier}:{attributes}" for identifier, attributes in trusted.items())
        words = ["authority", "--listen", ANY_PORT, *who, *option("--trusted", members or None)]
        return self._start_authority(words, ttl_s).ready()

    def _start_authority(self, words: Sequence[str], ttl_s: int | None) -> Peer:
        return self.start(*words, *option("--ttl", None if ttl_s is None else str(ttl_s)))


class RustAuthority(AuthorityProgram):
    """The program of ``rust_authority/``, whose library takes the life of credentials from a variable only."""

    def _start_authority(self, words: Sequence[str], ttl_s: int | None) -> Peer:
        variables = [] if ttl_s is None else ["env", f"CREDENTIAL_TTL_SECS={ttl_s}"]
        return self._peers.start("rust authority", [*variables, *self._command, *words])


def rust_authority_program(binary: Path, peers: Peers) -> AuthorityProgram:
    """Return the program of ``rust_authority/``."""
    return RustAuthority("rust", [str(binary)], peers)


def python_authority_program(peers: Peers) -> AuthorityProgram:
    """Return our authority and its clients as a program with the same options."""
    return AuthorityProgram("python", [sys.executable, "-m", "tests.interop.python_peers.authority"], peers)


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
        self.udp_responder = self._program.udp_responder
        self.udp_middle = self._program.udp_middle
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
            case Via() | Udp():
                raise ValueError("our command knows no inlet through a middle node or over UDP: use the program")
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
        case Udp(node, hop, fixed):
            return ["--udp", node, *option("--hop", hop), *flag("--fixed-peer", on=fixed)]


def flag(name: str, *, on: bool) -> list[str]:
    """Return the option if it is wanted."""
    return [name] if on else []


def option(name: str, value: str | None) -> list[str]:
    """Return the option and its value if there is one."""
    return [] if value is None else [name, value]
