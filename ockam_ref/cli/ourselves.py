"""Who a command is that serves: an identity that lasts, and the project whose authority it believes."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ockam_ref.asyncio import Node
from ockam_ref.asyncio.admitting import Access
from ockam_ref.cli.parameters import POLICY
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.policies.expression import Bool
from ockam_ref.policies.policy import HAS_CREDENTIAL, Policy, policy_of
from ockam_ref.policies.resources import Resource

if TYPE_CHECKING:
    from ockam_ref.asyncio.home import Home
    from ockam_ref.asyncio.projects import Membership

Command = TypeVar("Command", bound=Callable[..., Any])

EVERYBODY: Final = policy_of(Bool(True))
"""What counts where nobody has said who may: whoever proves an identity."""

allow: Final = click.option(
    "--allow",
    type=POLICY,
    help="Who may be at the other end, for instance 'role=member'. [default: the stored policy; where there is none, "
    "with --authority its members, without it everybody]",
)


@dataclass(frozen=True, slots=True)
class SelfOptions:
    """The options that say who we are."""

    identity: str | None = None
    ephemeral: bool = False
    authority: str | None = None


def self_options(command: Command) -> Command:
    """Give a command these options."""
    for option in reversed(
        (
            click.option("--identity", metavar="NAME", help="Be this identity of yours. [default: the default one]"),
            click.option("--ephemeral", is_flag=True, help="Be somebody new, and keep nothing of it."),
            click.option(
                "--authority",
                metavar="PROJECT",
                help="Believe what the authority of this project says of others, and show what it says of us.",
            ),
        )
    ):
        command = option(command)
    return command


def take_self_options(options: dict[str, Any]) -> SelfOptions:
    """Take them out of a command's options.

    Raises:
        click.UsageError: they contradict each other.
    """
    taken = SelfOptions(**{name: options.pop(name) for name in ("identity", "ephemeral", "authority")})
    if taken.ephemeral and (taken.identity is not None or taken.authority is not None):
        message = "--ephemeral makes somebody whom nobody knows: it cannot be had with --identity or --authority"
        raise click.UsageError(message)
    return taken


@dataclass(frozen=True, slots=True)
class Ourselves:
    """Who we are in this run."""

    identity: LocalIdentity
    membership: "Membership | None" = None
    keeps_rules: bool = False

    def access(self, node: Node, allowed: Policy | None, resource: Resource, *, members_only: bool = True) -> Access:
        """Return who may be at the other end of a portal of ours, and what we show of ourselves.

        Without ``allowed`` the stored policy of the resource counts, as it is at each message; where there is none, the
        members of our project, unless anybody else may too.
        """
        if self.membership is None:
            authority, credential = None, None
        else:
            authority, credential = self.membership.authority, self.membership.retriever
        rule: Policy | Resource | None = allowed
        if rule is None and self.keeps_rules:
            members = self.membership is not None and members_only
            node.policies.set_default(resource.type, HAS_CREDENTIAL if members else EVERYBODY)
            rule = resource
        return Access(rule, authority, credential)

    def describe(self, node: Node, access: Access) -> str:
        """Return who may be at the other end at the moment, for people."""
        rule = access.policy
        policy = node.policies.find(rule) if isinstance(rule, Resource) else rule
        if policy is EVERYBODY or policy is None:
            return "everybody who proves an identity"
        if policy is HAS_CREDENTIAL and self.membership is not None:
            return f"members of {self.membership.project.name}"
        return policy.text

    def stored_policy(self, node: Node, resource: Resource) -> Resource | None:
        """Return the resource if it is guarded by a stored policy now; later changes of that one count."""
        return resource if self.keeps_rules and node.policies.find(resource) is not None else None


async def become(stack: AsyncExitStack, node: Node, options: SelfOptions) -> Ourselves:
    """Be somebody in this node until the stack unwinds; the default identity is made where there is none.

    Raises:
        OckamError: the state cannot be used; there is no such identity or project.
    """
    if options.ephemeral:
        return Ourselves(node.create_identity())
    from ockam_ref.asyncio.home import Home

    home = await stack.enter_async_context(await Home.open())
    identity = await home.identities.open(options.identity, create=options.identity is None)
    await home.attach(node)
    if options.authority is None:
        return Ourselves(identity, keeps_rules=True)
    return Ourselves(identity, await _join(stack, node, home, identity, options.authority), keeps_rules=True)


async def _join(stack: AsyncExitStack, node: Node, home: "Home", identity: LocalIdentity, name: str) -> "Membership":
    from ockam_ref.asyncio.projects import Membership

    project = await home.projects.get(name)
    if project is None:
        known = ", ".join(row.name for row in await home.projects.list()) or "none"
        advice = "'ockam-ref project enroll' makes you a member of one"
        raise MisuseError(ErrorCode.NOT_FOUND, f"there is no project {name!r} here; known: {known}. {advice}")
    return await stack.enter_async_context(Membership(node, home, identity, project))


def readable_file(option: str, what: str) -> Callable[[Command], Command]:
    """Return an option that names a file."""
    return click.option(option, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE", help=what)
