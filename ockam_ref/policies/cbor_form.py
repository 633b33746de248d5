"""Policies and resources in CBOR, as the peer's management interface writes them (facts 06 section 5.1, 08 section 9).

Nothing of this is ever routed.  The numbers of the short syntax are those of release 0.145 and later; those of before
mean something else.
"""

import struct
from typing import Final, assert_never

from ockam_ref.errors import ErrorCode
from ockam_ref.policies.boolean_syntax import And, BooleanExpression, Empty, Identified, Name, NameValue, Not, Or
from ockam_ref.policies.expression import (
    MAX_DEPTH,
    MAX_INT,
    MIN_INT,
    Bool,
    Expression,
    Float,
    Ident,
    Int,
    List,
    Seq,
    Str,
)
from ockam_ref.policies.resources import Resource, ResourceType
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Buffer, Cursor

HANDLE_MESSAGE: Final = 1
"""The only action there is."""

_STR: Final = 1
_INT: Final = 2
_FLOAT: Final = 3
_BOOL: Final = 4
_IDENT: Final = 5
_SEQ: Final = 6
_LIST: Final = 7

_NAME: Final = 0
_NAME_VALUE: Final = 1
_IDENTIFIED: Final = 2
_OR: Final = 3
_AND: Final = 4
_NOT: Final = 5
_EMPTY: Final = 6

_FULL: Final = 0
_BOOLEAN: Final = 1


# expressions


def encode_expression(expression: Expression) -> bytes:
    """Return the CBOR of an expression."""
    match expression:
        case Str(text):
            return cbor.encode_variant(_STR, cbor.encode_text(text))
        case Int(number):
            head = cbor.encode_uint(number) if number >= 0 else cbor.encode_head(cbor.NEGATIVE, -1 - number)
            return cbor.encode_variant(_INT, head)
        case Float(number):
            return cbor.encode_variant(_FLOAT, _FLOAT_64 + struct.pack(">d", number))
        case Bool(value):
            return cbor.encode_variant(_BOOL, cbor.encode_bool(value))
        case Ident(name):
            return cbor.encode_variant(_IDENT, cbor.encode_text(name))
        case Seq(elements):
            return cbor.encode_variant(_SEQ, _encode_elements(elements))
        case List(elements):
            return cbor.encode_variant(_LIST, _encode_elements(elements))
        case _:
            assert_never(expression)


def decode_expression(data: Buffer) -> Expression:
    """Read an expression; bytes after it are ignored, as the peer does.

    What it says is looked at when it is evaluated: unlike a text, it may begin with anything.

    Raises:
        DecodeError: it is none, or ``TOO_DEEP``.
    """
    return _read_expression(Cursor(data), MAX_DEPTH)


def _encode_elements(elements: tuple[Expression, ...]) -> bytes:
    return cbor.array_head(len(elements)) + b"".join(map(encode_expression, elements))


def _read_expression(cursor: Cursor, depth: int) -> Expression:
    if depth < 0:
        raise cursor.fail(ErrorCode.TOO_DEEP, f"expressions nest more than {MAX_DEPTH} levels deep")
    number = cbor.read_enum_head(cursor)
    fields = cbor.Fields(cursor, "Expr")
    expression: Expression
    if number == _STR:
        expression = Str(fields.required(cbor.read_text))
    elif number == _INT:
        expression = Int(fields.required(_read_int))
    elif number == _FLOAT:
        expression = Float(fields.required(_read_float))
    elif number == _BOOL:
        expression = Bool(fields.required(cbor.read_bool))
    elif number == _IDENT:
        expression = Ident(fields.required(cbor.read_text))
    elif number in (_SEQ, _LIST):
        elements = fields.required(lambda inner: cbor.read_list(inner, lambda one: _read_expression(one, depth - 1)))
        expression = Seq(elements) if number == _SEQ else List(elements)
    else:
        raise cursor.fail(ErrorCode.UNKNOWN_VARIANT, f"there is no kind of expression {number}")
    fields.finish()
    return expression


def _read_int(cursor: Cursor) -> int:
    start = cursor.position
    major, argument = cbor.read_head(cursor)
    if major in (cbor.UINT, cbor.NEGATIVE) and argument is not None:
        number = argument if major == cbor.UINT else -1 - argument
        if MIN_INT <= number <= MAX_INT:
            return number
    cursor.position = start
    raise cursor.fail(ErrorCode.WRONG_TYPE, "a whole number of 64 bits expected")


_FLOAT_64: Final = b"\xfb"
_FLOATS: Final = {0xF9: (">e", 2), 0xFA: (">f", 4), 0xFB: (">d", 8)}


