"""The short syntax: its forms, its errors, its text."""

import pytest

from ockam_ref.errors import ErrorCode
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
    to_expression,
)
from ockam_ref.policies.expression import MAX_DEPTH, List, print_expression
from ockam_ref.policies.syntax import MAX_TEXT_LENGTH, PolicySyntaxError

IDENTIFIER = "I69c228786aec9341b3c1912423ae769f63200ceb553a2eba4c5b262b6766fc7c"


@pytest.mark.spec("POL-10", "POL-11")
@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("a", '(= subject.a "true")'),
        ("a=b", '(= subject.a "b")'),
        ("a=1.0_x-", '(= subject.a "1.0_x-")'),
        ('a="the value"', '(= subject.a "the value")'),
        ('a="it\'s"', '(= subject.a "it\'s")'),
        (IDENTIFIER, f'(= subject.identifier "{IDENTIFIER}")'),
        (IDENTIFIER[:1] + IDENTIFIER[1:].upper(), f'(= subject.identifier "I{IDENTIFIER[1:].upper()}")'),
        (IDENTIFIER[:-1], f'(= subject.{IDENTIFIER[:-1]} "true")'),
        ("not=b", '(= subject.not "b")'),
        ("nota=b", '(not (= subject.a "b"))'),
        ("a=b andc=d", '(and (= subject.a "b") (= subject.c "d"))'),
        ("a or b and not c", '(or (= subject.a "true") (and (= subject.b "true") (not (= subject.c "true"))))'),
    ],
)
def test_meaning(text: str, expression: str) -> None:
    assert print_expression(to_expression(parse_boolean(text))) == expression


@pytest.mark.spec("POL-10", "POL-11", "POL-14")
@pytest.mark.parametrize(
    ("text", "offset", "problem"),
    [
        ("", 0, "a name, 'not' or '(' expected"),
        (" a", 0, "white space at the beginning"),
        ("a ", 1, "white space at the end"),
        ("a=", 2, "the value can't be empty"),
        ('a=""', 2, "the value can't be empty"),
        ('a="x', 2, "no closing quotation mark"),
        ('a="', 2, "no closing quotation mark"),
        ("=b", 0, "a name, 'not' or '(' expected"),
        ("a AND b", 1, "write and"),
        ("a || b", 1, "write or"),
        ("!a", 0, "write not"),
        ("a == b", 1, "without white space"),
        ("a = b", 1, "without white space"),
        ("a==b", 2, "the value can't be empty"),
        ("(a", 2, "')' expected"),
        ("(a b", 3, "')' expected"),
        ("a)", 1, "'and', 'or' or the end expected"),
        ("a and b=", 8, "the value can't be empty"),
        (f"{IDENTIFIER}=x", 65, "the end expected"),
        ("na*me", 2, "the end expected"),
    ],
)
def test_what_it_is_not(text: str, offset: int, problem: str) -> None:
    with pytest.raises(PolicySyntaxError) as caught:
        parse_boolean(text)
    assert problem in caught.value.problem
    assert caught.value.offset == offset


@pytest.mark.spec("POL-12")
@pytest.mark.parametrize(
    ("boolean", "text"),
    [
        (Name("a"), "a"),
        (NameValue("a", "b-c"), "a=b-c"),
        (NameValue("a", "b c"), 'a="b c"'),
        (NameValue("a", "é"), 'a="é"'),
        (Identified(IDENTIFIER), IDENTIFIER),
        (And(Or(Name("a"), Name("b")), Not(Name("c"))), "(a or b) and (not c)"),
        (And(Name("c"), Not(And(Name("a"), Name("b")))), "c and (not (a and b))"),
        (Or(Name("x"), And(Name("y"), Or(Name("a"), Name("b")))), "x or (y and (a or b))"),
        (Not(Not(Name("a"))), "not (not a)"),
    ],
)
def test_text(boolean: BooleanExpression, text: str) -> None:
    assert print_boolean(boolean) == text
    assert parse_boolean(text) == boolean


@pytest.mark.spec("POL-12")
def test_what_cannot_be_written_is_printed_all_the_same() -> None:
    assert print_boolean(Empty()) == ""
    assert to_expression(Empty()) == List(())
    assert print_boolean(Not(Empty())) == "not "


@pytest.mark.spec("POL-7")
@pytest.mark.parametrize("pattern", ["a{and}", "{not}a", "{open}a{close}"])
def test_depth_has_a_limit(pattern: str) -> None:
    def text(count: int) -> str:
        return pattern.format(
            **{"and": " and a" * count, "not": "not " * count, "open": "(" * count, "close": ")" * count}
        )

    parse_boolean(text(MAX_DEPTH - 1))
    for count in (MAX_DEPTH + 1, 10_000):
        with pytest.raises(PolicySyntaxError) as caught:
            parse_boolean(text(count))
        assert caught.value.code is ErrorCode.TOO_DEEP


@pytest.mark.spec("POL-7")
def test_length_has_a_limit() -> None:
    parse_boolean("a" * MAX_TEXT_LENGTH)
    with pytest.raises(PolicySyntaxError) as caught:
        parse_boolean("a" * (MAX_TEXT_LENGTH + 1))
    assert caught.value.code is ErrorCode.TOO_LONG
