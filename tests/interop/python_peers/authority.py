"""Our authority and its clients, with the options and reports of the Rust ``ockam-authority``.

``python -m tests.interop.python_peers.authority COMMAND``: ``authority`` prints a ``ready`` event and serves; the other
commands print ``done`` and end.
"""

import argparse
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from time import time
from typing import Final

from ockam_ref.asyncio import Node
from ockam_ref.asyncio.authority import Authority, AuthorityOptions
from ockam_ref.asyncio.authority_client import AuthorityClient
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.secure_client import SecureClient
from ockam_ref.authority.attributes import Attributes, to_attributes
from ockam_ref.authority.multi_address import parse_multi_address, to_tcp_route
from ockam_ref.authority.tickets import (
    OfflineTicket,
    Ticket,
    decode_ticket,
    encode_exported_ticket,
    encode_legacy_ticket,
)
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.identities.change_history import VerifiedIdentity, decode_change_history, verify_change_history
from ockam_ref.identities.credentials import VerifiedCredential, verify_credential
from ockam_ref.identities.identifier import Identifier, parse_identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.wire.route import Route
from tests.interop.python_peers.member import API, Options, open_identity
from tests.interop.python_peers.peer import main_of, report, until_ended

PROJECT: Final = "test"
PROJECT_NAME: Final = "tests"
REQUEST_S: Final = 10.0


async def serve(node: Node, options: Options) -> None:
    """Be the authority."""
    settings = AuthorityOptions(
        trusted=dict(trusted(options.trusted)), project_identifier=options.project, credential_ttl_s=options.ttl
    )
    async with await Home.open_in_memory() as home, AsyncExitStack() as stack:
        identity = await home.identities.import_(bytes.fromhex(options.history), bytes.fromhex(options.secret))
        await home.attach(node)
        listener = await node.tcp_listen(options.listen)
        started = Authority.start(node, home, identity, settings, listener=API, consumer_of=[listener])
        await stack.enter_async_context(await started)
        history = identity.identity.history.encoded.hex()
        report("ready", listen=listener.address, identifier=str(identity.identifier), change_history_hex=history)
        await until_ended()


async def credential(node: Node, options: Options) -> None:
    """Fetch a credential."""
    identity, authority = open_identity(node, options), authority_of(options)
    async with client(node, identity, authority, way(options)) as asked:
        encoded = await asked.credential()
    found = verified(encoded, identity, authority)
    report(
        "done",
        identifier=str(identity.identifier),
        credential_hex=encoded.hex(),
        attributes=shown(found.attributes),
    )


async def ticket(node: Node, options: Options) -> None:
    """Ask for a one-time code, and report a ticket with it in both forms."""
    authority = authority_of(options)
    async with client(node, open_identity(node, options), authority, way(options)) as asked:
        code = await asked.create_code(attributes(options), ttl_s=options.ttl, uses=options.uses)
    made = Ticket(
        code,
        options.project,
        PROJECT_NAME,
        f"/dnsaddr/localhost/tcp/443/service/{options.project}/service/api",
        authority,
        authority,
        multi_address(options.authority_at),
    )
    report("done", exported=encode_exported_ticket(made), legacy=encode_legacy_ticket(made))


async def enroll(node: Node, options: Options) -> None:
    """Show the code of a ticket to the authority that it names, and fetch the first credential."""
    identity, read = open_identity(node, options), decode_ticket(options.ticket)
    if isinstance(read, OfflineTicket):
        raise MisuseError(ErrorCode.MISUSE, "the ticket is one that needs no authority")
    route = to_tcp_route(parse_multi_address(read.authority_route))
    async with client(node, identity, read.authority, route) as asked:
        is_new = await asked.enroll(read.code)
        encoded = await asked.credential()
    report(
        "done",
        status="EnrolledSuccessfully" if is_new else "AlreadyEnrolled",
        project=read.project_id,
        project_name=read.project_name,
        identifier=str(identity.identifier),
        authority=str(read.authority.identifier),
        credential_hex=encoded.hex(),
        attributes=shown(verified(encoded, identity, read.authority).attributes),
    )


