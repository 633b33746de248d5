"""The full syntax: where a text stops being a policy, and how that is told."""

import pytest

from ockam_ref.errors import ErrorCode
from ockam_ref.policies.expression import MAX_DEPTH, Float, Ident, Int, List, Seq, Str, print_expression
from ockam_ref.policies.syntax import MAX_TEXT_LENGTH, PolicySyntaxError, parse_expression


@pytest.mark.spec("POL-14")
def test_an_error_shows_the_place() -> None:
    with pytest.raises(PolicySyntaxError) as caught:
        parse_expression('(and\n\t(= subject.a "b")\n\t(= subject.b #c))')
    error = caught.value
    assert (error.line, error.column, error.offset) == (3, 15, 38)
    assert error.code is ErrorCode.BAD_POLICY
    assert str(error) == (
        "line 3, column 15: #c is neither a number nor a name\n     (= subject.b #c))\n                  ^"
    )
    assert error.problem == "#c is neither a number nor a name"


@pytest.mark.spec("POL-2", "POL-14")
@pytest.mark.parametrize(
    ("text", "offset", "problem"),
    [
        ("", 0, "the policy is empty"),
        ("  ;; nothing", 12, "the policy is empty"),
        ("(and", 0, "'(' without ')'"),
        ("(and [1)", 7, "')' without '('"),
        ("(and 1]", 6, "']' without '['"),
        ("and 1]", 5, "']' without '['"),
        ("(and [1", 5, "'[' without ']'"),
        ("(and (; x", 5, "'(;' without ';)'"),
        ("(and (; (; x ;) ", 5, "'(;' without ';)'"),
        ("(and é)", 5, "belongs into quotation marks"),
        ("(and ;x)", 5, "belongs into quotation marks"),
        ("(and ;; \u202e", 8, "direction"),
        ("(and (; \u202e ;))", 8, "direction"),
        ('(and "\u202e")', 6, "direction"),
        ('(and "\x01")', 6, "control character"),
        ('(and "\x7f")', 6, "control character"),
        ('(and "x', 5, "no closing quotation mark"),
        ('(and "x\\', 5, "no closing quotation mark"),
        ('(and "\\x")', 6, "no escape"),
        ('(and "\\4x")', 6, "no escape"),
        ('(and "\\ff")', 5, "not UTF-8"),
        ('(and "\ud800")', 5, "not UTF-8"),
        ('(and "\\u1")', 6, "a character is written"),
        ('(and "\\u{1")', 6, "a character is written"),
        ('(and "\\u{_1}")', 6, "a character is written"),
        ('(and "\\u{D800}")', 6, "a character is written"),
        ('(and "\\u{110000}")', 6, "a character is written"),
        ('(and a"b")', 5, "stands by itself"),
        ('(and "a""b")', 5, "stands by itself"),
        ('(and "a"b)', 5, "stands by itself"),
        ('(and x$"a")', 5, "stands by itself"),
        ('(and #"a")', 5, "stands by itself"),
        ("(and $)", 5, "a name expected after"),
        ('(and @"a b")', 5, "is no name"),
        ("(and [1 2.0])", 5, "values of one type"),
        ("(and 1__0)", 5, "neither a number nor a name"),
        ("(and 1_0.5)", 5, "neither a number nor a name"),
        ("(and .5)", 5, "neither a number nor a name"),
        ("(and 1e)", 5, "neither a number nor a name"),
        ("(and 1e+)", 5, "neither a number nor a name"),
        ("(and 1.5e3e3)", 5, "neither a number nor a name"),
        ("(and 1.x)", 5, "neither a number nor a name"),
        ("(and 0x1.8)", 5, "neither a number nor a name"),
        ("(and -)", 5, "neither a number nor a name"),
        ("(and 9223372036854775808)", 5, "64 bits"),
        ("(and -9223372036854775809)", 5, "64 bits"),
        (f"(and {'9' * 5000})", 5, "64 bits"),
        ("subject.a", 0, "begins with one of the operators"),
        ("()", 0, "begins with one of the operators"),
        ("(true)", 0, "begins with one of the operators"),
    ],
)
def test_what_is_no_expression(text: str, offset: int, problem: str) -> None:
    with pytest.raises(PolicySyntaxError) as caught:
        parse_expression(text)
    assert problem in caught.value.problem
    assert caught.value.offset == offset


@pytest.mark.spec("POL-2")
@pytest.mark.parametrize(
    ("text", "operand"),
    [
        ("0000000000000000000000000000000000001", Int(1)),
        ("-0x_1".replace("_", ""), Int(-1)),
        ("1.e5", Float(100000.0)),
        ("1E-2", Float(0.01)),
        ("+1.5e+3", Float(1500.0)),
        ("1e400", Float(float("inf"))),
        ("-inf", Float(float("-inf"))),
        ('"\\u{1_F}\\41\\""', Str('\x1fA"')),
        ('$"a b"', Ident("a b")),
        ("$#", Ident("#")),
        ('@"ab"', Ident("ab")),
        ("[]", Seq(())),
        ("[[1] [1 2]]", Seq((Seq((Int(1),)), Seq((Int(1), Int(2)))))),
    ],
)
def test_operands(text: str, operand: object) -> None:
    assert parse_expression(f"(and {text})") == List((Ident("and"), operand))  # type: ignore[arg-type]


@pytest.mark.spec("POL-2")
@pytest.mark.parametrize("text", ["nan", "-nan", "+nan", "nan:0x1_f"])
def test_not_a_number_has_one_form(text: str) -> None:
    assert print_expression(parse_expression(f"(= {text} 1.0)")) == "(= nan 1.0)"


@pytest.mark.spec("POL-3", "POL-4")
def test_parentheses_that_are_missing_or_too_many() -> None:
    assert parse_expression("= 1 2") == parse_expression("(= 1 2)")
    assert print_expression(parse_expression("(= 1 2))")) == "((= 1 2))"
    assert print_expression(parse_expression("and true) x")) == "((and true) x)"
    assert print_expression(parse_expression("(and) (or)")) == "((and) (or))"


@pytest.mark.spec("POL-7")
def test_depth_has_a_limit() -> None:
    deepest = f"{'(and ' * MAX_DEPTH}{')' * MAX_DEPTH}"
    parse_expression(deepest)
    for text in (f"(and {deepest})", f"and {')' * (MAX_DEPTH + 1)}", "(and" * 100_000, f"(and{')' * 100_000}"):
        with pytest.raises(PolicySyntaxError) as caught:
            parse_expression(text[:MAX_TEXT_LENGTH])
        assert caught.value.code is ErrorCode.TOO_DEEP


@pytest.mark.spec("POL-7")
def test_length_has_a_limit() -> None:
    longest = f"(and{' ' * (MAX_TEXT_LENGTH - 5)})"
    parse_expression(longest)
    with pytest.raises(PolicySyntaxError) as caught:
        parse_expression(longest + " ")
    assert caught.value.code is ErrorCode.TOO_LONG
