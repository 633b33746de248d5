"""``ockam-ref project``: tickets, enrolling with them, and members."""

import sys
from pathlib import Path
from time import time

import click

from ockam_ref.asyncio import Node
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.projects import enroll
from ockam_ref.authority.tickets import (
    decode_ticket,
)
from ockam_ref.cli import parameters
from ockam_ref.cli.ages import span
from ockam_ref.cli.homes import run_at_home
from ockam_ref.cli.output import Output
from ockam_ref.cli.project_members import members
from ockam_ref.cli.project_tickets import ticket
from ockam_ref.cli.projects import as_texts, in_words
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.identities.identifier import Identifier


@click.group()
def project() -> None:
    """Give out tickets, use one, and look after the members of a project.

    An authority makes members ('ockam-ref authority').  A ticket lets its bearer become one; members show what the
    authority says of them, and policies decide by it.
    """


project.add_command(ticket)
project.add_command(members)


@project.command("enroll")
@click.argument("text", metavar="TICKET")
@click.option("--name", help="What the project is called here, if not as the ticket says.")
@click.option("--identity", metavar="NAME", help="Who becomes a member; your default identity otherwise.")
@parameters.as_json
def enroll_(text: str, name: str | None, identity: str | None, *, as_json: bool) -> None:
    """Become a member with a TICKET: its text, @FILE, or - for the standard input."""

    async def work(home: Home, output: Output) -> None:
        read = decode_ticket(_read(text))
        me = await home.identities.open(identity, create=True)
        async with Node.create() as node, await home.attach(node):
            enrolled = await enroll(node, home, me, read, name=name)
        said = in_words(enrolled.credential.attributes)
        began = "is now" if enrolled.is_new else "was already"
        output.event(
            "enrolled",
            f"{me.identifier} {began} a member of {enrolled.project.name}"
            f"{f', with {said}' if said else ''}; the credential is valid for "
            f"{span(enrolled.credential.expires_at - int(time()))}.",
            project=enrolled.project.name,
            identifier=str(me.identifier),
            authority=str(Identifier(enrolled.project.authority)),
            attributes=as_texts(enrolled.credential.attributes),
            expires_at=enrolled.credential.expires_at,
            new=enrolled.is_new,
        )

    run_at_home(work, as_json=as_json)


def _read(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MisuseError(ErrorCode.BAD_TEXT, f"{text[1:]}: {error}") from None


@project.command("list")
@parameters.as_json
def list_(*, as_json: bool) -> None:
    """List the projects that this machine knows; a star marks the default."""

    async def work(home: Home, output: Output) -> None:
        for row in await home.projects.list():
            authority = str(Identifier(row.authority))
            where = f" at {row.authority_route}" if row.authority_route else ""
            output.event(
                "project",
                f"{'*' if row.is_default else ' '} {row.name}: authority {authority}{where}",
                name=row.name,
                default=row.is_default,
                authority=authority,
                route=row.authority_route or None,
            )

    run_at_home(work, as_json=as_json)
