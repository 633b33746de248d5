"""The short syntax of policies, ``role=admin and not suspended`` (facts 06 section 5.3, 08 section 9).

A name stands for an attribute whose value is the text ``true``, ``name=value`` for one with that value, an identifier
for one identity.  Operators are matched by their letters alone, as the peer does: ``notary`` is ``not ary``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from ockam_ref.errors import ErrorCode
from ockam_ref.policies.expression import HEX_DIGITS, MAX_DEPTH, SUBJECT, Expression, Ident, List, Str
from ockam_ref.policies.syntax import MAX_TEXT_LENGTH, PolicySyntaxError


@dataclass(frozen=True, slots=True)
class Name:
    """The attribute is there, and ``true``."""

    name: str


@dataclass(frozen=True, slots=True)
class NameValue:
    """The attribute has this value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Identified:
    """The subject is the identity with this identifier, as it was written."""

    identifier: str


@dataclass(frozen=True, slots=True)
class Or:
    """One of the two; the second is not looked at when the first is true."""

    left: "BooleanExpression"
    right: "BooleanExpression"


@dataclass(frozen=True, slots=True)
class And:
    """Both; the second is not looked at when the first is false."""

    left: "BooleanExpression"
    right: "BooleanExpression"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    operand: "BooleanExpression"


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing: no text reads as this, but the peer has a number for it."""


BooleanExpression: TypeAlias = Name | NameValue | Identified | Or | And | Not | Empty


def to_expression(boolean: BooleanExpression) -> Expression:
    """Return what it means in the full syntax."""
    match boolean:
        case Name(name):
            return _equals(name, "true")
        case NameValue(name, value):
            return _equals(name, value)
        case Identified(identifier):
            return _equals("identifier", identifier)
        case Or(left, right):
            return List((Ident("or"), to_expression(left), to_expression(right)))
        case And(left, right):
            return List((Ident("and"), to_expression(left), to_expression(right)))
        case Not(operand):
            return List((Ident("not"), to_expression(operand)))
        case Empty():
            return List(())
        case _:
            assert_never(boolean)


def _equals(name: str, value: str) -> Expression:
    return List((Ident("="), Ident(SUBJECT + name), Str(value)))


# printing


def print_boolean(boolean: BooleanExpression) -> str:
    """Return the text that reads as this again; it is the peer's wherever that does, and for ``Empty`` nothing."""
    text = _print_as_peer(boolean, nested=False)
    try:
        same = parse_boolean(text) == boolean
    except PolicySyntaxError:
        same = False
    return text if same else _print_strictly(boolean)


def _print_as_peer(boolean: BooleanExpression, *, nested: bool) -> str:
    match boolean:
        case Name() | NameValue() | Identified() | Empty():
            return _print_leaf(boolean)
        case Not(operand):
            text = f"not {_print_as_peer(operand, nested=not nested)}"
        case Or(left, right):
            text = f"{_print_as_peer(left, nested=not nested)} or {_print_as_peer(right, nested=not nested)}"
        case And(left, right):
            text = f"{_print_as_peer(left, nested=not nested)} and {_print_as_peer(right, nested=not nested)}"
        case _:
            assert_never(boolean)
    return f"({text})" if nested else text


def _print_strictly(boolean: BooleanExpression) -> str:
    match boolean:
        case Name() | NameValue() | Identified() | Empty():
            return _print_leaf(boolean)
        case Not(operand):
            return f"not {_print_operand(operand)}"
        case Or(left, right):
            return f"{_print_operand(left)} or {_print_operand(right)}"
        case And(left, right):
            return f"{_print_operand(left)} and {_print_operand(right)}"
        case _:
            assert_never(boolean)


def _print_operand(boolean: BooleanExpression) -> str:
    text = _print_strictly(boolean)
    return f"({text})" if isinstance(boolean, Or | And | Not) else text


def _print_leaf(leaf: Name | NameValue | Identified | Empty) -> str:
    match leaf:
        case Name(name):
            return name
        case NameValue(name, value):
            return f"{name}={value}" if _REST.issuperset(value) else f'{name}="{value}"'
        case Identified(identifier):
            return identifier
        case Empty():
            return ""
        case _:
            assert_never(leaf)


# reading

_FIRST: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-")
_REST: Final = _FIRST | frozenset("0123456789.")
_SPACE: Final = frozenset(" \t\r\n")
_IDENTIFIER_LENGTH: Final = 65


