"""``ockam-ref project members``."""

from collections.abc import Awaitable, Callable
from time import time

import click

from ockam_ref.asyncio.authority_client import AuthorityClient
from ockam_ref.asyncio.home import Home
from ockam_ref.authority.messages import AttributesEntry
from ockam_ref.cli import parameters
from ockam_ref.cli.ages import since
from ockam_ref.cli.homes import run_at_home
from ockam_ref.cli.output import Output
from ockam_ref.cli.parameters import IDENTIFIER
from ockam_ref.cli.projects import (
    as_texts,
    asking,
    attributes_option,
    checked_attributes,
    identity_option,
    in_words,
    to_option,
    to_pairs,
)
from ockam_ref.identities.identifier import Identifier


@click.group()
def members() -> None:
    """See, add and remove members; you need to be an enroller of the project."""


@members.command("list")
@to_option
@identity_option
@parameters.as_json
def list_members(to: str | None, identity: str | None, *, as_json: bool) -> None:
    """List the members and what is said of them."""

    async def ask(client: AuthorityClient, output: Output) -> None:
        for who, entry in (await client.members()).items():
            _print_member(output, who, entry)

    _ask(ask, to, identity, as_json=as_json)


@members.command()
@click.argument("member", type=IDENTIFIER)
@attributes_option
@to_option
@identity_option
@parameters.as_json
def add(
    member: Identifier, attributes: tuple[str, ...], to: str | None, identity: str | None, *, as_json: bool
) -> None:
    """Make the identity MEMBER a member, or change what its next credentials say."""
    said = checked_attributes(to_pairs(attributes))

    async def ask(client: AuthorityClient, output: Output) -> None:
        await client.add_member(member, said)
        output.event("member-added", f"{member} is a member.", identifier=str(member), attributes=as_texts(said))

    _ask(ask, to, identity, as_json=as_json)


@members.command()
@click.argument("member", type=IDENTIFIER)
@to_option
@identity_option
@parameters.as_json
def remove(member: Identifier, to: str | None, identity: str | None, *, as_json: bool) -> None:
    """Remove MEMBER; what it has open at nodes of the project ends within seconds."""

    async def ask(client: AuthorityClient, output: Output) -> None:
        await client.remove_member(member)
        output.event("member-removed", f"{member} is no member.", identifier=str(member))

    _ask(ask, to, identity, as_json=as_json)


def _ask(
    ask: Callable[[AuthorityClient, Output], Awaitable[None]], to: str | None, identity: str | None, *, as_json: bool
) -> None:
    async def work(home: Home, output: Output) -> None:
        async with asking(home, to, identity) as (client, _):
            await ask(client, output)

    run_at_home(work, as_json=as_json)


def _print_member(output: Output, who: Identifier, entry: AttributesEntry) -> None:
    said = in_words(entry.attributes)
    sentence = f"{who}  {said or 'no attributes'}, added {since(entry.added_at, int(time()))}"
    output.event(
        "member",
        sentence,
        identifier=str(who),
        attributes=as_texts(entry.attributes),
        added_at=entry.added_at,
        added_by=None if entry.attested_by is None else str(entry.attested_by),
    )