async def add(node: Node, options: Options) -> None:
    """Add a member."""
    member = parse_identifier(options.member)
    async with client(node, open_identity(node, options), authority_of(options), way(options)) as asked:
        await asked.add_member(member, attributes(options))
        entry = (await asked.members())[member]
    report("done", attributes=shown(entry.attributes))


async def remove(node: Node, options: Options) -> None:
    """Remove a member."""
    async with client(node, open_identity(node, options), authority_of(options), way(options)) as asked:
        await asked.remove_member(parse_identifier(options.member))
    report("done")


async def members(node: Node, options: Options) -> None:
    """Report all members, one a line of text."""
    async with client(node, open_identity(node, options), authority_of(options), way(options)) as asked:
        found = await asked.members()
    lines = sorted(f"{member} {shown(entry.attributes)}" for member, entry in found.items())
    report("done", members="\n".join(lines))


def client(node: Node, identity: LocalIdentity, authority: VerifiedIdentity, route: Route) -> AuthorityClient:
    """Return who asks the authority."""
    node.learn_identity(authority.history.encoded)
    return AuthorityClient(SecureClient(node, identity, route, authority.identifier, timeout=REQUEST_S))


def verified(encoded: bytes, identity: LocalIdentity, authority: VerifiedIdentity) -> VerifiedCredential:
    """Verify a credential as any user of it would."""
    return verify_credential(encoded, subject=identity.identifier, authority=authority, now=int(time()))


def authority_of(options: Options) -> VerifiedIdentity:
    """Return the authority that the options name."""
    return verify_change_history(decode_change_history(bytes.fromhex(options.authority)))


def way(options: Options) -> Route:
    """Return the route to the authority that the options name."""
    return to_tcp_route(parse_multi_address(multi_address(options.authority_at)))


def multi_address(address: str) -> str:
    """Return how a ticket says where an authority is."""
    host, _, port = address.rpartition(":")
    return f"/ip4/{host}/tcp/{port}/service/{API}"


def trusted(text: str | None) -> Iterable[tuple[Identifier, Attributes]]:
    """Read ``IDENTIFIER:NAME=VALUE,...;IDENTIFIER:NAME=VALUE,...``."""
    for member in text.split(";") if text else ():
        identifier, _, listed = member.partition(":")
        yield parse_identifier(identifier), to_attributes(pairs(listed))


def attributes(options: Options) -> Attributes:
    """Return the attributes that the options list."""
    return to_attributes(pairs(options.attributes))


def pairs(text: str | None) -> dict[str, str]:
    """Read ``NAME=VALUE,...``."""
    listed = (pair.partition("=") for pair in (text.split(",") if text else ()))
    return {name: value for name, _, value in listed}


def shown(found: Iterable[tuple[bytes, bytes]]) -> str:
    """Return attributes as the peer writes them."""
    return ";".join(f"{name.decode()}={value.decode()}" for name, value in found)


COMMANDS: Final[Mapping[str, Callable[[Node, Options], Awaitable[None]]]] = {
    "authority": serve,
    "credential": credential,
    "ticket": ticket,
    "enroll": enroll,
    "add": add,
    "remove": remove,
    "members": members,
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    whole = argparse.ArgumentParser()
    commands = whole.add_subparsers(dest="command", required=True)
    found = {name: commands.add_parser(name) for name in COMMANDS}
    for name, command in found.items():
        command.add_argument("--secret")
        command.add_argument("--history")
        if name not in ("authority", "enroll"):
            command.add_argument("--authority", required=True)
            command.add_argument("--authority-at", required=True)
    found["authority"].add_argument("--listen", required=True)
    found["authority"].add_argument("--trusted")
    found["authority"].add_argument("--project", default=PROJECT)
    found["authority"].add_argument("--ttl", type=int, default=AuthorityOptions().credential_ttl_s)
    found["ticket"].add_argument("--ttl", type=int)
    found["ticket"].add_argument("--uses", type=int)
    found["ticket"].add_argument("--project", default=PROJECT)
    found["enroll"].add_argument("--ticket", required=True)
    for name in ("add", "remove"):
        found[name].add_argument("--member", required=True)
    for name in ("ticket", "add"):
        found[name].add_argument("--attributes")
    return whole


if __name__ == "__main__":
    main_of(parser(), COMMANDS)
