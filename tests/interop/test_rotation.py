"""Whoever rotates its key stays who it is to the other implementation, and cannot go back."""

import asyncio
import os
from collections.abc import Callable
from time import time
from typing import Final

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.identities.local import LocalIdentity, open_local_identity
from ockam_ref.noise.primitives import KeyPair
from tests.interop.harness import ANY_PORT, Direct, Program, way_options
from tests.interop.matrix import Cell, Row
from tests.interop.people import Person, person
from tests.interop.rows import rows

pytestmark = pytest.mark.interop

SILENCE_S: Final = "1.5"
ByName = Callable[[str], Program]


def listening(program: Program, who: Person | None = None) -> str:
    """Start a node and return where it listens."""
    listen = program.start("node", "--listen", ANY_PORT, *(who.options if who else ())).ready()["listen"]
    assert isinstance(listen, str)
    return listen


def echo(listen: str, *words: str) -> list[str]:
    """Return the words of a client that opens a channel."""
    return ["echo", *way_options(Direct(listen)), "--channel", "--text", "hello", *words]


def refused(program: Program, words: list[str]) -> bool:
    """Tell whether a client gets no answer."""
    return bool(program.refusal(*words, "--timeout", SILENCE_S))


@rows(Row.ROTATED_CLIENT)
def test_a_client_that_rotated_is_recognised_and_cannot_go_back(cell: Cell, program_of: ByName) -> None:
    old = person()
    new, fork = old.rotated(), old.rotated()
    asker, listen = program_of(cell.initiator), listening(program_of(cell.responder))
    for who in (old, new, new):
        asker.ask(*echo(listen, *who.options))
    for who in (old, fork):
        assert refused(asker, echo(listen, *who.options))
    asker.ask(*echo(listen, *new.rotated().options))


@rows(Row.ROTATED_SERVER)
def test_a_server_that_rotated_is_recognised_and_cannot_go_back(cell: Cell, program_of: ByName) -> None:
    old = person()
    new, fork = old.rotated(), old.rotated()
    asker = program_of(cell.initiator)
    expected = ["--expect", str(old.identifier)]
    for known, shown in ((old, new), (new, new)):
        asker.ask(*echo(listening(program_of(cell.responder), shown), *expected, "--authority", known.history))
    for known, shown in ((new, old), (new, fork)):
        words = echo(listening(program_of(cell.responder), shown), *expected, "--authority", known.history)
        assert refused(asker, words)


def test_rust_learns_of_a_rotation_on_an_open_channel(rust: Program, program: Program) -> None:
    old, listen = person(), listening(rust)
    new = old.rotated()

    async def rotate_meanwhile() -> None:
        async with Node.create() as node:
            channel = await node.create_secure_channel(local(old), (await node.tcp_connect(listen), "api"))
            assert (await node.send_and_receive((channel, "echo"), "before")).body(str) == "before"
            channel.present(local(new))
            assert (await node.send_and_receive((channel, "echo"), "after")).body(str) == "after"

    asyncio.run(rotate_meanwhile())
    assert refused(program, echo(listen, *old.options))
    program.ask(*echo(listen, *new.options))


@pytest.mark.parametrize(("client", "server"), [("python", "rust"), ("rust", "python")])
def test_a_credential_by_the_old_key_of_an_authority_is_void(client: str, server: str, program_of: ByName) -> None:
    authority, who = person(), person()
    rotated = authority.rotated()
    guarded = ["--authority", rotated.history, "--allow", 'a="b"']
    started = program_of(server).start("node", "--listen", ANY_PORT, *guarded)
    listen = started.ready()["listen"]
    asker = program_of(client)

    def words(issuer: Person, who: Person) -> list[str]:
        return echo(listen, *who.options, "--credential", issuer.issue(who, {"a": "b"}))

    assert refused(asker, words(authority, person()))
    asker.ask(*words(rotated, who))


def local(who: Person) -> LocalIdentity:
    """Return the identity of a person for a node of our own."""
    static = KeyPair.from_private_bytes(os.urandom(32))
    return open_local_identity(who.identity, who.key, static, now=int(time()))
