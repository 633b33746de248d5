"""Identities of commands that run: they last, and a rotation by another process reaches their peers."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.commands import OURS, environment, run
from tests.interop.harness import ANY_PORT, Event, Peer, Peers
from tests.interop.traffic import Target, connect, read_exactly


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a state folder."""

    folder: Path
    peers: Peers

    @property
    def variables(self) -> dict[str, str]:
        return environment() | {"OCKAM_REF_HOME": str(self.folder)}

    def start(self, *words: str) -> tuple[Peer, Event]:
        process = self.peers.add(Peer(words[0], [*OURS, *words, "--json"], environment=self.variables))
        return process, process.ready()

    def identity(self, *words: str) -> Event:
        done = run("identity", *words, "--json", variables=self.variables)
        assert (done.code, done.errors) == (0, "")
        found: Event = json.loads(done.output)
        return found


@pytest.fixture
def alice(tmp_path: Path, peers: Peers) -> Person:
    return Person(tmp_path / "alice", peers)


@pytest.fixture
def bob(tmp_path: Path, peers: Peers) -> Person:
    return Person(tmp_path / "bob", peers)


@pytest.mark.spec("ID-21", "ID-36", "ID-37")
def test_a_rotation_while_a_portal_is_open(alice: Person, bob: Person, target: Target) -> None:
    outlet, at_outlet = bob.start("outlet", target.address, "--listen", ANY_PORT)
    assert at_outlet["identifier"] == bob.identity("show")["identifier"]
    inlet, at_inlet = alice.start("inlet", ANY_PORT, "--node", at_outlet["listen"], "--expect", at_outlet["identifier"])
    with connect(at_inlet["listen"]) as client:
        client.sendall(b"Ebefore")  # the target echoes what follows an E
        assert read_exactly(client, 6) == b"before"
        rotated = bob.identity("rotate")
        # what the outlet told over its open channel, the inlet has stored
        for _ in range(20):
            if bob_as_known_by(alice, at_outlet["identifier"]) == rotated["history"]:
                break
        else:
            pytest.fail("the new key was not told")
        client.sendall(b"after")
        assert read_exactly(client, 5) == b"after"
    inlet.stop()
    outlet.stop()

    # the next run is the same identity, and the next inlet knows its newest key
    _, again = bob.start("outlet", target.address, "--listen", ANY_PORT)
    assert again["identifier"] == at_outlet["identifier"]
    _, at_inlet = alice.start("inlet", ANY_PORT, "--node", again["listen"], "--expect", again["identifier"])
    with connect(at_inlet["listen"]) as client:
        client.sendall(b"Eagain")
        assert read_exactly(client, 5) == b"again"


def bob_as_known_by(alice: Person, identifier: str) -> str | None:
    done = run("identity", "show", identifier, "--json", variables=alice.variables)
    if done.code:
        return None
    history: str = json.loads(done.output)["history"]
    return history
