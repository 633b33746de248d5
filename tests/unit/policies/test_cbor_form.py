"""CBOR of policies: what is refused."""

import pytest

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.policies.boolean_syntax import Empty, parse_boolean
from ockam_ref.policies.cbor_form import (
    decode_boolean,
    decode_expression,
    decode_policy,
    encode_boolean,
    encode_boolean_policy,
    encode_expression,
    encode_full_policy,
    encode_resource_type_policy,
)
from ockam_ref.policies.expression import MAX_DEPTH, MAX_INT, MIN_INT, Expression, Float, Int, List, Str
from ockam_ref.policies.resources import ResourceType


@pytest.mark.spec("POL-42")
@pytest.mark.parametrize("value", [Int(MAX_INT), Int(MIN_INT), Int(-1), Float(-0.5), Str("é"), List((List(()),))])
def test_round_trip(value: Expression) -> None:
    assert decode_expression(encode_expression(value)) == value


@pytest.mark.spec("POL-42")
@pytest.mark.parametrize(("encoded", "value"), [("8203 81 f93c00", 1.0), ("8203 81 fa3fc00000", 1.5)])
def test_shorter_floats_are_read(encoded: str, value: float) -> None:
    assert decode_expression(bytes.fromhex(encoded)) == Float(value)


@pytest.mark.spec("POL-42")
@pytest.mark.parametrize("text", ["a", "a=b", f"I{'0' * 64}", "a or b and not c"])
def test_both_kinds_of_policies(text: str) -> None:
    boolean = parse_boolean(text)
    assert decode_boolean(encode_boolean(boolean)) == boolean
    assert decode_policy(encode_boolean_policy(boolean)) == boolean
    assert decode_policy(encode_full_policy(Str("x"))) == Str("x")
    assert decode_boolean(encode_boolean(Empty())) == Empty()


@pytest.mark.spec("POL-42")
@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        ("8208 81 01", ErrorCode.UNKNOWN_VARIANT),
        ("8200 81 01", ErrorCode.UNKNOWN_VARIANT),
        ("8202 81 1b8000000000000000", ErrorCode.WRONG_TYPE),
        ("8202 81 3b8000000000000000", ErrorCode.WRONG_TYPE),
        ("8202 81 6161", ErrorCode.WRONG_TYPE),
        ("8203 81 01", ErrorCode.WRONG_TYPE),
        ("8203 81 fb00", ErrorCode.TRUNCATED),
        ("8201 80", ErrorCode.MISSING_FIELD),
        ("8207 81 01", ErrorCode.WRONG_TYPE),
        ("", ErrorCode.TRUNCATED),
        ("820781 81" * (MAX_DEPTH + 1) + "820781 80", ErrorCode.TOO_DEEP),
    ],
)
def test_what_is_no_expression(encoded: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_expression(bytes.fromhex(encoded))
    assert caught.value.code is code


@pytest.mark.spec("POL-42")
def test_what_is_no_boolean_expression_and_no_policy() -> None:
    for encoded, code in (("8207 80", ErrorCode.UNKNOWN_VARIANT), ("8205 81" * 200, ErrorCode.TOO_DEEP)):
        with pytest.raises(DecodeError) as caught:
            decode_boolean(bytes.fromhex(encoded))
        assert caught.value.code is code
    with pytest.raises(DecodeError):
        decode_policy(bytes.fromhex("8202 80"))


@pytest.mark.spec("POL-42")
def test_the_policy_of_a_type() -> None:
    encoded = encode_resource_type_policy(ResourceType.RELAY, List(()))
    assert encoded.hex() == "a3 01 06 02 01 03 8207 81 80".replace(" ", "")


@pytest.mark.spec("POL-42")
def test_the_deepest_is_read() -> None:
    deepest: Expression = List(())
    for _ in range(MAX_DEPTH):
        deepest = List((deepest,))
    assert decode_expression(encode_expression(deepest)) == deepest
