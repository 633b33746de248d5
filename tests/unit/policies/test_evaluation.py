"""Both evaluators: what has a value, and what has none and why."""

from collections.abc import Callable

import pytest

from ockam_ref.policies.compiled import compile_expression
from ockam_ref.policies.evaluation import Names, evaluate
from ockam_ref.policies.expression import (
    FALSE,
    TRUE,
    Bool,
    EvaluationError,
    Expression,
    Fault,
    Float,
    Ident,
    Int,
    List,
    Seq,
    Str,
)
from ockam_ref.policies.syntax import parse_expression

NAMES: dict[str, Expression] = {
    "text": Str("x"),
    "yes": Bool(value=True),
    "no": Bool(value=False),
    "one": Int(1),
    "half": Float(0.5),
    "alias": Ident("one"),
    "rule": List((Ident("="), Int(1), Ident("one"))),
    "texts": Seq((Str("x"), Str("y"))),
    "ring": Ident("ring"),
    "long": List((Ident("and"), Ident("ring"))),
}


def compiled(expression: Expression, names: Names) -> Expression:
    return compile_expression(expression)(names)


both = pytest.mark.parametrize("value_of", [evaluate, compiled])


@pytest.mark.spec("POL-20", "POL-21", "POL-22", "POL-23", "POL-25")
@both
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(and)", TRUE),
        ("(or)", FALSE),
        ("(and text)", Str("x")),
        ("(and yes yes no unbound)", FALSE),
        ("(or no yes unbound)", TRUE),
        ("(and yes (and yes 5))", Int(5)),
        ("(or (or no no) yes)", TRUE),
        ("(or (or) yes)", TRUE),
        ("(not no)", TRUE),
        ("(not yes)", FALSE),
        ("(if yes 1 unbound)", Int(1)),
        ("(if no unbound 2)", Int(2)),
        ('(= text "x")', TRUE),
        ('(= "y" text)', FALSE),
        ("(= alias 1)", TRUE),
        ("(= half 0.5)", TRUE),
        ("(= yes true)", TRUE),
        ("(= 1 1 2)", FALSE),
        ("(= one alias)", TRUE),
        ("(= nan nan)", FALSE),
        ("(!= 1)", FALSE),
        ("(!= 1 1 2)", TRUE),
        ("(< 1 2 3)", TRUE),
        ("(< 1 3 2)", FALSE),
        ("(> 3 2 1)", TRUE),
        ("(> 3 3)", FALSE),
        ('(member? text ["x" "y"])', TRUE),
        ('(member? text ["a" "y"])', FALSE),
        ("(member? alias [1 2])", TRUE),
        ("(member? one [2 3])", FALSE),
        ("(member? one [])", FALSE),
        ("(member? text texts)", TRUE),
        ('(member? "y" texts)', TRUE),
        ("(exists?)", TRUE),
        ("(exists? text one)", TRUE),
        ("(exists? unbound 5)", FALSE),
        ("(and rule)", TRUE),
        ("(and [alias one])", Seq((Int(1), Int(1)))),
        ("(and ())", List(())),
        ("(and true)", TRUE),
    ],
)
def test_value(text: str, value: Expression, value_of: Callable[[Expression, Names], Expression]) -> None:
    assert value_of(parse_expression(text), NAMES) == value


@pytest.mark.spec("POL-20", "POL-21", "POL-22", "POL-23", "POL-25")
@both
@pytest.mark.parametrize(
    ("text", "fault", "message"),
    [
        ("(and unbound yes)", Fault.UNBOUND, "unbound is not known"),
        ("(or unbound yes)", Fault.UNBOUND, "unbound is not known"),
        ("(not unbound)", Fault.UNBOUND, "unbound is not known"),
        ("(and text yes)", Fault.INVALID_TYPE, "'and' wants a truth value and found the text \"x\""),
        ("(or one yes)", Fault.INVALID_TYPE, "'or' wants a truth value and found the whole number 1"),
        ("(not half)", Fault.INVALID_TYPE, "'not' wants a truth value and found the decimal number 0.5"),
        ("(if texts 1 2)", Fault.INVALID_TYPE, "'if' wants a truth value and found the sequence"),
        ("(member? 1 2)", Fault.INVALID_TYPE, "'member?' looks in a sequence, and 2 is none"),
        ("(member? text 2)", Fault.INVALID_TYPE, "'member?' looks in a sequence"),
        ("(member? text [1])", Fault.TYPE_MISMATCH, "cannot be compared"),
        ('(member? one ["x"])', Fault.TYPE_MISMATCH, "cannot be compared"),
        ("(exists? 5)", Fault.INVALID_TYPE, "'exists?' takes names, and 5 is none"),
        ("(= text 1)", Fault.TYPE_MISMATCH, 'the text "x" cannot be compared with the whole number 1'),
        ("(= 1 1 text)", Fault.TYPE_MISMATCH, "cannot be compared"),
        ("(< 1 half)", Fault.TYPE_MISMATCH, "cannot be compared"),
        ("(= unbound)", Fault.MALFORMED, "'=' takes at least two operands, not 1"),
        ("(not)", Fault.MALFORMED, "'not' takes one operand, not 0"),
        ("(if yes 1)", Fault.MALFORMED, "'if' takes three operands, not 2"),
        ("(member? 1)", Fault.MALFORMED, "'member?' takes two operands, not 1"),
        ("(and (what 1))", Fault.UNKNOWN, "there is no operator 'what'"),
        ("((and))", Fault.INVALID_TYPE, "an operator expected, found (and)"),
    ],
)
def test_fault(text: str, fault: Fault, message: str, value_of: Callable[[Expression, Names], Expression]) -> None:
    with pytest.raises(EvaluationError) as caught:
        value_of(parse_expression(text), NAMES)
    assert caught.value.fault is fault
    assert message in str(caught.value)


@pytest.mark.spec("POL-20")
@both
def test_what_is_not_reached_cannot_fail(value_of: Callable[[Expression, Names], Expression]) -> None:
    assert value_of(parse_expression("(and no (not) (what) (1 2))"), NAMES) is FALSE


@pytest.mark.spec("POL-24")
@both
@pytest.mark.parametrize("name", ["ring", "long"])
def test_names_in_a_ring_end(name: str, value_of: Callable[[Expression, Names], Expression]) -> None:
    with pytest.raises(EvaluationError) as caught:
        value_of(parse_expression(f"(and {name})"), NAMES | {"long": List((Ident("and"), Ident("long")))})
    assert caught.value.fault is Fault.MALFORMED