def parse_boolean(text: str) -> BooleanExpression:
    """Read a boolean expression.

    Raises:
        PolicySyntaxError: it is none; the place is the one behind which nothing made sense.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise PolicySyntaxError("", 0, f"a policy has at most {MAX_TEXT_LENGTH} characters", code=ErrorCode.TOO_LONG)
    return _Reader(text).read_all()


_Measured: TypeAlias = tuple[BooleanExpression, int]
"""With how deep it nests."""
_Joint: TypeAlias = Callable[[BooleanExpression, BooleanExpression], BooleanExpression]


class _Reader:
    """Recursive descent; whoever returns ``None`` has left the place where it was, and nothing is read there twice."""

    __slots__ = ("_at", "_furthest", "_open", "_problem", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open = 0
        self._furthest = 0
        self._problem = "a name, 'not' or '(' expected"

    def read_all(self) -> BooleanExpression:
        found = self._disjunction()
        if found is not None and self._at == len(self._text):
            return found[0]
        if found is not None:
            self._expected(self._at, "'and', 'or' or the end expected")
        raise PolicySyntaxError(self._text, self._furthest, self._problem + _advice(self._text, self._furthest))

    def _expected(self, offset: int, problem: str) -> None:
        if offset > self._furthest:
            self._furthest, self._problem = offset, problem

    def _disjunction(self) -> _Measured | None:
        return self._chain("or", Or, self._conjunction)

    def _conjunction(self) -> _Measured | None:
        return self._chain("and", And, self._negation)

    def _chain(self, operator: str, joint: _Joint, operand: Callable[[], _Measured | None]) -> _Measured | None:
        found = operand()
        while found is not None:
            before = self._at
            if not self._word(operator) or (right := operand()) is None:
                self._at = before
                return found
            found = joint(found[0], right[0]), self._deeper(max(found[1], right[1]))
        return None

    def _negation(self) -> _Measured | None:
        before = self._at
        if self._word("not"):
            operand = self._inside(self._negation)
            if operand is not None:
                return Not(operand[0]), self._deeper(operand[1])
            self._at = before
        if self._word("("):
            found = self._inside(self._disjunction)
            if found is not None and self._word(")"):
                return found
            if found is not None:
                self._expected(self._after_space(), "')' expected")
            self._at = before
        return self._name()

    def _inside(self, read: Callable[[], _Measured | None]) -> _Measured | None:
        self._deeper(self._open)
        self._open += 1
        found = read()
        self._open -= 1
        return found

    def _deeper(self, depth: int) -> int:
        if depth >= MAX_DEPTH:
            problem = f"more than {MAX_DEPTH} operators inside one another; (or …) and member? take any number"
            raise PolicySyntaxError(self._text, self._at, problem, code=ErrorCode.TOO_DEEP)
        return depth + 1

    def _after_space(self) -> int:
        at = self._at
        while self._text[at : at + 1] in _SPACE:
            at += 1
        return at

    def _word(self, word: str) -> bool:
        """Read the word with white space around it, if it is there."""
        start = self._after_space()
        if not self._text.startswith(word, start):
            return False
        self._at = start + len(word)
        self._at = self._after_space()
        return True

    def _run(self) -> str:
        """Read letters, digits, dots, underscores and dashes."""
        start = self._at
        while self._text[self._at : self._at + 1] in _REST:
            self._at += 1
        return self._text[start : self._at]

    def _name(self) -> _Measured | None:
        start = self._at
        if self._text[start : start + 1] not in _FIRST:
            self._expected(start, "a name, 'not' or '(' expected")
            return None
        name = self._run()
        if _is_identifier(name):
            return Identified(name), 1
        if not self._text.startswith("=", self._at):
            return Name(name), 1
        self._at += 1
        value = self._value()
        if value is None:
            self._at = start
            return None
        return NameValue(name, value), 1

    def _value(self) -> str | None:
        start = self._at
        if not self._text.startswith('"', start):
            value = self._run()
            if not value:
                self._expected(start, "the value can't be empty; letters, digits, '.', '_', '-' or text in quotes")
            return value or None
        end = self._text.find('"', start + 1)
        if end <= start + 1:
            self._expected(start, "the value can't be empty" if end > 0 else "the value has no closing quotation mark")
            return None
        self._at = end + 1
        return self._text[start + 1 : end]


def _is_identifier(name: str) -> bool:
    return len(name) == _IDENTIFIER_LENGTH and name[0] == "I" and HEX_DIGITS.issuperset(name[1:])


_MEANT: Final = {"AND": "and", "OR": "or", "NOT": "not", "&&": "and", "||": "or", "!": "not"}


def _advice(text: str, offset: int) -> str:
    """Return what may have been meant, if it can be told."""
    rest = text[offset:]
    if rest and _SPACE.issuperset(rest):
        return "; there is white space at the end"
    if rest and offset == 0 and rest[0] in _SPACE:
        return "; there is white space at the beginning"
    if offset and rest.lstrip(" ").startswith("=") and not rest.startswith("="):
        return "; write name=value without white space around the '='"
    for written, meant in _MEANT.items():
        if rest.lstrip().startswith(written):
            return f"; write {meant}"
    return ""
