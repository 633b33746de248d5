"""What the commands about projects share: options, attributes, and asking an authority."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import click

from ockam_ref.asyncio import TCP, Node
from ockam_ref.asyncio.authority_client import AuthorityClient
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.projects import authority_client
from ockam_ref.authority.attributes import Attributes, to_attributes
from ockam_ref.authority.multi_address import (
    format_multi_address,
    from_tcp_route,
    parse_multi_address,
    to_tcp_route,
)
from ockam_ref.cli.parameters import HOST_PORT
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.storage.projects import ProjectRow
from ockam_ref.wire.address import Address, local

attributes_option: Final = click.option(
    "--attribute",
    "-a",
    "attributes",
    metavar="NAME=VALUE",
    multiple=True,
    help="What is said of a member (more than once: several; without '=': true).",
)
to_option: Final = click.option(
    "--to",
    metavar="AUTHORITY",
    help="Which authority: the name of a project, or where that of the default project is reached.",
)
identity_option: Final = click.option("--identity", metavar="NAME", help="Who asks; your default identity otherwise.")


def to_pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as names and values; without ``=`` the value is ``true``, as at the peer."""
    pairs = (text.partition("=") for text in texts)
    return {name: value if equals else "true" for name, equals, value in pairs}


def checked_attributes(pairs: dict[str, str]) -> Attributes:
    """Return the attributes of a member, or end with exit code 2 and what is wrong with them."""
    if "" in pairs:
        raise click.BadParameter("an attribute is written NAME=VALUE", param_hint="--attribute")
    try:
        return to_attributes(pairs)
    except MisuseError as error:
        raise click.BadParameter(str(error), param_hint="--attribute") from None


@asynccontextmanager
async def asking(home: Home, to: str | None, identity: str | None) -> AsyncIterator[tuple[AuthorityClient, ProjectRow]]:
    """Give a client of the authority that is meant, and its project."""
    row = await project_at(home, to)
    me = await home.identities.open(identity)
    async with Node.create() as node, await home.attach(node), authority_client(node, me, row) as client:
        yield client, row


async def project_at(home: Home, to: str | None) -> ProjectRow:
    """Return the project that is meant; an address in place of its name is where its authority is reached."""
    is_address = to is not None and (":" in to or "/" in to)
    if to is not None and not is_address:
        return await named_project(home, to)
    row = await home.projects.default()
    if row is None:
        raise MisuseError(
            ErrorCode.NOT_FOUND,
            "there is no project here yet: 'ockam-ref authority' makes one, 'ockam-ref project enroll' joins one",
        )
    return row._replace(authority_route=_route(to)) if to is not None else row


async def named_project(home: Home, name: str) -> ProjectRow:
    """Return the project of that name, or say which there are."""
    row = await home.projects.get(name)
    if row is None:
        names = ", ".join(known.name for known in await home.projects.list())
        raise MisuseError(ErrorCode.NOT_FOUND, f"there is no project {name!r}; there are: {names or 'none'}")
    return row


def _route(to: str) -> str:
    try:
        if to.startswith("/"):
            route = to_tcp_route(parse_multi_address(to))
        else:
            route = (Address(TCP, HOST_PORT.convert(to, None, None).encode()), local("api"))
        return format_multi_address(from_tcp_route(route, resolved=True))
    except DecodeError as error:
        raise click.BadParameter(str(error), param_hint="--to") from None


def as_texts(attributes: Attributes) -> dict[str, str]:
    """Return attributes as JSON has them."""
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in attributes}


def in_words(attributes: Attributes) -> str:
    """Return attributes as people read them."""
    return " ".join(f"{name}={value}" for name, value in as_texts(attributes).items())
