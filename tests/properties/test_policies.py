"""Policies on generated rules: two evaluators and a third, naive one; texts and CBOR that lead back; any input."""

import contextlib
from collections.abc import Callable
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ockam_ref.errors import DecodeError
from ockam_ref.policies.boolean_syntax import (
    And,
    BooleanExpression,
    Empty,
    Identified,
    Name,
    NameValue,
    Not,
    Or,
    parse_boolean,
    print_boolean,
)
from ockam_ref.policies.cbor_form import (
    decode_boolean,
    decode_expression,
    decode_policy,
    encode_boolean,
    encode_expression,
)
from ockam_ref.policies.compiled import compile_expression
from ockam_ref.policies.decision import Subject, bind_names, decide, explain_decision
from ockam_ref.policies.evaluation import Names, evaluate
from ockam_ref.policies.expression import (
    OPERATORS,
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
    print_expression,
)
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.policy import policy_of
from ockam_ref.policies.syntax import PolicySyntaxError, parse_expression

NAMES: Final = ("a", "b", "c", "subject.a", "subject.role")


def scalars() -> st.SearchStrategy[Expression]:
    return st.one_of(
        st.sampled_from(("", "a", "b", "é", "true")).map(Str),
        st.integers(-2, 2).map(Int),
        st.sampled_from((-1.0, 0.0, 1.0, float("nan"), float("inf"))).map(Float),
        st.booleans().map(Bool),
    )


def operations(operands: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def build(operator: str, given_operands: list[Expression]) -> Expression:
        return List((Ident(operator), *given_operands))

    return st.builds(build, st.sampled_from((*OPERATORS, "and", "or", "=", "what")), st.lists(operands, max_size=3))


def expressions(names: tuple[str, ...] = NAMES) -> st.SearchStrategy[Expression]:
    leaves = st.one_of(scalars(), st.sampled_from(names).map(Ident))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            operations(inner),
            operations(inner),
            st.lists(inner, max_size=3).map(lambda elements: Seq(tuple(elements))),
            st.lists(inner, max_size=2).map(lambda elements: List(tuple(elements))),
        ),
        max_leaves=12,
    )


INNER_NAMES: Final = ("x", "y")
# what names are bound to may use other names, which are bound to values: no rings
environments = st.builds(
    lambda outer, inner: outer | inner,
    st.dictionaries(st.sampled_from(NAMES), expressions(INNER_NAMES), max_size=4),
    st.dictionaries(st.sampled_from(INNER_NAMES), scalars()),
)


# a third evaluator, after the text of the specification and without anything of the two others


def naive(node: Expression, names: Names) -> object:
    """Return the value in Python's own types; raise ``Wrong`` with the kind of the fault."""
    if isinstance(node, Str | Int | Float | Bool):
        return node.value
    if isinstance(node, Ident):
        if node.name not in names:
            raise Wrong("unbound")
        return naive(names[node.name], names)
    if isinstance(node, Seq):
        return [naive(element, names) for element in node.elements]
    if not node.elements:
        return ()
    head, *rest = node.elements
    if not isinstance(head, Ident):
        raise Wrong("invalid-type")
    if head.name not in NAIVE:
        raise Wrong("unknown")
    return NAIVE[head.name](rest, lambda operand: naive(operand, names), names)


class Wrong(Exception):  # noqa: N818 -- it is an answer
    pass


Lookup = Callable[[Expression], object]


def must_be_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong("invalid-type")
    return value


def same(left: object, right: object) -> bool:
    if type(left) is not type(right):
        raise Wrong("type-mismatch")
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(one, other) for one, other in zip(left, right, strict=True))
    return left == right


def less(left: object, right: object) -> bool:
    if type(left) is not type(right):
        raise Wrong("type-mismatch")
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return len(left) < len(right)
        for one, other in zip(left, right, strict=True):
            if less(one, other):
                return True
            if not same(one, other):
                return False
        return False
    return left != () and left < right  # type: ignore[operator]


