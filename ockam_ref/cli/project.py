"""``ockam-ref project``: tickets, enrolling with them, and members."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import time
from typing import Any, Final, NamedTuple

import click

from ockam_ref.asyncio import TCP, Node
from ockam_ref.asyncio.authority_client import AuthorityClient
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.projects import authority_client, enroll, issue_offline_ticket, route_of
from ockam_ref.authority.attributes import Attributes, to_attributes
from ockam_ref.authority.messages import AttributesEntry
from ockam_ref.authority.multi_address import (
    format_multi_address,
    from_tcp_route,
    parse_multi_address,
    to_tcp_route,
)
from ockam_ref.authority.roles import DEFAULT_CREDENTIAL_TTL_S, ENROLLER, RELAY, ROLE, TLS_CERTIFICATE
from ockam_ref.authority.tickets import (
    Ticket,
    decode_ticket,
    encode_exported_ticket,
    encode_legacy_ticket,
    encode_offline_ticket,
)
from ockam_ref.cli import parameters
from ockam_ref.cli.ages import since, span
from ockam_ref.cli.durations import DURATION
from ockam_ref.cli.homes import run_at_home
from ockam_ref.cli.output import Output
from ockam_ref.cli.parameters import HOST_PORT, IDENTIFIER
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.identities.change_history import decode_change_history, verify_change_history
from ockam_ref.identities.identifier import Identifier
from ockam_ref.storage.projects import ProjectRow
from ockam_ref.wire.address import Address, local

_FORMS: Final = {"legacy": encode_legacy_ticket, "exported": encode_exported_ticket}

_attributes: Final = click.option(
    "--attribute",
    "-a",
    "attributes",
    metavar="NAME=VALUE",
    multiple=True,
    help="What is said of a member (more than once: several; without '=': true).",
)
_to: Final = click.option(
    "--to",
    metavar="AUTHORITY",
    help="Which authority: the name of a project, or where that of the default project is reached.",
)
_identity: Final = click.option("--identity", metavar="NAME", help="Who asks; your default identity otherwise.")


@click.group()
def project() -> None:
    """Give out tickets, use one, and look after the members of a project.

    An authority makes members ('ockam-ref authority').  A ticket lets its bearer become one; members show what the
    authority says of them, and policies decide by it.
    """


# ---- tickets


class _TicketOptions(NamedTuple):
    attributes: tuple[str, ...]
    expires_in: int | None
    usage_count: int | None
    relay: str | None
    enroller: bool
    tls: bool
    to: str | None
    identity: str | None
    form: str
    offline: bool
    subject: Identifier | None


@project.command()
@_attributes
@click.option("--expires-in", type=DURATION, help="For how long the ticket works: 10 minutes unless told otherwise.")
@click.option("--usage-count", type=click.IntRange(1), metavar="N", help="How often it works: once otherwise.")
@click.option("--relay", metavar="NAME", help="The relay that the member may create: '-a ockam-relay=NAME'.")
@click.option("--enroller", is_flag=True, help="The member may make tickets too: '-a ockam-role=enroller'.")
@click.option("--tls", is_flag=True, help="The member may have TLS certificates: '-a ockam-tls-certificate=true'.")
@_to
@_identity
@click.option(
    "--form",
    type=click.Choice(list(_FORMS)),
    default="legacy",
    show_default=True,
    help="Which of the two forms that the Rust implementation reads; it prints the first.",
)
@click.option("--offline", is_flag=True, help="No authority is needed: you vouch yourself, for the identity of --for.")
@click.option("--for", "subject", type=IDENTIFIER, help="Whom an offline ticket is for; --expires-in is its life.")
@parameters.as_json
def ticket(*, as_json: bool, **options: Any) -> None:  # noqa: ANN401  # those of ``_TicketOptions``
    """Print a ticket; whoever has it becomes a member with 'ockam-ref project enroll TICKET'."""
    chosen = _TicketOptions(**options)
    said = _read_attributes(chosen)
    if chosen.offline != (chosen.subject is not None):
        message = "--offline and --for IDENTIFIER belong together: such a ticket is for one identity"
        raise click.UsageError(message)
    if chosen.offline and chosen.usage_count is not None:
        message = "an offline ticket is for one identity, which uses it as often as it likes: leave --usage-count out"
        raise click.UsageError(message)
    work = _print_offline_ticket if chosen.offline else _print_ticket
    run_at_home(partial(work, chosen, said), as_json=as_json)


def _read_attributes(options: _TicketOptions) -> Attributes:
    said = dict(to_pairs(options.attributes))
    if options.relay is not None:
        said[RELAY.decode()] = options.relay
    if options.enroller:
        said[ROLE.decode()] = ENROLLER.decode()
    if options.tls:
        said[TLS_CERTIFICATE.decode()] = "true"
    return _checked(said)


def to_pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as names and values; without ``=`` the value is ``true``, as at the peer."""
    pairs = (text.partition("=") for text in texts)
    return {name: value if equals else "true" for name, equals, value in pairs}


def _checked(pairs: dict[str, str]) -> Attributes:
    if "" in pairs:
        raise click.BadParameter("an attribute is written NAME=VALUE", param_hint="--attribute")
    try:
        return to_attributes(pairs)
    except MisuseError as error:
        raise click.BadParameter(str(error), param_hint="--attribute") from None


