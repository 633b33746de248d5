"""Our commands and the Rust authority and its clients, with the tickets that people would send each other."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from ockam_ref.authority.tickets import decode_ticket
from tests.commands import environment
from tests.interop.harness import ANY_PORT, AuthorityProgram, Direct, Event, Peer, Peers, Program, way_options
from tests.interop.people import Person, person
from tests.interop.test_access import CHECKED_BYTES, answer_of
from tests.interop.test_authority import ENROLLER, Running
from tests.interop.traffic import Target, check_echo, connect

pytestmark = pytest.mark.interop

FORMS: Final = ("exported", "legacy")

AuthorityByName = Callable[[str], AuthorityProgram]


class User:
    """Somebody with a state folder of their own and our command."""

    def __init__(self, peers: Peers, home: Path) -> None:
        self._peers = peers
        self._variables = {**environment(), "OCKAM_REF_HOME": str(home)}

    def start(self, *words: str) -> Peer:
        """Start a command."""
        command = [sys.executable, "-m", "ockam_ref", *words, "--json"]
        return self._peers.add(Peer(f"python {words[0]}", command, environment=self._variables))

    def ask(self, event: str, *words: str) -> Event:
        """Run a command that ends; return what it reports."""
        ending = self.start(*words)
        found = ending.event(event)
        assert ending.ended() == 0
        return found


@pytest.mark.parametrize("form", FORMS)
def test_rust_enrols_with_a_ticket_of_our_command(
    form: str, authority_of: AuthorityByName, peers: Peers, tmp_path: Path
) -> None:
    user = User(peers, tmp_path / "home")
    user.start("authority", "--listen", ANY_PORT).ready()
    ticket = user.ask("ticket", "project", "ticket", "--form", form, "-a", "cluster=production")["ticket"]
    got = authority_of("rust").ask("enroll", "--ticket", ticket)
    assert got["status"] == "EnrolledSuccessfully"
    assert "cluster=production" in got["attributes"].split(";")


@pytest.mark.parametrize("form", FORMS)
def test_our_command_enrols_with_a_rust_ticket(
    form: str, authority_of: AuthorityByName, peers: Peers, tmp_path: Path
) -> None:
    rust_authority, enroller = authority_of("rust"), person()
    authority = Running(rust_authority, enroller=(enroller, ENROLLER))
    words = ["--attributes", "cluster=production"]
    ticket = rust_authority.ask("ticket", *enroller.options, *authority.options, *words)[form]
    user = User(peers, tmp_path / "home")
    got = user.ask("enrolled", "project", "enroll", ticket)
    assert got["authority"] == str(authority.who.identifier)
    members = rust_authority.ask("members", *enroller.options, *authority.options)["members"]
    assert f"{got['identifier']} cluster=production" in members.split("\n")


class Project:
    """An authority of our command, and members of it of both implementations."""

    def __init__(self, peers: Peers, folder: Path) -> None:
        self._peers = peers
        self._folder = folder
        self.owner = User(peers, folder / "owner")
        self.listen = self.owner.start("authority", "--listen", ANY_PORT).ready()["listen"]

    def ticket(self, *words: str) -> str:
        """Return a ticket."""
        ticket = self.owner.ask("ticket", "project", "ticket", *words)["ticket"]
        assert isinstance(ticket, str)
        return ticket

    def member(self, name: str, *words: str) -> User:
        """Return a user of our command who has enrolled."""
        user = User(self._peers, self._folder / name)
        user.ask("enrolled", "project", "enroll", self.ticket(*words))
        return user

    def rust_member(self, program: AuthorityProgram, *words: str) -> tuple[Person, list[str]]:
        """Return somebody who has enrolled with the Rust implementation, and the options of programs that are them."""
        who, ticket = person(), self.ticket(*words)
        program.ask("enroll", *who.options, "--ticket", ticket)
        read = decode_ticket(ticket)
        history = read.authority.history.encoded.hex()
        return who, [*who.options, "--authority", history, "--authority-at", self.listen]


PRODUCTION: Final = "cluster=production"
BELIEVING: Final = ("--authority", "default")
GONE_S: Final = 5.0
"""Within this a member that was removed has lost its connections."""


def test_our_outlet_admits_a_rust_member_until_it_is_removed(
    authority_of: AuthorityByName, rust: Program, peers: Peers, tmp_path: Path, target: Target
) -> None:
    project = Project(peers, tmp_path)
    serving = project.member("serving")
    outlet = serving.start("outlet", target.address, "--listen", ANY_PORT, "--allow", PRODUCTION, *BELIEVING).ready()
    who, options = project.rust_member(authority_of("rust"), "-a", PRODUCTION)
    _, stranger_options = project.rust_member(authority_of("rust"), "-a", "cluster=test")

    def inlet(options: list[str]) -> str:
        way = [*way_options(Direct(outlet["listen"])), "--expect", outlet["identifier"]]
        found = rust.start("inlet", "--listen", ANY_PORT, *way, *options).ready()["listen"]
        assert isinstance(found, str)
        return found

    assert answer_of(inlet(stranger_options)) == b""
    member_inlet = inlet(options)
    check_echo(member_inlet, length=CHECKED_BYTES)
    with connect(member_inlet) as client:
        client.sendall(b"E1")
        assert client.recv(1) == b"1"
        project.owner.ask("member-removed", "project", "members", "remove", str(who.identifier))
        client.settimeout(GONE_S)
        with suppress(ConnectionError):
            assert client.recv(1) == b""
    assert answer_of(member_inlet) == b""


def test_a_rust_outlet_admits_our_member(
    authority_of: AuthorityByName, rust: Program, peers: Peers, tmp_path: Path, target: Target
) -> None:
    project = Project(peers, tmp_path)
    _, options = project.rust_member(authority_of("rust"), "-a", "role=outlet")
    words = ["--listen", ANY_PORT, "--outlet", target.address, *options, "--allow", PRODUCTION]
    outlet = rust.start("node", *words).ready()

    def inlet(user: User) -> str:
        way = ["--node", outlet["listen"], "--expect", outlet["identifier"], "--allow", "role=outlet", *BELIEVING]
        found = user.start("inlet", ANY_PORT, *way).ready()["listen"]
        assert isinstance(found, str)
        return found

    assert answer_of(inlet(project.member("stranger", "-a", "cluster=test"))) == b""
    check_echo(inlet(project.member("asking", "-a", PRODUCTION)), length=CHECKED_BYTES)
