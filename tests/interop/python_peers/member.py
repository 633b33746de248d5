"""Who a node is, whose word it takes about others, and what it shows of itself: the options of the Rust ``member.rs``."""

import argparse
import os
from time import time
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.asyncio import Node, Routed, SecureChannel
from ockam_ref.asyncio.handles import SecureChannelListener
from ockam_ref.asyncio.hops import Flow, Hop
from ockam_ref.asyncio.issuers import Issuer
from ockam_ref.asyncio.retrieving import CredentialSource
from ockam_ref.channels.trust import TRUST_EVERYONE, TrustPolicy
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.identities.change_history import (
    DEFAULT_IDENTITY_TTL_S,
    create_identity,
    decode_change_history,
    verify_change_history,
)
from ockam_ref.identities.identifier import Identifier, parse_identifier
from ockam_ref.identities.keys import KeyKind, SigningKey, signing_key_from_secret
from ockam_ref.identities.local import LocalIdentity, open_local_identity
from ockam_ref.identities.refreshing import RefreshTiming
from ockam_ref.noise.primitives import KeyPair
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.policy import Policy
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl, AllowByPolicy, AllowOnwardByPolicy
from ockam_ref.wire.address import TCP

API: Final = "api"
_P256: Final = "p256:"
_SCOPE: Final = "project-member-test"
_REQUEST_S: Final = 10.0

Options: TypeAlias = argparse.Namespace


class Member(NamedTuple):
    """A node's identity, and what its channels and workers ask of others."""

    node: Node
    identity: LocalIdentity
    authority: Identifier | None
    shown: CredentialSource
    policy: Policy | None

    @property
    def incoming(self) -> AccessControl:
        """What ``--allow`` lets in."""
        return ALLOW_ALL if self.policy is None else AllowByPolicy(self.policy, self._vouching)

    @property
    def outgoing(self) -> AccessControl:
        """What ``--allow`` lets out."""
        return ALLOW_ALL if self.policy is None else AllowOnwardByPolicy(self.policy, self._vouching)

    @property
    def _vouching(self) -> bytes | None:
        return None if self.authority is None else self.authority.value

    async def accept_channels(self, source: Flow) -> SecureChannelListener:
        """Start the secure channel listener."""
        return await self.node.create_secure_channel_listener(
            self.identity, API, consumer_of=[source], authority=self.authority, credential=self.shown
        )

    async def open_channel(self, way: tuple[Hop, ...], options: Options) -> SecureChannel:
        """Open a channel to the listener at the end of ``way``."""
        trust: TrustPolicy | Identifier = parse_identifier(options.expect) if options.expect else TRUST_EVERYONE
        return await self.node.create_secure_channel(
            self.identity,
            (*way, API),
            trust=trust,
            timeout=options.timeout,
            authority=self.authority,
            credential=self.shown,
        )

    async def start_workers(self, *sources: Flow) -> None:
        """Start the echo services; what the second returns is never looked at, as with the first."""
        for name in ("echo", "echo_bytes"):
            await self.node.start_worker(
                name, _echo, consumer_of=sources, incoming=self.incoming, outgoing=self.outgoing
            )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who the node is and whom it trusts."""
    for option in ("--secret", "--history", "--authority", "--credential", "--authority-at", "--allow"):
        parser.add_argument(option)
    parser.add_argument("--gap", type=int)


def open_member(node: Node, options: Options) -> Member:
    """Return what the options describe."""
    identity = open_identity(node, options)
    authority = node.learn_identity(bytes.fromhex(options.authority)) if options.authority else None
    policy = parse_policy(options.allow) if options.allow else None
    return Member(node, identity, authority, _shown(node, identity, authority, options), policy)


def open_identity(node: Node, options: Options) -> LocalIdentity:
    """Return the identity that the options describe, or a new one."""
    if not options.secret:
        return node.create_identity()
    key, now = _key(options.secret), int(time())
    if options.history:
        identity = verify_change_history(decode_change_history(bytes.fromhex(options.history)))
    else:
        identity = create_identity(key, valid_from=now, valid_until=now + DEFAULT_IDENTITY_TTL_S)
    return open_local_identity(identity, key, KeyPair.from_private_bytes(os.urandom(32)), now=now)


def _key(text: str) -> SigningKey:
    kind = KeyKind.P256 if text.startswith(_P256) else KeyKind.ED25519
    return signing_key_from_secret(kind, bytes.fromhex(text.removeprefix(_P256)))


def _shown(node: Node, identity: LocalIdentity, authority: Identifier | None, options: Options) -> CredentialSource:
    if options.credential:
        return bytes.fromhex(options.credential)
    if not options.authority_at:
        return None
    if authority is None:
        raise MisuseError(ErrorCode.MISUSE, "--authority-at needs --authority")
    timing = RefreshTiming() if options.gap is None else RefreshTiming(options.gap, options.gap, 1)
    route: tuple[Hop, ...] = ((TCP, options.authority_at), API)
    issuer = Issuer(node, route, authority, _SCOPE, timing=timing, timeout=_REQUEST_S)
    return issuer.retriever(identity)


async def _echo(message: Routed) -> None:
    await message.reply(message.payload)
