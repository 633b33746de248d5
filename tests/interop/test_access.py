"""A policy of one implementation admits and refuses the other by credentials, on open channels and off."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.interop.harness import ANY_PORT, Direct, Event, Program, option, way_options
from tests.interop.people import Person, person

pytestmark = pytest.mark.interop

PAIRS: Final = [("python", "rust"), ("rust", "python"), ("rust", "rust"), ("python", "python")]
"""Client and server; what each implementation does with itself shows that the test tests what it should."""
RULE: Final = 'cluster="production"'
SILENCE_S: Final = "1.5"

ByName = Callable[[str], Program]


@pytest.fixture
def by_name(request: pytest.FixtureRequest) -> ByName:
    """Return the program of an implementation."""
    return lambda name: request.getfixturevalue({"rust": "rust", "python": "program"}[name])


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


@pytest.mark.parametrize(("client_name", "server_name"), PAIRS)
def test_a_policy_admits_whom_the_authority_vouches_for(client_name: str, server_name: str, by_name: ByName) -> None:
    authority, serving, asking = person(), person(), person()
    listen = server(by_name(server_name), authority, serving)["listen"]
    asker = by_name(client_name)

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
