"""The lineage program "06-credentials-exchange": issuer, server and client, each of either implementation."""

import json
import sys
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.commands import environment
from tests.interop.harness import ANY_PORT, AuthorityProgram, Direct, Peers, Program, way_options
from tests.interop.matrix import Cell, Row
from tests.interop.rows import rows
from tests.processes import REPOSITORY, Process

pytestmark = pytest.mark.interop

EXAMPLES: Final = REPOSITORY / "docs" / "examples"
VECTORS: Final = REPOSITORY / "tests" / "vectors" / "identity.json"
PRODUCTION: Final = "cluster=production"

Start = Callable[..., Process]


@pytest.fixture
def start(peers: Peers) -> Start:
    """Start one of our three programs."""

    def start_it(role: str, *words: str) -> Process:
        command = [sys.executable, str(EXAMPLES / f"credentials_{role}.py"), *words]
        return peers.add(Process(role, command, environment=environment()))

    return start_it


def example(role: str) -> dict[str, Any]:
    """Return the identity that plays a role, which the vectors hold with its secret."""
    found = next(vector for vector in json.loads(VECTORS.read_text()) if vector["name"] == f"current/example-{role}")
    return {"identifier": found["expected"]["identifier"], **found["inputs"]}


def who(role: str) -> list[str]:
    """Return the options of a Rust program that plays the role."""
    return ["--secret", example(role)["ed25519_secret"], "--history", example(role)["change_history"]]


def trust(issuer: str) -> list[str]:
    """Return the options of a Rust program that takes the word of the issuer."""
    return ["--authority", example("issuer")["change_history"], "--authority-at", issuer]


@rows(Row.EXCHANGE)
def test_every_mixture(
    cell: Cell,
    start: Start,
    program_of: Callable[[str], Program],
    authority_of: Callable[[str], AuthorityProgram],
) -> None:
    if cell.between == "rust":
        members = {example(role)["identifier"]: PRODUCTION for role in ("client", "server")}
        issuer_at = authority_of("rust").serve(who("issuer"), members)["listen"]
    else:
        issuer_at = start("issuer", ANY_PORT).line("listener").split()[-1]

    if cell.responder == "rust":
        words = [*who("server"), *trust(issuer_at), "--allow", PRODUCTION]
        server_at = program_of("rust").start("node", "--listen", ANY_PORT, *words).ready()["listen"]
    else:
        server_at = start("server", ANY_PORT, issuer_at).line("listener").split()[-1]

    if cell.initiator == "rust":
        words = [*who("client"), *trust(issuer_at), "--channel", "--text", "Hello Ockam!"]
        found = program_of("rust").ask("echo", *way_options(Direct(server_at)), *words)
        assert found["text"] == "Hello Ockam!"
        assert found["identifier"] == example("server")["identifier"]
    else:
        asking = start("client", server_at, issuer_at)
        assert asking.line() == "Received: Hello Ockam!"
        assert asking.ended() == 0