def chained(holds: Callable[[object, object], bool], least: int = 2) -> Callable[..., object]:
    def run(operands: list[Expression], value: Lookup, _: Names) -> bool:
        if len(operands) < least:
            raise Wrong("malformed")
        values = [value(operand) for operand in operands]
        return all(holds(one, other) for one, other in pairwise(values))

    return run


def conjunction(operands: list[Expression], value: Lookup, _: Names) -> object:
    found: object = True
    for index, operand in enumerate(operands):
        found = value(operand)
        if index < len(operands) - 1 and not must_be_bool(found):
            return False
    return found


def disjunction(operands: list[Expression], value: Lookup, _: Names) -> object:
    found: object = False
    for index, operand in enumerate(operands):
        found = value(operand)
        if index < len(operands) - 1 and must_be_bool(found):
            return True
    return found


def negation(operands: list[Expression], value: Lookup, _: Names) -> object:
    if len(operands) != 1:
        raise Wrong("malformed")
    return not must_be_bool(value(operands[0]))


def choice(operands: list[Expression], value: Lookup, _: Names) -> object:
    if len(operands) != 3:
        raise Wrong("malformed")
    return value(operands[1] if must_be_bool(value(operands[0])) else operands[2])


def member(operands: list[Expression], value: Lookup, _: Names) -> object:
    if len(operands) != 2:
        raise Wrong("malformed")
    wanted, sequence = map(value, operands)
    if not isinstance(sequence, list):
        raise Wrong("invalid-type")
    return any(same(wanted, element) for element in sequence)


def existence(operands: list[Expression], _: Lookup, names: Names) -> object:
    for operand in operands:
        if not isinstance(operand, Ident):
            raise Wrong("invalid-type")
        if operand.name not in names:
            return False
    return True


NAIVE: Final[dict[str, Callable[..., object]]] = {
    "and": conjunction,
    "or": disjunction,
    "not": negation,
    "if": choice,
    "=": chained(same),
    "!=": lambda operands, value, names: not chained(same, 0)(operands, value, names),
    "<": chained(less),
    ">": chained(lambda left, right: less(right, left)),
    "member?": member,
    "exists?": existence,
}


def naive_outcome(expression: Expression, names: Names) -> object:
    try:
        return naive(expression, names)
    except Wrong as wrong:
        return str(wrong)


def outcome(value_of: Callable[[Expression, Names], Expression], expression: Expression, names: Names) -> object:
    try:
        return plain(value_of(expression, names))
    except EvaluationError as error:
        return str(error.fault)


def plain(value: Expression) -> object:
    if isinstance(value, Seq):
        return list(map(plain, value.elements))
    if isinstance(value, List):
        return ()
    assert not isinstance(value, Ident)
    return value.value


@pytest.mark.spec("POL-1", "POL-20", "POL-21", "POL-22", "POL-23", "POL-25")
@given(expressions(), environments)
@example(List((Ident("and"), List((Ident("and"), Int(1))), Int(2))), {})
@example(List((Ident("="), Ident("a"), Str("x"))), {"a": Ident("b"), "b": Str("x")})
def test_three_evaluators_agree(expression: Expression, names: dict[str, Expression]) -> None:
    expected = naive_outcome(expression, names)
    for value_of in (evaluate, lambda one, bound: compile_expression(one)(bound)):
        found = outcome(value_of, expression, names)
        assert repr(found) == repr(expected)


@pytest.mark.spec("POL-6")
@given(expressions())
def test_text_leads_back(expression: Expression) -> None:
    text = print_expression(expression)
    # an operator in front, so that any expression may follow; sequences of unlike values cannot be written
    with contextlib.suppress(PolicySyntaxError):
        assert print_expression(parse_expression(f"(and {text})")) == f"(and {text})"


@pytest.mark.spec("POL-6")
@given(st.text(max_size=8), st.text(min_size=1, max_size=8))
def test_any_text_and_any_name_can_be_written(text: str, name: str) -> None:
    expression = List((Ident("="), Ident(name), Str(text)))
    assert parse_expression(print_expression(expression)) == expression