async def _print_ticket(options: _TicketOptions, said: Attributes, home: Home, output: Output) -> None:
    async with _asking(home, options.to, options.identity) as (client, row):
        code = await client.create_code(said, ttl_s=options.expires_in, uses=options.usage_count)
    authority = verify_change_history(decode_change_history(row.authority_history))
    history = row.project_history or row.authority_history
    made = Ticket(
        code,
        row.project_id or row.name,
        row.project_name or row.name,
        format_multi_address(from_tcp_route(route_of(row))),
        verify_change_history(decode_change_history(history)),
        authority,
        row.authority_route,
    )
    text = _FORMS[options.form](made)
    output.event("ticket", text, ticket=text, project=made.project_name, authority=str(authority.identifier))


async def _print_offline_ticket(options: _TicketOptions, said: Attributes, home: Home, output: Output) -> None:
    assert options.subject is not None  # checked when the options were read
    row = await home.projects.default() if options.to is None else await _named(home, options.to)
    issuer = await home.identities.get(options.identity)
    is_of_project = row is not None and row.authority == issuer.identity.identifier.value
    made = await issue_offline_ticket(
        home,
        issuer.name,
        options.subject,
        said,
        ttl_s=options.expires_in or DEFAULT_CREDENTIAL_TTL_S,
        project_name=row.name if row is not None and is_of_project else issuer.name,
        authority_route=row.authority_route if row is not None and is_of_project else "",
    )
    text = encode_offline_ticket(made)
    output.event("ticket", text, ticket=text, project=made.project_name, authority=str(made.authority.identifier))


# ---- enrolling


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
        said = _in_words(enrolled.credential.attributes)
        began = "is now" if enrolled.is_new else "was already"
        output.event(
            "enrolled",
            f"{me.identifier} {began} a member of {enrolled.project.name}"
            f"{f', with {said}' if said else ''}; the credential is valid for "
            f"{span(enrolled.credential.expires_at - int(time()))}.",
            project=enrolled.project.name,
            identifier=str(me.identifier),
            authority=str(Identifier(enrolled.project.authority)),
            attributes=_as_texts(enrolled.credential.attributes),
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


# ---- members


@project.group()
def members() -> None:
    """See, add and remove members; you need to be an enroller of the project."""


@members.command("list")
@_to
@_identity
@parameters.as_json
def list_members(to: str | None, identity: str | None, *, as_json: bool) -> None:
    """List the members and what is said of them."""

    async def ask(client: AuthorityClient, output: Output) -> None:
        for who, entry in (await client.members()).items():
            _print_member(output, who, entry)

    _ask(ask, to, identity, as_json=as_json)


@members.command()
@click.argument("member", type=IDENTIFIER)
@_attributes
@_to
@_identity
@parameters.as_json
def add(
    member: Identifier, attributes: tuple[str, ...], to: str | None, identity: str | None, *, as_json: bool
) -> None:
    """Make the identity MEMBER a member, or change what its next credentials say."""
    said = _checked(to_pairs(attributes))

    async def ask(client: AuthorityClient, output: Output) -> None:
        await client.add_member(member, said)
        output.event("member-added", f"{member} is a member.", identifier=str(member), attributes=_as_texts(said))

    _ask(ask, to, identity, as_json=as_json)


@members.command()
@click.argument("member", type=IDENTIFIER)
@_to
@_identity
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
        async with _asking(home, to, identity) as (client, _):
            await ask(client, output)

    run_at_home(work, as_json=as_json)


def _print_member(output: Output, who: Identifier, entry: AttributesEntry) -> None:
    said = _in_words(entry.attributes)
    sentence = f"{who}  {said or 'no attributes'}, added {since(entry.added_at, int(time()))}"
    output.event(
        "member",
        sentence,
        identifier=str(who),
        attributes=_as_texts(entry.attributes),
        added_at=entry.added_at,
        added_by=None if entry.attested_by is None else str(entry.attested_by),
    )


# ---- the authority


@asynccontextmanager
async def _asking(
    home: Home, to: str | None, identity: str | None
) -> AsyncIterator[tuple[AuthorityClient, ProjectRow]]:
    row = await _project(home, to)
    me = await home.identities.open(identity)
    async with Node.create() as node, await home.attach(node), authority_client(node, me, row) as client:
        yield client, row


async def _project(home: Home, to: str | None) -> ProjectRow:
    """Return the project that is meant; an address in place of its name is where its authority is reached."""
    is_address = to is not None and (":" in to or "/" in to)
    if to is not None and not is_address:
        return await _named(home, to)
    row = await home.projects.default()
    if row is None:
        raise MisuseError(
            ErrorCode.NOT_FOUND,
            "there is no project here yet: 'ockam-ref authority' makes one, 'ockam-ref project enroll' joins one",
        )
    return row._replace(authority_route=_route(to)) if to is not None else row


async def _named(home: Home, name: str) -> ProjectRow:
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


def _as_texts(attributes: Attributes) -> dict[str, str]:
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in attributes}


def _in_words(attributes: Attributes) -> str:
    return " ".join(f"{name}={value}" for name, value in _as_texts(attributes).items())
