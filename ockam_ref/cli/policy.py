"""``ockam-ref policy``: the rules that are kept, and what a rule would say."""

import sys
from collections.abc import Callable
from typing import Any, Final

import click

from ockam_ref.asyncio.home import Home
from ockam_ref.cli import parameters
from ockam_ref.cli.explaining import print_decision
from ockam_ref.cli.homes import run_at_home
from ockam_ref.cli.output import EXIT_FAILED, Output
from ockam_ref.cli.parameters import IDENTIFIER, POLICY
from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.policies.decision import Subject, decide, explain_decision
from ockam_ref.policies.expression import Str, print_expression
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.policy import Policy
from ockam_ref.policies.resources import ResourceType
from ockam_ref.storage.policies import PolicyRow

_SOMEBODY: Final = Identifier(bytes(32))

_expression: Final = click.argument("expression", type=POLICY, metavar="EXPRESSION")
_resource: Final = click.option("--resource", metavar="NAME", help="The resource with this name, for instance outlet.")
_resource_type: Final = click.option(
    "--resource-type",
    type=click.Choice([kind.value for kind in ResourceType]),
    help="All resources of this type that have no rule of their own.",
)


@click.group()
def policy() -> None:
    """Say who may use what.

    A rule is an EXPRESSION over what an authority vouches for: 'role=admin and not suspended', the identifier of
    somebody, or in full '(= subject.role "admin")'.  Nodes that run with this state follow a change within two seconds.
    """


@policy.command()
@_expression
@_resource
@_resource_type
@parameters.as_json
def create(expression: Policy, resource: str | None, resource_type: str | None, *, as_json: bool) -> None:
    """Guard a resource, or all of a type, with the rule EXPRESSION; it replaces the one before."""
    guarded = _guarded(resource, resource_type)

    async def work(home: Home, output: Output) -> None:
        if resource is not None:
            await home.policies.set_for_resource(resource, expression.text)
        elif resource_type is not None:
            await home.policies.set_for_type(resource_type, expression.text)
        row = PolicyRow(resource, resource_type, expression.text)
        output.event("policy-created", f"{guarded}: {expression}", **_fields(row))

    run_at_home(work, as_json=as_json)


@policy.command("list")
@parameters.as_json
def list_(*, as_json: bool) -> None:
    """List the rules, those of single resources first."""

    async def work(home: Home, output: Output) -> None:
        found = await home.policies.list()
        named = [(_name_of(row), row) for row in found]
        width = max((len(name) for name, _ in named), default=0)
        for name, row in named:
            output.event("policy", f"{name:{width}}  {row.expression}", **_fields(row))
        if not found and not as_json:
            output.event("none", "There is none yet: 'ockam-ref policy create' makes one.")

    run_at_home(work, as_json=as_json)


@policy.command()
@_resource
@_resource_type
@parameters.as_json
def show(resource: str | None, resource_type: str | None, *, as_json: bool) -> None:
    """Show a rule as it was written and in full."""
    guarded = _guarded(resource, resource_type)

    async def work(home: Home, output: Output) -> None:
        text = await _stored(home, resource, resource_type)
        if text is None:
            raise _nothing(guarded)
        row = PolicyRow(resource, resource_type, text)
        in_full = print_expression(parse_policy(text).expression)
        sentence = f"{guarded}: {text}\nIn full: {in_full}"
        output.event("policy", sentence, **_fields(row), in_full=in_full)

    run_at_home(work, as_json=as_json)


@policy.command()
@_resource
@_resource_type
@parameters.as_json
def delete(resource: str | None, resource_type: str | None, *, as_json: bool) -> None:
    """Delete a rule; a resource that has none, and whose type has none, is open to nobody."""
    guarded = _guarded(resource, resource_type)

    async def work(home: Home, output: Output) -> None:
        text = await _stored(home, resource, resource_type)
        if resource is not None:
            await home.policies.delete_for_resource(resource)
        elif resource_type is not None:
            await home.policies.delete_for_type(resource_type)
        if text is None:
            raise _nothing(guarded)
        row = PolicyRow(resource, resource_type, text)
        output.event("policy-deleted", f"{guarded} has no rule of its own any more; it was: {text}", **_fields(row))

    run_at_home(work, as_json=as_json)


def _pairs(_: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for name, equals, _value in pairs:
        if not (name and equals):
            message = "write it as NAME=VALUE"
            raise click.BadParameter(message, param=param)
    return {name: value for name, _equals, value in pairs}


def _pair_option(name: str, what: str) -> Callable[[Any], Any]:
    return click.option(name, multiple=True, callback=_pairs, metavar="NAME=VALUE", help=what)


@policy.command()
@_expression
@_pair_option("--subject", "An attribute of the subject, which then has a credential; may be repeated.")
@click.option("--identifier", type=IDENTIFIER, default=_SOMEBODY, show_default=False, help="Who the subject is.")
@click.option("--no-authority", is_flag=True, help="As where no authority is configured: nobody has attributes.")
@_pair_option("--name", "Another name that the rule may use, such as resource.id; may be repeated.")
@click.option("--explain", is_flag=True, help="Print every name and every comparison, with what it gives.")
@parameters.as_json
def check(
    expression: Policy,
    *,
    subject: dict[str, str],
    identifier: Identifier,
    no_authority: bool,
    name: dict[str, str],
    explain: bool,
    as_json: bool,
) -> None:
    """Say whether the rule EXPRESSION would allow a subject; the exit code is 0 if it does, and 1 if not.

    ockam-ref policy check 'role=admin and not suspended' --subject role=admin --explain
    """
    if subject and no_authority:
        message = "without an authority nobody vouches for attributes: leave out --subject or --no-authority"
        raise click.UsageError(message)
    pairs = tuple(sorted((one.encode(), value.encode()) for one, value in subject.items()))
    who = Subject(identifier.value, pairs or None, has_authority=not no_authority)
    environment = {one: Str(value) for one, value in name.items()}
    output = Output(as_json=as_json)
    print_decision(output, expression, explain_decision(expression, who, environment), in_full=explain)
    output.close()
    if not decide(expression, who, environment):
        sys.exit(EXIT_FAILED)


async def _stored(home: Home, resource: str | None, resource_type: str | None) -> str | None:
    if resource is not None:
        return await home.policies.for_resource(resource)
    return None if resource_type is None else await home.policies.for_type(resource_type)


def _guarded(resource: str | None, resource_type: str | None) -> str:
    """Return what is guarded, in words; one of the two is needed."""
    if (resource is None) == (resource_type is None):
        message = "give either --resource NAME or --resource-type TYPE"
        raise click.UsageError(message)
    return f"Every {resource_type}" if resource is None else resource


def _nothing(guarded: str) -> OckamError:
    message = f"{guarded} has no rule of its own; 'ockam-ref policy list' shows those that there are"
    return MisuseError(ErrorCode.MISUSE, message)


def _name_of(row: PolicyRow) -> str:
    return row.resource if row.resource is not None else f"every {row.type}"


def _fields(row: PolicyRow) -> dict[str, Any]:
    return {"resource": row.resource, "type": row.type, "expression": row.expression}
