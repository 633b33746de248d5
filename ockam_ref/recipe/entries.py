"""The shapes that a section of a recipe may have, and the entries in it.

A section is one entry, a list of entries, or a table of names with an entry each.
"""

from collections.abc import Iterator
from typing import NamedTuple, assert_never

from ockam_ref.recipe.document import Items, Node, Scalar, Table
from ockam_ref.recipe.place import RecipeError


class Entry(NamedTuple):
    """The arguments of one entry, and the name under which they stand, if they do."""

    name: Scalar | None
    arguments: Table


def named_entries(section: Node | None, what: str) -> Iterator[Entry]:
    """Return the entries of a section of relays, which may also be names alone."""
    match section:
        case None:
            return
        case Items(items):
            for item in items:
                if isinstance(item, Items):
                    raise RecipeError(item.place, f"a list stands where {what} is expected")
                yield from named_entries(item, what)
        case Scalar():
            if section.is_null or not section.text:
                raise RecipeError(section.place, f"there is no name of {what}")
            yield Entry(section, Table((), section.place))
        case Table():
            yield from entries(section, what)
        case _:
            assert_never(section)


def entries(section: Node | None, what: str) -> Iterator[Entry]:
    """Return the entries of a section in which each needs arguments."""
    match section:
        case None:
            return
        case Items(items):
            for item in items:
                if not isinstance(item, Table):
                    raise RecipeError(item.place, f"{what} is a table of arguments")
                yield from entries(item, what)
        case Table(fields) if any(isinstance(value, Table) for _, value in fields):
            for name, arguments in fields:
                if not isinstance(arguments, Table):
                    raise RecipeError(arguments.place, f"the arguments of '{name.text}' are a table, as beside it")
                yield Entry(name, arguments)
        case Table(fields):
            if fields:
                yield Entry(None, section)
        case Scalar():
            raise RecipeError(section.place, f"{what} needs arguments, in a table")
        case _:
            assert_never(section)
