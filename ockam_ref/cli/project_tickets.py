"""``ockam-ref project ticket``."""

from functools import partial
from typing import Any, Final, NamedTuple

import click

from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.projects import issue_offline_ticket, route_of
from ockam_ref.authority.attributes import Attributes
from ockam_ref.authority.multi_address import (
    format_multi_address,
    from_tcp_route,
)
from ockam_ref.authority.roles import DEFAULT_CREDENTIAL_TTL_S, ENROLLER, RELAY, ROLE, TLS_CERTIFICATE
from ockam_ref.authority.tickets import (
    Ticket,
    encode_exported_ticket,
    encode_legacy_ticket,
    encode_offline_ticket,
)
from ockam_ref.cli import parameters
from ockam_ref.cli.durations import DURATION
from ockam_ref.cli.homes import run_at_home
from ockam_ref.cli.output import Output
from ockam_ref.cli.parameters import IDENTIFIER
from ockam_ref.cli.projects import (
    asking,
    attributes_option,
    checked_attributes,
    identity_option,
    named_project,
    to_option,
    to_pairs,
)
from ockam_ref.identities.change_history import decode_change_history, verify_change_history
from ockam_ref.identities.identifier import Identifier
from ockam_ref.storage.projects import ProjectRow
from ockam_ref.wire.address import local

_FORMS: Final = {"legacy": encode_legacy_ticket, "exported": encode_exported_ticket}


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


@click.command()
@attributes_option
@click.option("--expires-in", type=DURATION, help="For how long the ticket works: 10 minutes unless told otherwise.")
@click.option("--usage-count", type=click.IntRange(1), metavar="N", help="How often it works: once otherwise.")
@click.option("--relay", metavar="NAME", help="The relay that the member may create: '-a ockam-relay=NAME'.")
@click.option("--enroller", is_flag=True, help="The member may make tickets too: '-a ockam-role=enroller'.")
@click.option("--tls", is_flag=True, help="The member may have TLS certificates: '-a ockam-tls-certificate=true'.")
@to_option
@identity_option
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
    return checked_attributes(said)


async def _print_ticket(options: _TicketOptions, said: Attributes, home: Home, output: Output) -> None:
    async with asking(home, options.to, options.identity) as (client, row):
        code = await client.create_code(said, ttl_s=options.expires_in, uses=options.usage_count)
    authority = verify_change_history(decode_change_history(row.authority_history))
    history = row.project_history or row.authority_history
    made = Ticket(
        code,
        row.project_id or row.name,
        row.project_name or row.name,
        _project_route(row),
        verify_change_history(decode_change_history(history)),
        authority,
        row.authority_route,
    )
    text = _FORMS[options.form](made)
    output.event("ticket", text, ticket=text, project=made.project_name, authority=str(authority.identifier))


async def _print_offline_ticket(options: _TicketOptions, said: Attributes, home: Home, output: Output) -> None:
    assert options.subject is not None  # checked when the options were read
    row = await home.projects.default() if options.to is None else await named_project(home, options.to)
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


def _project_route(row: ProjectRow) -> str:
    """Return what a ticket has as the way to the project: there is no node, but readers take the project's id from it.

    Some releases of the peer read the first service, others want a host name; this form suits all.
    """
    node, *behind = route_of(row)
    return format_multi_address(from_tcp_route((node, local(row.project_id or row.name), *behind[-1:])))
