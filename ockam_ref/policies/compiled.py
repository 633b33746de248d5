"""The evaluator that runs: an expression becomes a function of the environment, once (facts 06 section 5.5).

``evaluation`` is the one to read.  What is decided here ahead of time: which operator it is, how many operands it has,
and the comparison of a name with a constant, of which most rules consist.
"""

from collections.abc import Callable
from typing import TypeAlias

from ockam_ref.policies.evaluation import (
    PREDICATES,
    Names,
    boolean,
    check_arity,
    evaluate_bound,
    no_name,
    no_operator,
    truth,
    unbound,
)
from ockam_ref.policies.expression import (
    FALSE,
    TRUE,
    Bool,
    EvaluationError,
    Expression,
    Float,
    Ident,
    Int,
    List,
    Seq,
    Str,
)

Compiled: TypeAlias = Callable[[Names], Expression]
"""Returns the value in that environment, truth values as ``TRUE`` and ``FALSE``; raises ``EvaluationError``."""


def compile_expression(expression: Expression) -> Compiled:
    """Return the function that evaluates the expression as ``evaluation.evaluate`` does.

    Mistakes in the expression show when the function comes across them, not here.
    """
    match expression:
        case Ident(name):
            return _name(name)
        case Seq(elements):
            return _sequence(tuple(map(compile_expression, elements)))
        case List(()):
            return _constant(expression)
        case List(elements):
            return _operation(elements[0], elements[1:])
        case Bool():
            return _constant(truth(expression))
        case _:
            return _constant(expression)


def _constant(value: Expression) -> Compiled:
    return lambda _names: value


def _name(name: str) -> Compiled:
    def run(names: Names) -> Expression:
        value = names.get(name)
        if value.__class__ is Str:
            return value
        if value is None:
            raise unbound(name)
        return evaluate_bound(value, names)

    return run


def _sequence(elements: tuple[Compiled, ...]) -> Compiled:
    return lambda names: Seq(tuple([element(names) for element in elements]))


def _operation(operator: Expression, operands: tuple[Expression, ...]) -> Compiled:
    if not isinstance(operator, Ident):
        return _failure(no_operator(operator))
    try:
        check_arity(operator.name, len(operands))
    except EvaluationError as error:
        return _failure(error)
    match operator.name:
        case "and":
            return _until(FALSE, "and", _flatten("and", operands))
        case "or":
            return _until(TRUE, "or", _flatten("or", operands))
        case "if":
            return _choice(*map(compile_expression, operands))
        case "exists?":
            return _existence(operands)
        case "not":
            return _negation(compile_expression(operands[0]))
        case "=" if len(operands) == 2:
            return _equality(*operands)
        case "member?":
            return _membership(*operands)
    return _predicate(operator.name, tuple(map(compile_expression, operands)))


def _failure(error: EvaluationError) -> Compiled:
    def run(_names: Names) -> Expression:
        raise EvaluationError(error.fault, str(error))

    return run


def _flatten(operator: str, operands: tuple[Expression, ...]) -> list[Expression]:
    """Return the operands with those of the same operator inside them in their place.

    ``(or (or a b) c)`` is ``(or a b c)``, wherever the inner one stands: what it requires of the operand that was its
    last, and is so no more, the outer one would require of its value.
    """
    flat: list[Expression] = []
    for operand in operands:
        match operand:
            case List((Ident(name), *inner)) if name == operator and inner:
                flat += _flatten(operator, tuple(inner))
            case _:
                flat.append(operand)
    return flat


def _until(stop: Bool, operator: str, operands: list[Expression]) -> Compiled:
    otherwise = TRUE if stop is FALSE else FALSE
    if not operands:
        return _constant(otherwise)
    *first, last = map(compile_expression, operands)
    terms = tuple(first)

    def run(names: Names) -> Expression:
        for term in terms:
            value = term(names)
            if value is stop:
                return stop
            if value is not otherwise:
                boolean(value, operator)  # raises: all truth values are one of the two
        return last(names)

    return run


def _choice(test: Compiled, then: Compiled, otherwise: Compiled) -> Compiled:
    return lambda names: (then if boolean(test(names), "if") is TRUE else otherwise)(names)


def _negation(operand: Compiled) -> Compiled:
    def run(names: Names) -> Expression:
        value = operand(names)
        return TRUE if value is FALSE or boolean(value, "not") is FALSE else FALSE

    return run


def _existence(operands: tuple[Expression, ...]) -> Compiled:
    def run(names: Names) -> Expression:
        for operand in operands:
            if not isinstance(operand, Ident):
                raise no_name(operand)
            if operand.name not in names:
                return FALSE
        return TRUE

    return run


def _equality(left: Expression, right: Expression) -> Compiled:
    general = _predicate("=", (compile_expression(left), compile_expression(right)))
    if isinstance(left, Ident) and isinstance(right, Str | Int | Float | Bool):
        return _equals_constant(left.name, right, general)
    if isinstance(right, Ident) and isinstance(left, Str | Int | Float | Bool):
        return _equals_constant(right.name, left, general)
    return general


def _equals_constant(name: str, constant: Str | Int | Float | Bool, general: Compiled) -> Compiled:
    kind, wanted = type(constant), constant.value

    def run(names: Names) -> Expression:
        value = names.get(name)
        if value.__class__ is kind:
            return TRUE if value.value == wanted else FALSE
        return general(names)

    return run


def _membership(value: Expression, sequence: Expression) -> Compiled:
    general = _predicate("member?", (compile_expression(value), compile_expression(sequence)))
    if not isinstance(value, Ident) or not isinstance(sequence, Seq):
        return general
    name, texts = value.name, {element.value for element in sequence.elements if isinstance(element, Str)}
    if len(sequence.elements) != sum(isinstance(element, Str) for element in sequence.elements):
        return general

    def run(names: Names) -> Expression:
        found = names.get(name)
        if found.__class__ is Str:
            return TRUE if found.value in texts else FALSE
        return general(names)

    return run


def _predicate(operator: str, operands: tuple[Compiled, ...]) -> Compiled:
    predicate = PREDICATES[operator]
    return lambda names: predicate([operand(names) for operand in operands])
