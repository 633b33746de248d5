"""``ockam-ref authority`` and ``ockam-ref project``: from a ticket to a member, and what they refuse."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.authority.tickets import OFFLINE_MARK, OfflineTicket, Ticket, decode_ticket
from tests.commands import OURS, Finished, environment, peers, run
from tests.interop.harness import ANY_PORT, Event, Peers
from tests.processes import REPOSITORY, Process

__all__ = ["peers"]


class Person:
    """Somebody with a state of their own."""

    def __init__(self, folder: Path) -> None:
        self.variables = environment() | {"OCKAM_REF_HOME": str(folder)}

    def run(self, *words: str) -> Finished:
        return run(*words, variables=self.variables)

    def good(self, *words: str) -> str:
        done = self.run(*words)
        assert (done.code, done.errors) == (0, "")
        return done.output.rstrip("\n")

    def lines(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.good(*words, "--json").splitlines()]

    def refused(self, *words: str, code: int = 1) -> str:
        done = self.run(*words)
        assert (done.code, done.output) == (code, "")
        return done.errors

    @property
    def identifier(self) -> str:
        (shown,) = self.lines("identity", "show")
        return str(shown["identifier"])


@pytest.fixture
def alice(tmp_path: Path) -> Person:
    return Person(tmp_path / "alice")


@pytest.fixture
def bob(tmp_path: Path) -> Person:
    bob = Person(tmp_path / "bob")
    bob.good("identity", "create", "bob")
    return bob


def start_authority(peers: Peers, person: Person, *words: str) -> tuple[Process, Event]:
    command = [*OURS, "authority", "--listen", ANY_PORT, "--json", *words]
    process = peers.add(Process("authority", command, environment=person.variables))
    return process, json.loads(process.line())


@pytest.mark.spec("AU-40", "AU-43", "AU-70", "AU-22")
def test_from_a_ticket_to_a_member(peers: Peers, alice: Person, bob: Person) -> None:
    _, ready = start_authority(peers, alice, "--project", "team", "--credential-ttl", "1h")
    assert (ready["role"], ready["project"], ready["members"]) == ("authority", "team", 1)
    text = alice.good("project", "ticket", "-a", "team=web", "-a", "flag", "--relay", "bob", "--tls")
    ticket = decode_ticket(text)
    assert isinstance(ticket, Ticket)
    assert (ticket.project_id, str(ticket.authority.identifier)) == ("team", ready["identifier"])
    (enrolled,) = bob.lines("project", "enroll", text)
    said = {"team": "web", "flag": "true", "ockam-relay": "bob", "ockam-tls-certificate": "true"}
    assert (enrolled["new"], enrolled["attributes"]) == (True, said | {"trust_context_id": "team"})
    assert "was already a member of team" in bob.good("project", "enroll", text)
    assert bob.good("project", "list").startswith(f"* team: authority {ready['identifier']} at /ip4/127.0.0.1/tcp/")

    members = {member["identifier"]: member["attributes"] for member in alice.lines("project", "members", "list")}
    assert members == {alice.identifier: {"ockam-role": "enroller"}, bob.identifier: said}
    assert "Non-enroller" in bob.refused("project", "members", "list")
    assert alice.good("project", "members", "remove", bob.identifier) == f"{bob.identifier} is no member."
    assert "ask for another one" in bob.refused("project", "enroll", text)
    alice.good("project", "members", "add", bob.identifier, "-a", "team=db")
    (enrolled,) = bob.lines("project", "enroll", text)
    assert (enrolled["new"], enrolled["attributes"]["team"]) == (False, "db")
    assert "team=db, added" in alice.good("project", "members", "list")


@pytest.mark.spec("AU-70", "AU-20")
def test_an_enroller_makes_tickets_of_the_other_form_from_anywhere(peers: Peers, alice: Person, bob: Person) -> None:
    _, ready = start_authority(peers, alice)
    first = alice.good("project", "ticket", "--enroller", "--expires-in", "1m", "--usage-count", "2")
    bob.good("project", "enroll", first, "--name", "theirs")
    route = f"/dnsaddr/localhost/tcp/{str(ready['listen']).rpartition(':')[2]}/service/api"
    text = bob.good("project", "ticket", "--form", "exported", "--to", route)
    ticket = decode_ticket(text)
    assert isinstance(ticket, Ticket)
    project_route = route.replace("/service/api", "/service/default/service/api")
    assert (ticket.project_id, ticket.project_route) == ("default", project_route)
    assert ticket.authority_route == route
    assert decode_ticket(bob.good("project", "ticket", "--to", "theirs")) != ticket
    assert "there are: theirs" in bob.refused("project", "ticket", "--to", "default")
    assert "another --name" in Person(Path(bob.variables["OCKAM_REF_HOME"])).refused(
        "project", "enroll", _offline(alice, bob), "--name", "theirs"
    )


def _offline(issuer: Person, to: Person, *words: str) -> str:
    return issuer.good("project", "ticket", "--offline", "--for", to.identifier, *words)


@pytest.mark.spec("AU-74")
def test_a_ticket_without_an_authority(alice: Person, bob: Person, tmp_path: Path) -> None:
    alice.good("identity", "create", "home")
    text = _offline(alice, bob, "-a", "role=guest", "--expires-in", "1h")
    assert bytes.fromhex(text).decode().startswith(OFFLINE_MARK)
    (tmp_path / "ticket").write_text(text + "\n")
    (enrolled,) = bob.lines("project", "enroll", f"@{tmp_path / 'ticket'}")
    assert (enrolled["project"], enrolled["authority"]) == ("home", alice.identifier)
    assert enrolled["attributes"] == {"role": "guest", "trust_context_id": "home"}
    assert f"not about {alice.identifier}" in alice.refused("project", "enroll", text)
    assert "no authority that could be asked" in bob.refused("project", "members", "list")
    ticket = decode_ticket(text)
    assert isinstance(ticket, OfflineTicket)


@pytest.mark.spec("AU-9")
def test_the_audit_log_is_printed_by_the_authority_and_afterwards(peers: Peers, alice: Person) -> None:
    process, _ = start_authority(peers, alice)
    alice.good("project", "ticket")
    printed = json.loads(process.line())
    assert (printed["event"], printed["caller"]) == ("audit", alice.identifier)
    assert (printed["what"], printed["answer"]) == ("POST / at enrollment_token_issuer", "200 Ok: granted")
    assert alice.lines("authority", "--audit") == [printed]
    assert "enrollment_token_issuer: 200 Ok" in alice.good("authority", "--audit")


@pytest.mark.spec("AU-22")
def test_who_is_trusted_from_the_start(peers: Peers, alice: Person, bob: Person) -> None:
    trusted = json.dumps({bob.identifier: {"team": "web"}})
    _, ready = start_authority(peers, alice, "--trusted-identities", trusted, "--public", "localhost:99")
    assert (ready["members"], ready["route"]) == (2, "/dnsaddr/localhost/tcp/99/service/api")
    address = str(ready["listen"])
    found = alice.lines("project", "members", "list", "--to", address)
    assert {member["identifier"]: member["attributes"] for member in found}[bob.identifier] == {"team": "web"}
    assert "pre trusted" in alice.refused("project", "members", "remove", bob.identifier, "--to", address)


def test_a_name_that_is_taken(peers: Peers, alice: Person) -> None:
    start_authority(peers, alice, "--project", "one")
    done = subprocess.run(
        [*OURS, "authority", "--listen", ANY_PORT, "--identity", "other", "--project", "one"],
        cwd=REPOSITORY,
        env=alice.variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, "take another --project" in done.stderr) == (1, True)


@pytest.mark.spec("AU-73")
def test_what_is_refused(alice: Person) -> None:
    assert "there is no project here yet" in alice.refused("project", "ticket")
    assert "there is no project 'x'; there are: none" in alice.refused("project", "members", "list", "--to", "x")
    assert "this is no ticket" in alice.refused("project", "enroll", "abc")
    assert "no such file" in alice.refused("project", "enroll", "@/nowhere").lower()
    for words in (
        ("project", "ticket", "-a", "=x"),
        ("project", "ticket", "-a", "a=" + "x" * 5000),
        ("project", "ticket", "--offline"),
        ("project", "ticket", "--for", "I" + "0" * 64),
        ("project", "ticket", "--offline", "--for", "I" + "0" * 64, "--usage-count", "2"),
        ("project", "ticket", "--expires-in", "0"),
        ("project", "ticket", "--expires-in", "soon"),
        ("project", "members", "add", "nobody"),
        ("authority", "--trusted-identities", "{"),
        ("authority", "--trusted-identities", '{"I00": {}}'),
        ("authority", "--trusted-identities", json.dumps({"I" + "0" * 64: {"a": 1}})),
        ("authority", "--trusted-identities", "[]"),
        ("authority", "--trusted-identities", "[" * 100_000),
    ):
        assert "Error" in alice.refused(*words, code=2)
