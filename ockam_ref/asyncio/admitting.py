"""Who may use a portal: a policy, and who vouches for what it asks, as the controls of both directions."""

from typing import Final, NamedTuple

from ockam_ref.asyncio.retrieving import CredentialSource
from ockam_ref.identities.identifier import Identifier
from ockam_ref.policies.policy import HAS_CREDENTIAL, Policy
from ockam_ref.policies.resources import Resource
from ockam_ref.routing.access_control import (
    ALLOW_ALL,
    AccessControl,
    AllOf,
    AllowByPolicy,
    AllowOnwardByPolicy,
)


class Access(NamedTuple):
    """Who may use a portal, and what we show of ourselves to those whom we meet.

    For ``policy`` and ``authority`` see ``Node.create_outlet``; ``credential`` is presented in channels.
    """

    policy: Policy | Resource | None = None
    authority: Identifier | None = None
    credential: CredentialSource = None


OPEN_TO_ALL: Final = Access()


def portal_controls(
    policy: Policy | Resource | None,
    authority: Identifier | None,
    incoming: AccessControl = ALLOW_ALL,
    outgoing: AccessControl = ALLOW_ALL,
) -> tuple[AccessControl, AccessControl]:
    """Return what has to allow messages from the other end and messages to it (facts 06 section 5.8).

    The policy asks about the same peer in both directions.  With an authority alone its valid credential is enough;
    with neither, and no further controls, everybody may.
    """
    if policy is None and authority is None:
        return incoming, outgoing
    rule = HAS_CREDENTIAL if policy is None else policy
    vouching = None if authority is None else authority.value
    return _both(incoming, AllowByPolicy(rule, vouching)), _both(outgoing, AllowOnwardByPolicy(rule, vouching))


def _both(control: AccessControl, by_policy: AccessControl) -> AccessControl:
    return by_policy if control is ALLOW_ALL else AllOf((control, by_policy))
