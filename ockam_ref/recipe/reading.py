"""From the text of a recipe to what it says (facts 05 section 9.4)."""

from collections.abc import Iterator, Mapping
from typing import Final

from ockam_ref.policies.resources import ResourceType
from ockam_ref.recipe import fields
from ockam_ref.recipe.document import Node, Scalar, Table, parse_document
from ockam_ref.recipe.entries import Entry, entries, named_entries
from ockam_ref.recipe.fields import Fields
from ockam_ref.recipe.place import Place, RecipeError
from ockam_ref.recipe.recipe import InletEntry, OutletEntry, PolicyEntry, Recipe, RelayEntry, Way
from ockam_ref.recipe.refusals import OF_INLETS, OF_OUTLETS, OF_RECIPES, OF_RELAYS
from ockam_ref.recipe.variables import expand_variables
from ockam_ref.recipe.ways import CHANNEL_LISTENER, named_way, read_hub, read_way, require_hub

DEFAULT_OUTLET: Final = "outlet"
"""The address of an outlet without a name, and where an inlet goes that does not say where."""

DEFAULT_RELAY: Final = "default"
"""The relay that an inlet goes by, and that a node registers, when no name is given."""

ANY_PORT: Final = "127.0.0.1:0"
"""Where an inlet listens that does not say where."""

_RECIPE: Final = (
    ("version",),
    ("ticket", "enrollment-ticket"),
    ("name",),
    ("identity",),
    ("project",),
    ("hub",),
    ("tcp-listener-address",),
    ("foreground",),
    ("exit-on-eof",),
    ("policies", "policy"),
    ("relays", "relay"),
    ("tcp-inlets", "tcp-inlet"),
    ("tcp-outlets", "tcp-outlet"),
)
_POLICY: Final = (("at",), ("resource",), ("resource-type",), ("allow", "expression"))
_RELAY: Final = (("at",), ("to",), ("relay-address",), ("authorized",))
_OUTLET: Final = (("to",), ("from",), ("at",), ("allow",), ("tls",), ("tls-ca",))
_INLET: Final = (
    ("from",),
    ("to",),
    ("via",),
    ("at",),
    ("alias",),
    ("authorized", "expect"),
    ("allow",),
    ("identity",),
    ("tls-certificate",),
    ("tls-key",),
)
_TYPES: Final = {kind.value: kind for kind in ResourceType}


def read_recipe(
    text: str,
    *,
    file: str = "recipe",
    environment: Mapping[str, str] = fields.NOTHING,
    given: Mapping[str, str] = fields.NOTHING,
) -> Recipe:
    """Read a recipe.

    Args:
        text: what stands in the file.
        file: its name, for messages.
        environment: the variables of the process.
        given: those of the command line, which win over all others.

    Raises:
        RecipeError: it cannot be followed; the first fault in the file, with its place and what to write.
    """
    root = expand_variables(parse_document(text, file), environment, given)
    if not isinstance(root, Table):
        raise RecipeError(root.place, "a recipe is a table, such as 'name: n1'")
    return _Reader(Fields(root, "a recipe", _RECIPE, OF_RECIPES)).recipe()


