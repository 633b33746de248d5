"""The variables of a recipe: ``$NAME`` and ``${NAME}`` in its keys and values.

A value comes from the command line, else from the environment, else from the recipe's own ``variables``.  What a
variable holds is text of the value it stands in, and never structure: a line break in it begins no new key.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, assert_never

from ockam_ref.recipe.document import Items, Node, Scalar, Table
from ockam_ref.recipe.place import Place, RecipeError

VARIABLES: Final = "variables"
"""The key under which a recipe gives values to names that have none."""

_USE: Final = re.compile(r"\$(?:(?P<dollar>\$)|(?P<plain>\w+)|\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\})")
_NAME: Final = re.compile(r"\w+")


def expand_variables(root: Node, environment: Mapping[str, str], given: Mapping[str, str]) -> Node:
    """Return the tree without its variables and without the section that gives them values.

    ``$$`` is a dollar sign, and so is one before anything but a name; ``${NAME:-text}`` is the text where the name has
    no value.

    Raises:
        RecipeError: a name has no value, or the section is not one of names and values.
    """
    if not isinstance(root, Table):
        return root
    values = dict(environment)
    entries = []
    for key, node in root.entries:
        if key.text == VARIABLES:
            for name, text in _own_values(node, {**environment, **given}).items():
                values.setdefault(name, text)
        else:
            entries.append((key, node))
    values |= given
    return _expand(replace(root, entries=tuple(entries)), values)


def _own_values(section: Node, known: dict[str, str]) -> dict[str, str]:
    """Return the values that a recipe gives; each may use what is known, and those above it."""
    if not isinstance(section, Table):
        raise RecipeError(section.place, f"'{VARIABLES}' is a table of names and values")
    own: dict[str, str] = {}
    for name, node in section.entries:
        if not _NAME.fullmatch(name.text):
            raise RecipeError(name.place, f"'{name.text}' is no name of a variable: letters, digits and '_'")
        if not isinstance(node, Scalar):
            raise RecipeError(node.place, f"the variable '{name.text}' is a text, a number, or true or false")
        text = "" if node.is_null else _expand_scalar(node, {**own, **known}).text
        if not text:
            raise RecipeError(node.place, f"the variable '{name.text}' has no value")
        own[name.text] = text
    return own


def _expand(node: Node, values: Mapping[str, str]) -> Node:
    match node:
        case Scalar():
            return _expand_scalar(node, values)
        case Items(items):
            return replace(node, items=tuple(_expand(item, values) for item in items))
        case Table(entries):
            return replace(
                node, entries=tuple((_expand_scalar(key, values), _expand(value, values)) for key, value in entries)
            )
        case _:
            assert_never(node)


def _expand_scalar(scalar: Scalar, values: Mapping[str, str]) -> Scalar:
    if "$" not in scalar.text:
        return scalar

    def value_of(use: re.Match[str]) -> str:
        if use["dollar"]:
            return "$"
        name = use["plain"] or use["braced"]
        found: str | None = values.get(name, use["default"])
        if found is None:
            place = _place_in(scalar, use.start())
            raise RecipeError(
                place,
                f"nothing is called '{name}': set it with --variable {name}=VALUE, in the environment, or under "
                f"'{VARIABLES}'; '$$' is a dollar sign",
            )
        return found

    return replace(scalar, text=_USE.sub(value_of, scalar.text))


def _place_in(scalar: Scalar, index: int) -> Place:
    if "\n" in scalar.text:
        return scalar.place
    return scalar.place.after(index + scalar.quoted)
