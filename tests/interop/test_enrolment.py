"""Our commands and the Rust authority and its clients, with the tickets that people would send each other."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.commands import environment
from tests.interop.harness import ANY_PORT, AuthorityProgram, Event, Peer, Peers
from tests.interop.people import person
from tests.interop.test_authority import ENROLLER, Running

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
