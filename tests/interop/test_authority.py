"""Authorities of one implementation serve members and enrollers of the other."""

from collections.abc import Callable
from time import time
from typing import Final

import pytest

from ockam_ref.identities.credentials import verify_credential
from tests.interop.harness import ANY_PORT, AuthorityProgram, Direct, Event, Peer, Program, way_options
from tests.interop.matrix import Cell, Row
from tests.interop.people import Person, person
from tests.interop.rows import rows

pytestmark = pytest.mark.interop

ENROLLER: Final = "ockam-role=enroller"

AuthorityByName = Callable[[str], AuthorityProgram]
ByName = Callable[[str], Program]


class Running:
    """An authority that serves, and who may do what there."""

    def __init__(self, program: AuthorityProgram, *, ttl_s: int | None = None, **members: tuple[Person, str]) -> None:
        self.who = person()
        trusted = {str(member.identifier): attributes for member, attributes in members.values()}
        self.listen = program.serve(self.who.options, trusted, ttl_s=ttl_s)["listen"]

    @property
    def options(self) -> list[str]:
        """How a client finds it."""
        return ["--authority", self.who.history, "--authority-at", self.listen]


SILENCE_S: Final = "2"
LIFE_S: Final = 3
"""Seconds for which a credential is valid that is to be refreshed."""


@rows(Row.ENROLMENT)
def test_members_get_credentials_and_others_do_not(cell: Cell, authority_of: AuthorityByName) -> None:
    member = person()
    authority = Running(authority_of(cell.responder), member=(member, "cluster=production,a=b"))
    asker = authority_of(cell.initiator)
    got = asker.ask("credential", *member.options, *authority.options)
    assert got["attributes"] == "a=b;cluster=production;trust_context_id=test"
    verify_credential(
        bytes.fromhex(got["credential_hex"]),
        subject=member.identifier,
        authority=authority.who.identity,
        now=int(time()),
    )
    assert "unauthorized member" in asker.refusal("credential", *person().options, *authority.options)


@rows(Row.ENROLMENT)
@pytest.mark.parametrize("form", ["exported", "legacy"])
def test_a_ticket_enrolls_as_often_as_it_says(cell: Cell, form: str, authority_of: AuthorityByName) -> None:
    enroller, first, second = person(), person(), person()
    authority = Running(authority_of(cell.responder), enroller=(enroller, ENROLLER))
    words = ["--attributes", "cluster=production", "--uses", "2"]
    issuer, reader = authority_of(cell.responder), authority_of(cell.initiator)
    ticket = issuer.ask("ticket", *enroller.options, *authority.options, *words)[form]
    for who, status in (
        (first, "EnrolledSuccessfully"),
        (first, "AlreadyEnrolled"),
        (second, "EnrolledSuccessfully"),
    ):
        got = reader.ask("enroll", *who.options, "--ticket", ticket)
        assert got["status"] == status
        assert got["attributes"] == "cluster=production;trust_context_id=test"
        assert (got["project"], got["project_name"]) == ("test", "tests")
        assert got["authority"] == str(authority.who.identifier)
    assert "Unknown enrollment token" in reader.refusal("enroll", *person().options, "--ticket", ticket)


@rows(Row.ENROLMENT)
def test_enrollers_add_list_and_remove_members(cell: Cell, authority_of: AuthorityByName) -> None:
    enroller, member = person(), person()
    authority = Running(authority_of(cell.responder), enroller=(enroller, ENROLLER))
    asker = authority_of(cell.initiator)

    def may(command: str, who: Person, *words: str) -> Event:
        return asker.ask(command, *who.options, *authority.options, *words)

    def may_not(command: str, who: Person, *words: str) -> str:
        return asker.refusal(command, *who.options, *authority.options, *words)

    the_member = ("--member", str(member.identifier))
    assert may("add", enroller, *the_member, "--attributes", "k=v")["attributes"] == "k=v"
    listed = sorted([f"{member.identifier} k=v", f"{enroller.identifier} {ENROLLER}"])
    assert may("members", enroller)["members"].split("\n") == listed
    assert may("credential", member)["attributes"] == "k=v;trust_context_id=test"
    for command in ("add", "remove"):
        assert "Non-enroller is trying" in may_not(command, member, *the_member) or command == "add"
    may("remove", enroller, *the_member)
    assert "unauthorized member" in may_not("credential", member)


@rows(Row.REFRESH, control=False)
def test_a_credential_is_refreshed_on_an_open_channel(
    cell: Cell, program_of: ByName, authority_of: AuthorityByName
) -> None:
    assert cell.between is not None
    asking, serving = program_of(cell.initiator), program_of(cell.responder)
    who, fixed = person(), person()
    members = {"who": (who, "cluster=production"), "fixed": (fixed, "cluster=production")}
    authority = Running(authority_of(cell.between), ttl_s=LIFE_S, **members)
    vouching = ["--authority", authority.who.history]
    guarded = serving.start("node", "--listen", ANY_PORT, *vouching, "--allow", 'cluster="production"')
    way = way_options(Direct(guarded.ready()["listen"]))
    stale = authority_of(cell.between).ask("credential", *fixed.options, *authority.options)["credential_hex"]

    def twice(who: Person, *words: str) -> Peer:
        # The second message comes when the first credential has expired.
        text = ["--channel", "--text", "hello", "--again-after", str(LIFE_S + 2)]
        return asking.start("echo", *way, *text, *who.options, *vouching, *words)

    refreshing = twice(who, "--authority-at", authority.listen, "--gap", "1")
    expiring = twice(fixed, "--credential", stale, "--timeout", SILENCE_S)
    assert refreshing.event("done")
    assert expiring.event("error")["message"]
