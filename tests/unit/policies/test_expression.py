"""Values: how they compare and how they are printed."""

import pytest

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
    compare,
    equals,
    is_plain_name,
    print_expression,
)

NAN = Float(float("nan"))


@pytest.mark.spec("POL-1")
@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        (Str("a"), Str("b"), -1),
        (Str("B"), Str("a"), -1),
        (Str("\uffff"), Str("\U00010000"), -1),
        (Int(2), Int(1), 1),
        (Int(2), Int(2), 0),
        (Float(1.5), Float(2.5), -1),
        (FALSE, TRUE, -1),
        (Ident("a"), Ident("a"), 0),
        (Seq(()), Seq(()), 0),
        (Seq((Int(9),)), Seq((Int(1), Int(2))), -1),
        (Seq((Int(1), Int(2))), Seq((Int(9),)), 1),
        (Seq((Int(1), Int(3))), Seq((Int(1), Int(2))), 1),
        (Seq((Int(1), Int(2))), Seq((Int(1), Int(2))), 0),
        (List(()), List(()), 0),
        (NAN, Float(1.0), None),
        (NAN, NAN, None),
        (Seq((NAN, Int(1))), Seq((NAN, Int(2))), None),
    ],
)
def test_values_of_one_type_compare(left: Expression, right: Expression, order: int | None) -> None:
    assert compare(left, right) == order
    assert equals(left, right) is (order == 0)


@pytest.mark.spec("POL-1")
@pytest.mark.parametrize(
    ("left", "right"),
    [
        (Int(1), Float(1.0)),
        (Int(1), TRUE),
        (Str("true"), TRUE),
        (Str("a"), Ident("a")),
        (Seq(()), List(())),
        (Seq((Int(1),)), Seq((Str("1"),))),
    ],
)
def test_values_of_two_types_do_not(left: Expression, right: Expression) -> None:
    for ask in (equals, compare):
        with pytest.raises(EvaluationError, match="cannot be compared") as caught:
            ask(left, right)
        assert caught.value.fault is Fault.TYPE_MISMATCH


@pytest.mark.spec("POL-1")
def test_sequences_of_different_lengths_differ_whatever_is_in_them() -> None:
    assert not equals(Seq((Int(1),)), Seq((Str("a"), Str("b"))))


@pytest.mark.spec("POL-6")
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Str("a\"\\\n\r\t'é"), '"a\\"\\\\\\n\\r\\t\'é"'),
        (Str("\0\x7f\u202e"), '"\\u{0}\\u{7f}\\u{202e}"'),
        (Int(-5), "-5"),
        (Float(1.0), "1.0"),
        (Float(1e16), "1e16"),
        (Float(1e-5), "1e-5"),
        (Float(1.5e300), "1.5e300"),
        (Float(float("inf")), "+inf"),
        (Float(float("-inf")), "-inf"),
        (NAN, "nan"),
        (Bool(value=True), "true"),
        (FALSE, "false"),
        (Ident("a.b"), "a.b"),
        (Ident("a b"), '$"a b"'),
        (Ident("true"), '$"true"'),
        (Ident("$x"), '$"$x"'),
        (Ident("nan:0x1"), '$"nan:0x1"'),
        (Ident("nan:0x1__2"), "nan:0x1__2"),
        (Seq((Int(1), Int(2))), "[1 2]"),
        (List((Ident("and"), List(()))), "(and ())"),
    ],
)
def test_printing(value: Expression, text: str) -> None:
    assert print_expression(value) == text


@pytest.mark.spec("POL-6")
def test_a_plain_name_needs_no_quotation_marks() -> None:
    assert is_plain_name("subject.a-b_c/d")
    assert not is_plain_name("")
    assert not is_plain_name("a#b")
