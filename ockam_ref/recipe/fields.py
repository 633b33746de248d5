"""Reading one table of a recipe: which keys it may have, and what their values are."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, TypeVar

from ockam_ref.errors import DecodeError, MisuseError
from ockam_ref.identities.identifier import Identifier, parse_identifier
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.policy import Policy
from ockam_ref.policies.syntax import PolicySyntaxError
from ockam_ref.recipe.document import Node, Scalar, Table
from ockam_ref.recipe.place import Place, RecipeError
from ockam_ref.relays.names import MAX_NAME_BYTES, is_relay_name
from ockam_ref.relays.service import REGISTER
from ockam_ref.wire.address import Address, parse_address
from ockam_transports.host_port import parse_host_port

T = TypeVar("T")

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

_FLAGS: Final = {"true": True, "false": False}


class Fields:
    """The fields of a table, each under its first name.

    Args:
        table: where they stand.
        what: what the table describes, for messages.
        names: the names that each field may have, the usual one first; ``_`` is as good as ``-``.
        refused: what the peer knows and we do not, with what to do instead.
    """

    def __init__(
        self, table: Table, what: str, names: Sequence[Sequence[str]], refused: Mapping[str, str] = NOTHING
    ) -> None:
        self.place: Final = table.place
        self._what = what
        self._found: dict[str, tuple[Scalar, Node]] = {}
        firsts = {name: usual for usual, *others in names for name in (usual, *others)}
        for key, node in table.entries:
            name = key.text.replace("_", "-")
            if name in refused:
                raise RecipeError(key.place, f"'{key.text}' {refused[name]}")
            if name not in firsts:
                raise RecipeError(key.place, _unknown(key.text, what, firsts))
            first = firsts[name]
            if first in self._found:
                before = self._found[first][0]
                raise RecipeError(
                    key.place, f"'{key.text}' and '{before.text}' in line {before.place.line} are the same; keep one"
                )
            self._found[first] = key, node

    def node(self, name: str) -> Node | None:
        """Return the value of a field as it stands in the tree, unless it is not there."""
        found = self._found.get(name)
        return None if found is None else found[1]

    def place_of(self, name: str) -> Place:
        """Return where the field stands, or the whole table where it is not there."""
        found = self._found.get(name)
        return self.place if found is None else found[0].place

    def read(self, name: str, convert: Callable[[Scalar], T]) -> T | None:
        """Return the value of a field, converted, or ``None``."""
        found = self._found.get(name)
        if found is None:
            return None
        key, node = found
        if not isinstance(node, Scalar) or (node.is_null):
            raise RecipeError(node.place, f"'{key.text}' of {self._what} has one value, on the same line")
        return convert(node)

    def require(self, name: str, convert: Callable[[Scalar], T], example: str) -> T:
        """Return the value of a field that has to be there."""
        value = self.read(name, convert)
        if value is None:
            raise RecipeError(self.place, f"{self._what} needs '{name}: {example}'")
        return value


def _unknown(key: str, what: str, names: Mapping[str, str]) -> str:
    close = get_close_matches(key.replace("_", "-"), names, n=1, cutoff=0.6)
    advice = f"did you mean '{close[0]}'?" if close else f"it may have {', '.join(dict.fromkeys(names.values()))}"
    return f"{what} has no '{key}': {advice}"


# what a value may be


def text(scalar: Scalar) -> str:
    """Any text that is not empty."""
    if not scalar.text:
        raise RecipeError(scalar.place, "this is empty")
    return scalar.text


def flag(scalar: Scalar) -> bool:
    """``true`` or ``false``."""
    value = None if scalar.quoted else _FLAGS.get(scalar.text)
    if value is None:
        raise RecipeError(scalar.place, f"'{scalar.text}' is neither true nor false")
    return value


def host_port(scalar: Scalar) -> str:
    """``HOST:PORT``; a port alone is one of this machine."""
    try:
        return str(parse_host_port(scalar.text))
    except MisuseError as error:
        raise RecipeError(scalar.place, f"{error}; write it as 127.0.0.1:4000") from None


def identifier(scalar: Scalar) -> Identifier:
    """``I`` and 64 hexadecimal digits."""
    try:
        return parse_identifier(scalar.text)
    except DecodeError as error:
        raise RecipeError(scalar.place, f"{error}; copy the identifier that 'identity show' prints") from None


def policy(scalar: Scalar) -> Policy:
    """An expression of either syntax."""
    try:
        return parse_policy(scalar.text)
    except PolicySyntaxError as error:
        raise RecipeError(scalar.place, f"this is no policy: {error}") from None


def worker(scalar: Scalar) -> str:
    """The name of a worker; ``/service/NAME`` is as good as ``NAME``."""
    name = scalar.text.removeprefix("/service/")
    to_address(name, scalar.place)
    return name


def to_address(name: str, place: Place) -> Address:
    """Return the address of that name."""
    try:
        found = parse_address(name)
    except DecodeError as error:
        raise RecipeError(place, str(error)) from None
    if not found.is_local or not found.value or "#" in name:
        raise RecipeError(place, f"'{name}' is not the name of a worker")
    return found


def relay_name(scalar: Scalar) -> str:
    """A name on a hub."""
    if not is_relay_name(scalar.text) or scalar.text == REGISTER:
        problem = f"a relay's name has 1 to {MAX_NAME_BYTES} bytes, no '#', and is not '{REGISTER}'"
        raise RecipeError(scalar.place, problem)
    return scalar.text
