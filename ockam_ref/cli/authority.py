"""``ockam-ref authority``: who may be a member, and what is said of members."""

import asyncio
import json
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

import click

from ockam_ref.asyncio import TCP, Node
from ockam_ref.asyncio.authority import Authority, AuthorityOptions
from ockam_ref.asyncio.home import Home
from ockam_ref.authority.attributes import Attributes, to_attributes
from ockam_ref.authority.book import AuditRecord
from ockam_ref.authority.multi_address import format_multi_address, from_tcp_route
from ockam_ref.authority.roles import ENROLLER, ROLE
from ockam_ref.cli import parameters
from ockam_ref.cli.durations import DURATION
from ockam_ref.cli.homes import run_at_home
from ockam_ref.cli.output import Output, warn
from ockam_ref.cli.parameters import HOST_PORT, IDENTIFIER
from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.identities.identifier import Identifier, parse_identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.storage.audit import AuditRow
from ockam_ref.storage.projects import ProjectRow
from ockam_ref.wire.address import Address
from ockam_transports.host_port import parse_host_port

_ANY_HOST: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared with, not bound to


class _Options(NamedTuple):
    listen: str
    public: str | None
    identity: str
    project: str
    enrollers: tuple[Identifier, ...]
    trusted: dict[Identifier, Attributes]
    credential_ttl: int
    channel_listener: Address


class TrustedType(click.ParamType[dict[Identifier, Attributes]]):
    """``{"I…": {"name": "value"}}``, as the peer's authority takes it."""

    name = "JSON"

    def convert(
        self, value: str | dict[Identifier, Attributes], param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[Identifier, Attributes]:
        """Read identifiers and their attributes."""
        if isinstance(value, dict):
            return value
        try:
            document = json.loads(value)
            return {parse_identifier(who): to_attributes(_texts(said)) for who, said in document.items()}
        except (ValueError, TypeError, AttributeError, RecursionError, OckamError) as error:
            self.fail(f"""{error}; it looks like {{"I…": {{"name": "value"}}}}""", param, ctx)


def _texts(said: object) -> dict[str, str]:
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        message = "the attributes of an identity are texts"
        raise TypeError(message)
    return said


@click.command()
@click.option(
    "--listen",
    type=HOST_PORT,
    default="127.0.0.1:4001",
    show_default=True,
    help="Where members connect (port 0: any).",
)
@click.option("--public", type=HOST_PORT, help="How members reach it, if not at --listen: tickets say so.")
@click.option("--identity", default="authority", show_default=True, help="The name of its identity.")
@click.option("--project", default="default", show_default=True, help="The name of the project.")
@click.option(
    "--enroller",
    "enrollers",
    type=IDENTIFIER,
    multiple=True,
    help="Who may make tickets, besides your default identity (more than once: several).",
)
@click.option(
    "--trusted-identities", "trusted", type=TrustedType(), default={}, help="Members from the start, and attributes."
)
@click.option(
    "--credential-ttl",
    type=DURATION,
    default="30d",
    show_default=True,
    help="For how long a credential is valid.",
)
@click.option("--audit", is_flag=True, help="Print what the authorities of this state were asked, and end.")
@parameters.channel_listener
@parameters.as_json
def authority(*, audit: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401  # those of ``_Options``
    """Run the authority of a project: it makes members, and says of them what a ticket says.

    Its identity is made when it is first started, and your default identity may make tickets: 'ockam-ref project
    ticket'.  Members and tickets are in OCKAM_REF_HOME, or where the system keeps such data.
    """
    run_at_home(_print_audit if audit else partial(_serve, _Options(**options)), as_json=as_json)


async def _serve(options: _Options, home: Home, output: Output) -> None:
    me = await home.identities.open(create=True)
    identity = await home.identities.open(options.identity, create=True)
    enrollers = (me.identifier, *options.enrollers)
    trusted = options.trusted | {who: _as_enroller(options.trusted.get(who, ())) for who in enrollers}
    configured = AuthorityOptions(trusted, options.project, options.credential_ttl)
    async with Node.create() as node, await home.attach(node):
        listener = await node.tcp_listen(options.listen)
        running = await Authority.start(
            node, home, identity, configured, listener=options.channel_listener, consumer_of=(listener,)
        )
        async with running:
            route = _public_route(options, listener.address)
            await _keep_project(home, identity, options.project, route)
            running.on_audit = partial(_print_record, output)
            output.ready(
                "authority",
                f"The authority of the project {options.project} listens at {listener.address}. "
                f"It is {identity.identifier}.\n"
                "'ockam-ref project ticket' makes tickets for members.",
                listen=listener.address,
                identifier=str(identity.identifier),
                project=options.project,
                route=route,
                members=running.members,
            )
            await asyncio.get_running_loop().create_future()  # until somebody stops the command


def _as_enroller(attributes: Attributes) -> Attributes:
    return tuple(sorted({**dict(attributes), ROLE: ENROLLER}.items()))


def _public_route(options: _Options, listening: str) -> str:
    place = parse_host_port(options.public or listening)
    if place.host in _ANY_HOST:
        place = parse_host_port(f"127.0.0.1:{place.port}")
        warn(f"tickets will say that the authority is at {place}: --public HOST:PORT says how others reach it")
    route = (Address(TCP, str(place).encode()), options.channel_listener)
    return format_multi_address(from_tcp_route(route, resolved=True))


async def _keep_project(home: Home, identity: LocalIdentity, name: str, route: str) -> None:
    """Let commands on this machine know the project, without a ticket."""
    known, history = await home.projects.get(name), identity.identity.history.encoded
    if known is not None and known.authority != identity.identifier.value:
        raise MisuseError(
            ErrorCode.NAME_TAKEN, f"there is a project {name!r} of another authority: take another --project"
        )
    row = ProjectRow(name, identity.identifier.value, history, route, name, name, history)
    await home.projects.put(row._replace(is_default=known is not None and known.is_default))


# ---- the audit log


def _print_record(output: Output, record: AuditRecord) -> None:
    _print(output, record.at, None if record.caller is None else str(record.caller), record.what, record.answer)


async def _print_audit(home: Home, output: Output) -> None:
    rows: list[AuditRow] = []
    before: int | None = None
    while page := await home.audit.list(before=before):
        rows += page
        before = page[-1].number
    for row in reversed(rows):
        _print(output, row.at, str(Identifier(row.caller)) if row.caller else None, row.what, row.answer)


def _print(output: Output, at: int, caller: str | None, what: str, answer: str) -> None:
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    sentence = f"{when} {caller or 'somebody without a channel'}: {what}: {answer}"
    output.event("audit", sentence, at=at, caller=caller, what=what, answer=answer)
