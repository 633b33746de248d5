"""A recipe as a table for people: what would be run, in the order in which it would be."""

from collections.abc import Iterator
from typing import NamedTuple

from ockam_ref.policies.resources import ResourceType
from ockam_ref.recipe.recipe import InletEntry, OutletEntry, Recipe
from ockam_ref.recipe.ways import CHANNEL_LISTENER


class Step(NamedTuple):
    """One thing that is run: its kind, its name, and what it does; ``line`` is where it stands, 0 for the node."""

    kind: str
    name: str
    does: str
    line: int = 0


def steps_of(recipe: Recipe) -> tuple[Step, ...]:
    """Return the steps; a ticket is not shown, for whoever has it may enrol."""
    return tuple(_steps(recipe))


def _steps(recipe: Recipe) -> Iterator[Step]:
    identity = f"the identity {recipe.identity}" if recipe.identity else "the default identity"
    if recipe.ticket is not None:
        yield Step("ticket", recipe.project or "", f"enrolls {identity}, once")
    yield Step("node", recipe.name or "", f"is {identity}")
    if recipe.project is not None and recipe.ticket is None:
        yield Step("project", recipe.project, "vouches for attributes")
    if recipe.listen is not None:
        yield Step("tcp-listener", recipe.listen, f"takes secure channels at '{CHANNEL_LISTENER}'")
    for policy in recipe.policies:
        guarded = policy.guarded
        kind = "all of type " if isinstance(guarded, ResourceType) else ""
        yield Step("policy", f"{kind}{guarded}", f"allows {policy.policy.text}", policy.place.line)
    for outlet in recipe.outlets:
        yield Step("tcp-outlet", outlet.name, _outlet(outlet), outlet.place.line)
    for relay in recipe.relays:
        expected = "" if relay.authorized is None else f", which has to be {relay.authorized}"
        yield Step("relay", relay.name, f"leads here from the hub {relay.hub}{expected}", relay.place.line)
    for inlet in recipe.inlets:
        yield Step("tcp-inlet", inlet.name, _inlet(inlet), inlet.place.line)


def _outlet(outlet: OutletEntry) -> str:
    tls = "" if not outlet.tls and outlet.tls_ca is None else " over TLS"
    return f"leads to {outlet.target}{tls}{_allowing(outlet)}"


def _inlet(inlet: InletEntry) -> str:
    way = inlet.way
    parts = [way.via] if way.relay is None else [way.via, way.relay.value.decode()]
    over = "" if inlet.tls_certificate is None else " over TLS"
    expected = "" if inlet.authorized is None else f", which has to be {inlet.authorized}"
    to = " => ".join((*parts, way.outlet.value.decode()))
    return f"listens at {inlet.listen}{over} and leads to {to}{expected}{_allowing(inlet)}"


def _allowing(entry: OutletEntry | InletEntry) -> str:
    return "" if entry.allow is None else f", if {entry.allow.text}"