def booleans() -> st.SearchStrategy[BooleanExpression]:
    names = st.from_regex(r"[A-Za-z_-][A-Za-z0-9._-]{0,4}", fullmatch=True).filter(lambda name: name[:3] != "not")
    values = st.text(min_size=1, max_size=6).filter(lambda value: '"' not in value)
    identifiers = st.binary(min_size=32, max_size=32).map(lambda raw: Identified(f"I{raw.hex()}"))
    leaves: st.SearchStrategy[BooleanExpression] = st.one_of(
        names.map(Name), st.builds(NameValue, names, values), identifiers
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.builds(Or, inner, inner), st.builds(And, inner, inner), st.builds(Not, inner)),
        max_leaves=8,
    )


@pytest.mark.spec("POL-12", "POL-42")
@given(booleans())
def test_boolean_expressions_lead_back(boolean: BooleanExpression) -> None:
    assert parse_boolean(print_boolean(boolean)) == boolean
    assert decode_boolean(encode_boolean(boolean)) == boolean


@pytest.mark.spec("POL-42")
@given(expressions())
def test_cbor_leads_back(expression: Expression) -> None:
    encoded = encode_expression(expression)
    assert encode_expression(decode_expression(encoded)) == encoded


WORDS: Final = ("and", "or", "not", "a", "subject.a", "=", '"', '"x"', "\\", "(", ")", "[", "]", ";", ";;", "(;", ";)")


@pytest.mark.spec("POL-14")
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from((*WORDS, " ", "\n", "1", "$", "é"))).map("".join)))
def test_any_text_is_a_policy_or_an_error_that_points_into_it(text: str) -> None:
    error = refusal_of(text)
    if error is not None:
        assert 0 <= error.offset <= len(text)
        assert str(error).startswith(f"line {error.line}, column {error.column}: ")
        return
    printed = print_expression(parse_policy(text).expression)
    assert print_expression(parse_expression(printed)) == printed


def refusal_of(text: str) -> PolicySyntaxError | None:
    try:
        parse_policy(text)
    except PolicySyntaxError as error:
        return error
    return None


@pytest.mark.spec("POL-42")
@given(st.binary(max_size=60), st.integers(0, 255), st.data())
def test_any_bytes_are_a_policy_or_an_error(raw: bytes, byte: int, data: st.DataObject) -> None:
    damaged = bytearray(encode_expression(data.draw(expressions())))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = byte
    for one in (raw, bytes(damaged)):
        for decode in (decode_expression, decode_boolean, decode_policy):
            with contextlib.suppress(DecodeError):
                decode(one)


attributes = st.dictionaries(
    st.sampled_from((b"a", b"role", b"identifier", b"subject.a", b"c", b"\xff")), st.binary(max_size=2)
)
subjects = st.builds(
    lambda identifier, pairs, has_authority: Subject(
        identifier, None if pairs is None else tuple(sorted(pairs.items())), has_authority
    ),
    st.binary(min_size=32, max_size=32),
    st.none() | attributes,
    st.booleans(),
)


@pytest.mark.spec("POL-30", "POL-31", "POL-33", "POL-34")
@given(expressions(), subjects, environments)
def test_a_decision_is_what_the_rule_is_worth(
    expression: Expression, subject: Subject, environment: dict[str, Expression]
) -> None:
    policy = policy_of(expression)
    try:
        expected = evaluate(expression, bind_names(subject, environment)) is TRUE
    except EvaluationError:
        expected = False
    assert decide(policy, subject, environment) is expected
    decision = explain_decision(policy, subject, environment)
    assert decision.allowed is expected
    assert decision.reason.startswith("allowed: " if expected else "refused: ")


def test_the_empty_boolean_expression_has_a_number() -> None:
    assert decode_boolean(encode_boolean(Empty())) == Empty()
