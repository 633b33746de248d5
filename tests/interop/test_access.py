"""A policy of one implementation admits and refuses the other by credentials, on open channels and off."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.interop.harness import ANY_PORT, Direct, Event, Peer, Program, Relayed, option, way_options
from tests.interop.matrix import Cell, Row
from tests.interop.people import Person, person
from tests.interop.rows import rows
from tests.interop.traffic import Target, check_echo, connect
from tests.processes import ProcessError

pytestmark = pytest.mark.interop

RULE: Final = 'cluster="production"'
SILENCE_S: Final = "1.5"
CHECKED_BYTES: Final = 100_000

ByName = Callable[[str], Program]


def server(program: Program, authority: Person, who: Person, rule: str = RULE) -> Event:
    """Start a node whose echo workers are guarded, and which shows a credential of its own."""
    credential = authority.issue(who, {"cluster": "production"})
    trust = ["--authority", authority.history, "--credential", credential, "--allow", rule]
    return program.start("node", "--listen", ANY_PORT, *who.options, *trust).ready()


def client(authority: Person, who: Person, listen: str, credential: str | None, expect: Person) -> list[str]:
    """Return the words of a client."""
    return [
        "echo",
        *way_options(Direct(listen)),
        "--channel",
        *("--text", "hello", "--expect", str(expect.identifier)),
        *who.options,
        *("--authority", authority.history),
        *option("--credential", credential),
    ]


@rows(Row.POLICY)
def test_a_policy_admits_whom_the_authority_vouches_for(cell: Cell, program_of: ByName) -> None:
    authority, serving, asking = person(), person(), person()
    listen = server(program_of(cell.responder), authority, serving)["listen"]
    asker = program_of(cell.initiator)

    good = authority.issue(asking, {"cluster": "production"})
    asker.ask(*client(authority, asking, listen, good, serving))
    strangers = [person() for _ in range(5)]
    long_ago = authority.identity.valid_from
    refused = [
        None,
        authority.issue(strangers[1], {"cluster": "test"}),
        authority.issue(asking, {"cluster": "production"}),
        person().issue(strangers[3], {"cluster": "production"}),
        authority.issue(strangers[4], {"cluster": "production"}, created_at=long_ago),
    ]
    waiting = [
        asker.start(*client(authority, who, listen, credential, serving), "--timeout", SILENCE_S)
        for who, credential in zip(strangers, refused, strict=True)
    ]
    for peer in waiting:
        assert peer.event("error")["message"]
        assert peer.ended() == 1


@rows(Row.PORTAL_POLICY)
def test_policies_guard_both_ends_of_a_portal(cell: Cell, program_of: ByName, target: Target) -> None:
    authority = person()
    outlet_person, other_outlet_person = person(), person()

    def outlet(who: Person, role: str) -> str:
        shown = ["--credential", authority.issue(who, {"role": role}), "--allow", 'role="inlet"']
        words = ["--listen", ANY_PORT, "--outlet", target.address, *who.options, "--authority", authority.history]
        listen = program_of(cell.responder).start("node", *words, *shown).ready()["listen"]
        assert isinstance(listen, str)
        return listen

    def inlet(listen: str, role: str) -> str:
        who = person()
        shown = ["--credential", authority.issue(who, {"role": role}), "--allow", 'role="outlet"']
        words = ["--listen", ANY_PORT, *way_options(Direct(listen)), *who.options, "--authority", authority.history]
        found = program_of(cell.initiator).start("inlet", *words, *shown).ready()["listen"]
        assert isinstance(found, str)
        return found

    good_outlet = outlet(outlet_person, "outlet")
    refused = (inlet(good_outlet, "stranger"), inlet(outlet(other_outlet_person, "stranger"), "inlet"))
    check_echo(inlet(good_outlet, "inlet"), length=CHECKED_BYTES)
    assert [answer_of(address) for address in refused] == [b"", b""]


def answer_of(address: str) -> bytes:
    """Ask the target to echo; return what comes within a while, which is nothing if somebody is in the way."""
    with connect(address) as client:
        client.settimeout(float(SILENCE_S))
        try:
            client.sendall(b"Ehello")
            return client.recv(6)
        except (TimeoutError, ConnectionError):
            return b""


@rows(Row.RELAY_CREDENTIAL)
def test_a_relay_is_for_those_whose_credential_names_it(cell: Cell, program_of: ByName, target: Target) -> None:
    authority = person()
    trust = ["--authority", authority.history]
    hub = program_of(cell.responder).start("hub", "--listen", ANY_PORT, *person().options, *trust).ready()["listen"]

    def outlet(attributes: dict[str, str], name: str, *words: str) -> Peer:
        who = person()
        shown = [*trust, "--credential", authority.issue(who, attributes)]
        words = ("--target", target.address, "--hub", hub, "--relay", name, *who.options, *shown, *words)
        return program_of(cell.initiator).start("outlet", *words)

    refused = [
        outlet({"ockam-relay": "other"}, "mine", "--hub-channel"),
        outlet({"a": "b"}, "mine", "--hub-channel"),
        outlet({"ockam-relay": "*"}, "mine"),
    ]
    for name, allowed in (("mine", "mine"), ("any", "*")):
        found = outlet({"ockam-relay": allowed}, name, "--hub-channel").ready()
        assert found["forwarding_address"].removeprefix("0#") == f"forward_to_{name}"
        _, inlet = program_of(cell.initiator).inlet(
            Relayed(hub, found["forwarding_address"]), expect=found["identifier"]
        )
        check_echo(inlet["listen"], length=CHECKED_BYTES)
    for peer in refused:
        with pytest.raises(ProcessError):
            peer.event("ready", timeout=0.1)
