"""Two hosts behind NATs, and the programs in them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.harness import Peer, Peers
from tests.netns.namespaces import RULES, SERVER_ADDRESS, Internet, UnavailableError, internet
from tests.processes import Process


class Programs:
    """Starts programs of this repository in a namespace."""

    def __init__(self, net: Internet, peers: Peers) -> None:
        self.net = net
        self._peers = peers

    def command_line(self, namespace: str, *words: str) -> Peer:
        """Start ``ockam-ref``."""
        return self._start(namespace, words, "-m", "ockam_ref", *words, "--json")

    def peer(self, namespace: str, *words: str) -> Peer:
        """Start the program for what the command line does not offer."""
        return self._start(namespace, words, "-m", "tests.interop.python_peers.peer", *words)

    def transfer(self, namespace: str, *words: str) -> Peer:
        """Start one end of a transfer."""
        return self._start(namespace, words, "-m", "tests.netns.transfer", *words)

    def _start(self, namespace: str, words: tuple[str, ...], *command: str) -> Peer:
        return self._peers.start(f"{words[0]} in {namespace}", self.net.command(namespace, sys.executable, *command))

    def process(self, name: str, command: list[str]) -> Process:
        """Start any program."""
        return self._peers.add(Process(name, command))

    def hub(self) -> str:
        """Start the hub; return its address."""
        return str(self.command_line("server", "hub", "--listen", f"{SERVER_ADDRESS}:4000").ready()["listen"])

    def rendezvous(self) -> str:
        """Start the rendezvous service; return its address."""
        return str(self.command_line("server", "rendezvous", "--listen", f"{SERVER_ADDRESS}:4001").ready()["listen"])


@pytest.fixture(params=RULES)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of both NATs."""
    return str(request.param)


@pytest.fixture
def programs(kind: str) -> Iterator[Programs]:
    """The namespaces with two NATs."""
    try:
        with internet(kind) as net, Peers() as peers:
            yield Programs(net, peers)
    except UnavailableError as reason:
        if os.environ.get("OCKAM_REF_NETNS") == "required":
            raise
        pytest.skip(str(reason))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say whether these tests ran, for they are skipped where namespaces cannot be had."""
    folder = Path(__file__).parent.relative_to(terminalreporter.config.rootpath).as_posix()
    for outcome in ("passed", "failed", "skipped"):
        found = [one for one in terminalreporter.stats.get(outcome, ()) if one.nodeid.startswith(folder)]
        if found:
            terminalreporter.write_line(f"network namespaces with two NATs: {len(found)} tests {outcome}")
