"""The text of a recipe as a tree whose nodes know where they stand.

YAML gives more than a recipe needs.  Scalars stay text, and what they are is decided by who reads them; tags are
refused; the tree has limits, so that a small file cannot become a large one by its aliases.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeAlias, assert_never

import yaml

from ockam_ref.recipe.place import Place, RecipeError

MAX_RECIPE_CHARACTERS: Final = 256 * 1024
"""Characters of a recipe."""

MAX_NODES: Final = 10_000
"""Keys and values of a recipe, those that aliases repeat among them."""

MAX_DEPTH: Final = 16
"""How deep the values of a recipe may be nested; one that says all there is to say needs four."""

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, a number, a flag or nothing, as it was written."""

    text: str
    place: Place
    quoted: bool = False

    @property
    def is_null(self) -> bool:
        """Whether nothing stands there."""
        return not self.quoted and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: "tuple[Node, ...]"
    place: Place


@dataclass(frozen=True, slots=True)
class Table:
    """Keys with their values, in the order of the file."""

    entries: "tuple[tuple[Scalar, Node], ...]"
    place: Place


Node: TypeAlias = Scalar | Items | Table


class _Mark(Protocol):
    """A place as the parser has it, counted from nought."""

    line: int
    column: int


@dataclass(slots=True)
class _Open:
    """A list or a table whose end has not come yet."""

    is_table: bool
    anchor: str | None
    place: Place
    children: list[Node] = field(default_factory=list)


class _Builder:
    """Makes a tree of the events of a parser; it keeps no stack of calls, so that depth costs nothing."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._count = 0
        self.root: Node | None = None

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        place = _place(self._file, event.start_mark)
        match event:
            case yaml.DocumentStartEvent() if self.root is not None:
                raise RecipeError(place, "a second document begins here; a recipe is one")
            case yaml.AliasEvent():
                self._repeat(str(event.anchor), place)
            case yaml.ScalarEvent():
                self._refuse_tag(event.tag, place)
                self._add(Scalar(event.value, place, quoted=event.style is not None), event.anchor)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._refuse_tag(event.tag, place)
                self._require_depth(len(self._open) + 1, place)
                self._open.append(_Open(isinstance(event, yaml.MappingStartEvent), event.anchor, place))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._add(_closed(done := self._open.pop()), done.anchor)
            case _:
                pass  # the stream and the document begin and end

    def _add(self, node: Node, anchor: str | None) -> None:
        self._grow(1, node.place)
        if anchor is not None:
            self._anchors[anchor] = node, *_size_and_height(node)
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node

    def _repeat(self, anchor: str, place: Place) -> None:
        if anchor not in self._anchors:
            raise RecipeError(place, f"nothing is called '&{anchor}' above this place")
        node, size, height = self._anchors[anchor]
        self._require_depth(len(self._open) + height, place)
        self._grow(size - 1, place)
        self._add(replace(node, place=place), None)

    def _grow(self, count: int, place: Place) -> None:
        self._count += count
        if self._count > MAX_NODES:
            raise RecipeError(place, f"a recipe has at most {MAX_NODES} keys and values")

    def _require_depth(self, depth: int, place: Place) -> None:
        if depth > MAX_DEPTH:
            raise RecipeError(place, f"this is nested more than {MAX_DEPTH} deep")

    def _refuse_tag(self, tag: str | None, place: Place) -> None:
        if tag is not None:
            raise RecipeError(place, f"tags such as {tag!r} are not understood; leave it out")


def parse_document(text: str, file: str) -> Node:
    """Return the tree of a text in YAML, or JSON, which is YAML too.

    Raises:
        RecipeError: it is neither, or larger than a recipe can be.
    """
    start = Place(file, 1, 1)
    if len(text) > MAX_RECIPE_CHARACTERS:
        raise RecipeError(start, f"a recipe has at most {MAX_RECIPE_CHARACTERS} characters")
    builder = _Builder(file)
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise RecipeError(_place(file, error.problem_mark), f"this is no YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position].split("\n")
        place = Place(file, len(before), len(before[-1]) + 1)
        raise RecipeError(place, "this character has no place in YAML") from None
    return Table((), start) if builder.root is None else builder.root


def _events(text: str) -> Iterator[yaml.Event]:
    return yaml.parse(text, Loader=yaml.SafeLoader)


def _place(file: str, mark: _Mark | None) -> Place:
    return Place(file, 1, 1) if mark is None else Place(file, mark.line + 1, mark.column + 1)


def _closed(done: _Open) -> Items | Table:
    if not done.is_table:
        return Items(tuple(done.children), done.place)
    keys, values = done.children[::2], done.children[1::2]
    entries: list[tuple[Scalar, Node]] = []
    seen: dict[str, Place] = {}
    for key, value in zip(keys, values, strict=True):
        if not isinstance(key, Scalar):
            raise RecipeError(key.place, "a key is a text")
        if key.text in seen:
            raise RecipeError(key.place, f"'{key.text}' stands here twice: before in line {seen[key.text].line}")
        seen[key.text] = key.place
        entries.append((key, value))
    return Table(tuple(entries), done.place)


def _size_and_height(node: Node) -> tuple[int, int]:
    below = [_size_and_height(child) for child in _children(node)]
    if isinstance(node, Scalar):
        return 1, 0
    return 1 + sum(size for size, _ in below), 1 + max((height for _, height in below), default=0)


def _children(node: Node) -> Iterable[Node]:
    match node:
        case Items(items):
            return items
        case Table(entries):
            return (one for entry in entries for one in entry)
        case Scalar():
            return ()
        case _:
            assert_never(node)
