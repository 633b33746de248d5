"""The values that policies are made of, and how they are compared and printed (facts 06 sections 5.1 and 5.5).

A value compares with its own type only: ``Int(1)`` and ``Float(1.0)`` are not unequal but incomparable, and a rule that
compares them has no answer.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeAlias, assert_never

from ockam_ref.errors import ErrorCode, OckamError

MAX_DEPTH: Final = 100
"""Lists inside one another.  The peer has no such limit; it bounds the stack of everything that walks an expression.

``a or b or c`` nests to the left, so this is also how many names one chain of operators may have;
``(or …)`` and ``member?`` take as many as one likes.
"""
MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**63 - 1

OPERATORS: Final = ("and", "or", "not", "if", "<", ">", "=", "!=", "member?", "exists?")
"""What an expression may begin with."""

SUBJECT: Final = "subject."
"""Before the name of every attribute of the subject."""


@dataclass(frozen=True, slots=True)
class Str:
    """A text; compares by the bytes of its UTF-8, which is the order of its characters."""

    value: str


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number of 64 bits with a sign."""

    value: int


@dataclass(frozen=True, slots=True)
class Float:
    """A number of double precision; not-a-number is neither equal to anything nor in order with it."""

    value: float


@dataclass(frozen=True, slots=True)
class Bool:
    """True or false; false is the smaller one."""

    value: bool


@dataclass(frozen=True, slots=True)
class Ident:
    """A name, which stands for what the environment binds to it."""

    name: str


@dataclass(frozen=True, slots=True)
class Seq:
    """A sequence, whose elements are all of one type where it was read from a text."""

    elements: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class List:
    """An operator and its operands; the empty one is a value, the unit."""

    elements: tuple["Expression", ...]


Expression: TypeAlias = Str | Int | Float | Bool | Ident | Seq | List

TRUE: Final = Bool(value=True)
FALSE: Final = Bool(value=False)


class Fault(StrEnum):
    """Why an expression has no value."""

    UNBOUND = "unbound"
    TYPE_MISMATCH = "type-mismatch"
    INVALID_TYPE = "invalid-type"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"


class EvaluationError(OckamError):
    """The expression has no value in this environment; a decision takes that for a no."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(ErrorCode.BAD_POLICY, message)
        self.fault = fault


def equals(left: Expression, right: Expression) -> bool:
    """Return whether both are the same; sequences of different lengths are not, whatever is in them.

    Raises:
        EvaluationError: ``TYPE_MISMATCH``, the first two that differ in more than their value differ in type.
    """
    if type(left) is not type(right):
        raise _mismatch(left, right)
    if isinstance(left, Seq | List) and isinstance(right, Seq | List):
        if len(left.elements) != len(right.elements):
            return False
        return all(equals(one, other) for one, other in zip(left.elements, right.elements, strict=True))
    return _scalar(left) == _scalar(right)


def compare(left: Expression, right: Expression) -> int | None:
    """Return -1, 0 or 1 as the left one is smaller, the same or greater; ``None`` with not-a-number.

    A shorter sequence is the smaller one; of the same length, the first elements that differ decide.

    Raises:
        EvaluationError: as ``equals``.
    """
    if type(left) is not type(right):
        raise _mismatch(left, right)
    if isinstance(left, Seq | List) and isinstance(right, Seq | List):
        if len(left.elements) != len(right.elements):
            return -1 if len(left.elements) < len(right.elements) else 1
        for one, other in zip(left.elements, right.elements, strict=True):
            if (order := compare(one, other)) != 0:
                return order
        return 0
    one_value, other_value = _scalar(left), _scalar(right)
    if one_value == other_value:
        return 0
    if one_value < other_value:  # type: ignore[operator] # both are of one type
        return -1
    return 1 if one_value > other_value else None  # type: ignore[operator] # as above


def incomparable_neighbours(elements: tuple[Expression, ...]) -> EvaluationError | None:
    """Return why these elements make no sequence, or ``None`` when they do."""
    for one, other in pairwise(elements):
        try:
            equals(one, other)
        except EvaluationError as error:
            return error
    return None


def _scalar(value: Expression) -> str | int | float:
    if isinstance(value, Ident):
        return value.name
    return value.value  # type: ignore[union-attr] # sequences and lists have been dealt with


def _mismatch(left: Expression, right: Expression) -> EvaluationError:
    return EvaluationError(
        Fault.TYPE_MISMATCH,
        f"{name_of_type(left)} {print_expression(left)} cannot be compared with "
        f"{name_of_type(right)} {print_expression(right)}",
    )


def name_of_type(value: Expression) -> str:
    """Return what people call the type, with its article."""
    return _TYPE_NAMES[type(value)]


_TYPE_NAMES: Final[dict[type, str]] = {
    Str: "the text",
    Int: "the whole number",
    Float: "the decimal number",
    Bool: "the truth value",
    Ident: "the name",
    Seq: "the sequence",
    List: "the list",
}


# printing


def print_expression(expression: Expression) -> str:
    """Return the text that reads as this expression again.

    It is that of the peer, but for names that only ``$"…"`` can spell and for the character NUL: what the peer prints
    there does not read as the same.
    """
    match expression:
        case Str(value):
            return _quote(value)
        case Int(value):
            return str(value)
        case Float(value):
            return _print_float(value)
        case Bool(value):
            return "true" if value else "false"
        case Ident(name):
            return name if is_plain_name(name) else f"${_quote(name)}"
        case Seq(elements):
            return f"[{' '.join(map(print_expression, elements))}]"
        case List(elements):
            return f"({' '.join(map(print_expression, elements))})"
        case _:
            assert_never(expression)


def _print_float(value: float) -> str:
    if value != value:  # noqa: PLR0124 -- not-a-number
        return "nan"
    if value in (float("inf"), float("-inf")):
        return "+inf" if value > 0 else "-inf"
    text = repr(value)
    mantissa, exponent_mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent_mark else text


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _quote(text: str) -> str:
    return f'"{"".join(map(_escape, text))}"'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


_FIRST_OF_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!$%&*/<=>?~_^")
_REST_OF_NAME: Final = _FIRST_OF_NAME | frozenset("0123456789.+-:@")
_NO_NAMES: Final = frozenset(("true", "false", "inf", "nan"))
_NAN_WITH_PAYLOAD: Final = "nan:0x"
HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


def is_name(text: str) -> bool:
    """Return whether the text matches the pattern of names."""
    return text[:1] in _FIRST_OF_NAME and _REST_OF_NAME.issuperset(text)


def is_plain_name(text: str) -> bool:
    """Return whether the text, as it is, reads as a name."""
    if not is_name(text) or text in _NO_NAMES or text[0] == "$":
        return False
    return not (text.startswith(_NAN_WITH_PAYLOAD) and are_digits(text[len(_NAN_WITH_PAYLOAD) :], HEX_DIGITS))


def are_digits(text: str, digits: frozenset[str]) -> bool:
    """Return whether these are digits, with single underscores between them."""
    return all(part and digits.issuperset(part) for part in text.split("_"))
