"""What a recipe says: one node, what guards it, what it offers and where it goes."""

from dataclasses import dataclass, field

from ockam_ref.identities.identifier import Identifier
from ockam_ref.policies.policy import Policy
from ockam_ref.policies.resources import ResourceType
from ockam_ref.recipe.place import Place
from ockam_ref.wire.address import Address


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A rule for one resource of the node, or for all of a type."""

    guarded: str | ResourceType
    policy: Policy
    place: Place


@dataclass(frozen=True, slots=True)
class OutletEntry:
    """A TCP service that others reach."""

    name: str
    target: str
    place: Place
    allow: Policy | None = None
    tls: bool = False
    tls_ca: str | None = None


@dataclass(frozen=True, slots=True)
class RelayEntry:
    """A name for this node on a hub."""

    name: str
    hub: str
    place: Place
    authorized: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """How to come to an outlet: to a hub and its relay, or without one to the outlet's own listener."""

    via: str
    relay: Address | None
    channel_listener: Address
    outlet: Address


@dataclass(frozen=True, slots=True)
class InletEntry:
    """A local port that leads to an outlet."""

    name: str
    listen: str
    way: Way
    place: Place
    authorized: Identifier | None = None
    allow: Policy | None = None
    identity: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """All of it.  What stands in no recipe is ``None`` or empty here."""

    name: str | None = None
    identity: str | None = None
    ticket: str | None = field(default=None, repr=False)
    project: str | None = None
    listen: str | None = None
    exit_on_eof: bool = False
    policies: tuple[PolicyEntry, ...] = ()
    outlets: tuple[OutletEntry, ...] = ()
    relays: tuple[RelayEntry, ...] = ()
    inlets: tuple[InletEntry, ...] = ()