def _read_float(cursor: Cursor) -> float:
    found = _FLOATS.get(cursor.peek())
    if found is None:
        raise cursor.fail(ErrorCode.WRONG_TYPE, "a decimal number expected")
    cursor.position += 1
    layout, length = found
    (number,) = struct.unpack(layout, cursor.view(length))
    return float(number)


# the short syntax


def encode_boolean(boolean: BooleanExpression) -> bytes:
    """Return the CBOR of a boolean expression."""
    match boolean:
        case Name(name):
            return cbor.encode_variant(_NAME, cbor.encode_text(name))
        case NameValue(name, value):
            return cbor.encode_variant(_NAME_VALUE, cbor.encode_text(name), cbor.encode_text(value))
        case Identified(identifier):
            return cbor.encode_variant(_IDENTIFIED, cbor.encode_text(identifier))
        case Or(left, right):
            return cbor.encode_variant(_OR, encode_boolean(left), encode_boolean(right))
        case And(left, right):
            return cbor.encode_variant(_AND, encode_boolean(left), encode_boolean(right))
        case Not(operand):
            return cbor.encode_variant(_NOT, encode_boolean(operand))
        case Empty():
            return cbor.encode_variant(_EMPTY)
        case _:
            assert_never(boolean)


def decode_boolean(data: Buffer) -> BooleanExpression:
    """Read a boolean expression; bytes after it are ignored.

    Raises:
        DecodeError: it is none, or ``TOO_DEEP``.
    """
    return _read_boolean(Cursor(data), MAX_DEPTH)


def _read_boolean(cursor: Cursor, depth: int) -> BooleanExpression:
    if depth == 0:
        raise cursor.fail(ErrorCode.TOO_DEEP, f"expressions nest more than {MAX_DEPTH} levels deep")
    number = cbor.read_enum_head(cursor)
    fields = cbor.Fields(cursor, "BooleanExpr")

    def operand() -> BooleanExpression:
        return fields.required(lambda inner: _read_boolean(inner, depth - 1))

    boolean: BooleanExpression
    if number == _NAME:
        boolean = Name(fields.required(cbor.read_text))
    elif number == _NAME_VALUE:
        boolean = NameValue(fields.required(cbor.read_text), fields.required(cbor.read_text))
    elif number == _IDENTIFIED:
        boolean = Identified(fields.required(cbor.read_text))
    elif number == _OR:
        boolean = Or(operand(), operand())
    elif number == _AND:
        boolean = And(operand(), operand())
    elif number == _NOT:
        boolean = Not(operand())
    elif number == _EMPTY:
        boolean = Empty()
    else:
        raise cursor.fail(ErrorCode.UNKNOWN_VARIANT, f"there is no kind of boolean expression {number}")
    fields.finish()
    return boolean


# what carries them


def encode_full_policy(expression: Expression) -> bytes:
    """Return the CBOR of a policy in the full syntax."""
    return cbor.encode_variant(_FULL, encode_expression(expression))


def encode_boolean_policy(boolean: BooleanExpression) -> bytes:
    """Return the CBOR of a policy in the short syntax."""
    return cbor.encode_variant(_BOOLEAN, encode_boolean(boolean))


def decode_policy(data: Buffer) -> Expression | BooleanExpression:
    """Read a policy of either syntax; bytes after it are ignored.

    Raises:
        DecodeError: it is none, or ``TOO_DEEP``.
    """
    cursor = Cursor(data)
    number = cbor.read_enum_head(cursor)
    fields = cbor.Fields(cursor, "PolicyExpression")
    if number == _FULL:
        return fields.required(lambda inner: _read_expression(inner, MAX_DEPTH))
    if number == _BOOLEAN:
        return fields.required(lambda inner: _read_boolean(inner, MAX_DEPTH))
    raise cursor.fail(ErrorCode.UNKNOWN_VARIANT, f"there is no kind of policy {number}")


def encode_resource(resource: Resource) -> bytes:
    """Return the CBOR of a resource."""
    fields = {1: cbor.encode_text(resource.name), 2: cbor.encode_uint(resource.type.cbor_number)}
    return cbor.encode_map_fields(fields)


def encode_resource_policy(name: str, expression: Expression) -> bytes:
    """Return the CBOR that guards one resource with an expression."""
    return _encode_guard(cbor.encode_text(name), expression)


def encode_resource_type_policy(resource_type: ResourceType, expression: Expression) -> bytes:
    """Return the CBOR that guards all resources of a type with an expression."""
    return _encode_guard(cbor.encode_uint(resource_type.cbor_number), expression)


def _encode_guard(guarded: bytes, expression: Expression) -> bytes:
    action = cbor.encode_uint(HANDLE_MESSAGE)
    return cbor.encode_map_fields({1: guarded, 2: action, 3: encode_expression(expression)})
