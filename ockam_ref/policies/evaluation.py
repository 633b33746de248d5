"""What an expression is worth in an environment: the evaluator that is written to be read (facts 06 section 5.5).

``compiled`` gives the same answers sooner; a property test holds both to that.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final, TypeAlias

from ockam_ref.policies.expression import (
    FALSE,
    MAX_DEPTH,
    TRUE,
    Bool,
    EvaluationError,
    Expression,
    Fault,
    Ident,
    List,
    Seq,
    compare,
    equals,
    name_of_type,
    print_expression,
)

Names: TypeAlias = Mapping[str, Expression]
"""The environment; what a name is bound to is evaluated when the name is."""


def evaluate(expression: Expression, names: Names) -> Expression:
    """Return the value of the expression.

    Raises:
        EvaluationError: it has none, with the reason as ``fault``.
    """
    return _Evaluation(names).value_of(expression, None)


def evaluate_bound(value: Expression, names: Names) -> Expression:
    """Return what a name that is bound to ``value`` is worth; raises as ``evaluate``."""
    return _Evaluation(names).value_of(value, MAX_DEPTH)


def truth(value: Bool) -> Bool:
    """Return the one ``TRUE`` or the one ``FALSE``."""
    return TRUE if value.value else FALSE


class _Evaluation:
    __slots__ = ("_names",)

    def __init__(self, names: Names) -> None:
        self._names = names

    def value_of(self, expression: Expression, left: int | None) -> Expression:
        """Evaluate; behind a name, ``left`` is how many steps are left: names may be bound to one another in a ring."""
        if left is not None:
            if left == 0:
                raise EvaluationError(Fault.MALFORMED, f"a name leads to more than {MAX_DEPTH} others")
            left -= 1
        match expression:
            case Ident(name):
                return self.value_of(self._bound(name), MAX_DEPTH if left is None else left)
            case Seq(elements):
                return Seq(tuple(self.value_of(element, left) for element in elements))
            case List(()):
                return expression
            case List():
                return self._operation(expression, left)
            case Bool():
                return truth(expression)
            case _:
                return expression

    def _bound(self, name: str) -> Expression:
        found = self._names.get(name)
        if found is None:
            raise unbound(name)
        return found

    def _operation(self, operation: List, left: int | None) -> Expression:
        operator, *operands = operation.elements
        if not isinstance(operator, Ident):
            raise no_operator(operator)
        check_arity(operator.name, len(operands))
        match operator.name:
            case "and":
                return self._until(FALSE, "and", operands, left)
            case "or":
                return self._until(TRUE, "or", operands, left)
            case "if":
                test, then, otherwise = operands
                chosen = then if boolean(self.value_of(test, left), "if") is TRUE else otherwise
                return self.value_of(chosen, left)
            case "exists?":
                return self._all_bound(operands)
        values = [self.value_of(operand, left) for operand in operands]
        return PREDICATES[operator.name](values)

    def _until(self, stop: Bool, operator: str, operands: list[Expression], left: int | None) -> Expression:
        """Return the first operand that is ``stop``, else the last one; all but the last must be truth values."""
        if not operands:
            return TRUE if stop is FALSE else FALSE
        for operand in operands[:-1]:
            if boolean(self.value_of(operand, left), operator) is stop:
                return stop
        return self.value_of(operands[-1], left)

    def _all_bound(self, operands: list[Expression]) -> Bool:
        for operand in operands:
            if not isinstance(operand, Ident):
                raise no_name(operand)
            if operand.name not in self._names:
                return FALSE
        return TRUE


# the operators that look at values only; ``compiled`` uses them too


def _negation(values: list[Expression]) -> Bool:
    return FALSE if boolean(values[0], "not") is TRUE else TRUE


def _all_equal(values: list[Expression]) -> Bool:
    return TRUE if all(equals(one, other) for one, other in pairwise(values)) else FALSE


def _not_all_equal(values: list[Expression]) -> Bool:
    return FALSE if _all_equal(values) is TRUE else TRUE


def _ascending(values: list[Expression]) -> Bool:
    return TRUE if all(compare(one, other) == -1 for one, other in pairwise(values)) else FALSE


def _descending(values: list[Expression]) -> Bool:
    return TRUE if all(compare(one, other) == 1 for one, other in pairwise(values)) else FALSE


def _is_member(values: list[Expression]) -> Bool:
    value, sequence = values
    if not isinstance(sequence, Seq):
        raise EvaluationError(
            Fault.INVALID_TYPE, f"'member?' looks in a sequence, and {print_expression(sequence)} is none"
        )
    return TRUE if any(equals(value, element) for element in sequence.elements) else FALSE


PREDICATES: Final[Mapping[str, Callable[[list[Expression]], Bool]]] = {
    "not": _negation,
    "=": _all_equal,
    "!=": _not_all_equal,
    "<": _ascending,
    ">": _descending,
    "member?": _is_member,
}
"""The operators that evaluate all their operands, from left to right, before they look at them."""

_ANY_NUMBER: Final = frozenset(("and", "or", "exists?", "!="))
_EXACTLY: Final = {"not": 1, "if": 3, "member?": 2}
_NUMBERS: Final = {1: "one operand", 2: "two operands", 3: "three operands"}


def check_arity(operator: str, count: int) -> None:
    """Check that there is such an operator and that it takes so many operands.

    Raises:
        EvaluationError: ``UNKNOWN`` or ``MALFORMED``.
    """
    if operator in _ANY_NUMBER:
        return
    wanted = _EXACTLY.get(operator)
    if wanted is not None:
        if count != wanted:
            raise EvaluationError(Fault.MALFORMED, f"'{operator}' takes {_NUMBERS[wanted]}, not {count}")
    elif operator not in PREDICATES:
        raise EvaluationError(Fault.UNKNOWN, f"there is no operator '{operator}'")
    elif count < 2:
        raise EvaluationError(Fault.MALFORMED, f"'{operator}' takes at least two operands, not {count}")


def boolean(value: Expression, operator: str) -> Bool:
    """Return the value as one of ``TRUE`` and ``FALSE``; ``EvaluationError`` (``INVALID_TYPE``) for anything else."""
    if isinstance(value, Bool):
        return truth(value)
    raise EvaluationError(
        Fault.INVALID_TYPE,
        f"'{operator}' wants a truth value and found {name_of_type(value)} {print_expression(value)}",
    )


def unbound(name: str) -> EvaluationError:
    """Return the error for a name that the environment does not bind."""
    return EvaluationError(Fault.UNBOUND, f"{name} is not known")


def no_operator(found: Expression) -> EvaluationError:
    """Return the error for a list that begins with something else than a name."""
    return EvaluationError(Fault.INVALID_TYPE, f"an operator expected, found {print_expression(found)}")


def no_name(found: Expression) -> EvaluationError:
    """Return the error for an operand of ``exists?`` that is no name."""
    return EvaluationError(Fault.INVALID_TYPE, f"'exists?' takes names, and {print_expression(found)} is none")