class _Reader:
    """Reads the sections of one recipe, all of which may need the name of the node and its hub."""

    def __init__(self, top: Fields) -> None:
        self._top = top
        self._name = top.read("name", fields.text)
        self._hub = top.read("hub", lambda scalar: read_hub(scalar, None))

    def recipe(self) -> Recipe:
        top = self._top
        top.read("version", _check_version)
        top.read("foreground", _check_foreground)
        outlets = tuple(self._outlets(top.node("tcp-outlets")))
        relays = tuple(self._relays(top.node("relays")))
        return Recipe(
            name=self._name,
            identity=top.read("identity", fields.text),
            ticket=top.read("ticket", fields.text),
            project=top.read("project", fields.text),
            listen=top.read("tcp-listener-address", fields.host_port),
            exit_on_eof=bool(top.read("exit-on-eof", fields.flag)),
            policies=tuple(self._policies(top.node("policies"))),
            outlets=outlets,
            relays=relays,
            inlets=tuple(self._inlets(top.node("tcp-inlets"), outlets, relays)),
        )

    def _check_node(self, entry: Fields, key: str) -> None:
        """One process is one node: an entry may name no other."""
        named = entry.read(key, fields.text)
        if named is not None and named.removeprefix("/node/") != self._name:
            problem = (
                f"'{named}' is not the node of this recipe; leave '{key}' out, or write 'name: {named}' at the top"
            )
            raise RecipeError(entry.place_of(key), problem)

    def _policies(self, section: Node | None) -> Iterator[PolicyEntry]:
        for entry in entries(section, "a policy"):
            if entry.name is not None:
                raise RecipeError(entry.name.place, "policies have no names; write them as a list")
            found = Fields(entry.arguments, "a policy", _POLICY)
            self._check_node(found, "at")
            policy = found.require("allow", fields.policy, "EXPRESSION")
            yield PolicyEntry(_guarded(found), policy, found.place)

    def _outlets(self, section: Node | None) -> Iterator[OutletEntry]:
        seen: dict[str, Place] = {}
        for entry in entries(section, "an outlet"):
            what = _what("outlet", entry)
            found = Fields(entry.arguments, what, _OUTLET, OF_OUTLETS)
            self._check_node(found, "at")
            name = found.read("from", fields.worker) or _address_of(entry.name) or DEFAULT_OUTLET
            place = _place(entry)
            _check_new(name, place, seen, "outlet", "from")
            if name == CHANNEL_LISTENER:
                raise RecipeError(place, f"'{name}' is where the node answers handshakes; give the outlet another name")
            yield OutletEntry(
                name,
                found.require("to", fields.host_port, "HOST:PORT"),
                place,
                found.read("allow", fields.policy),
                tls=bool(found.read("tls", fields.flag)),
                tls_ca=found.read("tls-ca", fields.text),
            )

    def _relays(self, section: Node | None) -> Iterator[RelayEntry]:
        seen: dict[str, Place] = {}
        for entry in named_entries(section, "a relay"):
            found = Fields(entry.arguments, _what("relay", entry), _RELAY, OF_RELAYS)
            self._check_node(found, "to")
            name = found.read("relay-address", fields.relay_name)
            if name is None:
                name = DEFAULT_RELAY if entry.name is None else fields.relay_name(entry.name)
            place = _place(entry)
            hub = found.read("at", lambda scalar: read_hub(scalar, self._hub)) or require_hub(self._hub, place)
            _check_new(f"{name} at {hub}", place, seen, "relay", "relay-address")
            yield RelayEntry(name, hub, place, found.read("authorized", fields.identifier))

    def _inlets(
        self, section: Node | None, outlets: tuple[OutletEntry, ...], relays: tuple[RelayEntry, ...]
    ) -> Iterator[InletEntry]:
        seen = {outlet.name: outlet.place for outlet in outlets}  # policies guard both by their names
        for number, entry in enumerate(entries(section, "an inlet"), 1):
            found = Fields(entry.arguments, _what("inlet", entry), _INLET, OF_INLETS)
            self._check_node(found, "at")
            alias = found.read("alias", fields.text) or (f"inlet-{number}" if entry.name is None else entry.name.text)
            place = _place(entry)
            _check_new(alias, place, seen, "inlet or outlet", "alias")
            certificate, key = found.read("tls-certificate", fields.text), found.read("tls-key", fields.text)
            if (certificate is None) != (key is None):
                raise RecipeError(found.place, "'tls-certificate: FILE' and 'tls-key: FILE' belong together")
            yield InletEntry(
                alias,
                found.read("from", fields.host_port) or ANY_PORT,
                self._way(found, outlets, relays),
                place,
                found.read("authorized", fields.identifier),
                found.read("allow", fields.policy),
                found.read("identity", fields.text),
                certificate,
                key,
            )

    def _way(self, inlet: Fields, outlets: tuple[OutletEntry, ...], relays: tuple[RelayEntry, ...]) -> Way:
        relay = inlet.read("via", fields.relay_name)
        usual = DEFAULT_RELAY if relay is None else relay
        way = inlet.read("to", lambda scalar: self._written_way(scalar, relay, usual))
        if way is not None:
            return way
        way = named_way(DEFAULT_OUTLET, usual, self._hub, inlet.place)
        own = any(one.name == usual and one.hub == way.via for one in relays)
        if own and len(outlets) == 1:  # it leads back to this node, where nothing else can be meant
            return named_way(outlets[0].name, usual, self._hub, inlet.place)
        return way

    def _written_way(self, scalar: Scalar, relay: str | None, usual: str) -> Way:
        if relay is not None and scalar.text.startswith("/") and not scalar.text.startswith("/service/"):
            raise RecipeError(scalar.place, "a whole route names the relay itself; leave 'via' out")
        return read_way(scalar, usual, self._hub)


def _guarded(policy: Fields) -> str | ResourceType:
    resource, kind = policy.read("resource", fields.text), policy.read("resource-type", _resource_type)
    if resource is not None and kind is None:
        return resource
    if kind is not None and resource is None:
        return kind
    raise RecipeError(policy.place, "a policy needs one of 'resource: NAME' and 'resource-type: TYPE'")


def _what(kind: str, entry: Entry) -> str:
    return f"the {kind}" if entry.name is None else f"the {kind} '{entry.name.text}'"


def _place(entry: Entry) -> Place:
    return entry.arguments.place if entry.name is None else entry.name.place


def _address_of(name: Scalar | None) -> str | None:
    return None if name is None else fields.worker(name)


def _check_new(name: str, place: Place, seen: dict[str, Place], kind: str, key: str) -> None:
    if name in seen:
        raise RecipeError(
            place, f"the {kind} '{name}' is there already, in line {seen[name].line}; give one another '{key}'"
        )
    seen[name] = place


def _resource_type(scalar: Scalar) -> ResourceType:
    if scalar.text not in _TYPES:
        raise RecipeError(scalar.place, f"'{scalar.text}' is no type of resource; there are {', '.join(_TYPES)}")
    return _TYPES[scalar.text]


def _check_version(scalar: Scalar) -> None:
    if scalar.text != "1":
        raise RecipeError(scalar.place, f"version '{scalar.text}' of recipes is not known; write 'version: 1'")


def _check_foreground(scalar: Scalar) -> None:
    if not fields.flag(scalar):
        raise RecipeError(
            scalar.place, "a node runs in the foreground; leave it out, and let the shell or a service manager run it"
        )
