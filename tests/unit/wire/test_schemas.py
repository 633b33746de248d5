"""The schemas: what is too lenient in ``construct`` is closed, and they stay out of the runtime."""

import subprocess
import sys
from typing import NamedTuple

import pytest
from construct import ConstructError, Int8ub

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.api import ApiError
from ockam_ref.wire.cbor import encode_fields, encode_map_fields, encode_uint
from ockam_ref.wire.schema import BARE_UINT, As, strict_parse
from ockam_ref.wire.schema_cbor import ANY_ITEM, BOOL, ArrayStruct, MapStruct, Nullable, Uint
from ockam_ref.wire.schemas import ADDRESS, API_ERROR, BARE_ROUTE, CHANNEL_MESSAGE, FRAME, ROUTE, TRANSPORT_MESSAGE
from ockam_ref.wire.transport_message import TransportMessage

FRAMED = "0000001c84818200466563686f657281820043617070460548656c6c6f627b7d"


def test_every_byte_must_be_accounted_for() -> None:
    assert strict_parse(Int8ub, b"\x01") == 1
    with pytest.raises(DecodeError) as caught:
        strict_parse(Int8ub, b"\x01\x02")
    assert caught.value.code is ErrorCode.WRONG_TYPE
    with pytest.raises(DecodeError) as caught:
        strict_parse(Int8ub, b"")
    assert caught.value.code is ErrorCode.TRUNCATED


@pytest.mark.spec("WIRE-51")
def test_a_frame() -> None:
    """Checklist line 20: length and message, the largest and the first too large."""
    message = TransportMessage((local("echoer"),), (local("app"),), b"\x05Hello", "{}")
    assert strict_parse(FRAME, bytes.fromhex(FRAMED)) == message
    assert FRAME.build(message).hex() == FRAMED
    largest = b"\x83\x80\x80\x40"
    assert strict_parse(FRAME, b"\x01\x00\x00\x00" + largest + bytes(2**24 - 4)) == TransportMessage((), (), b"")
    for bad in ("01000001" + "00" * (2**24 + 1), FRAMED + "00", FRAMED[:-2], "00000000"):
        with pytest.raises(DecodeError):
            strict_parse(FRAME, bytes.fromhex(bad))


def test_values_are_frozen_values() -> None:
    assert type(strict_parse(ADDRESS, bytes.fromhex("82004161"))) is Address
    assert type(strict_parse(ROUTE, bytes.fromhex("80"))) is tuple
    assert type(strict_parse(TRANSPORT_MESSAGE, bytes.fromhex("83808040"))) is TransportMessage


@pytest.mark.spec("WIRE-2")
@pytest.mark.parametrize(
    ("schema", "encoded"),
    [
        (BARE_UINT, "ff" * 10),
        (BARE_ROUTE, "ffffffffffffffffff01"),
        (ROUTE, "9bffffffffffffffff"),
        (ADDRESS, "82005bffffffffffffffff"),
        (CHANNEL_MESSAGE, "82820281" + "81" * 10_000),
        (API_ERROR, "a104" * 40),
    ],
)
def test_hostile_numbers_are_refused(schema: object, encoded: str) -> None:
    with pytest.raises(DecodeError):
        strict_parse(schema, bytes.fromhex(encoded))  # type: ignore[arg-type]


class Three(NamedTuple):
    """A struct of optional numbers."""

    a: int | None = None
    b: int | None = None
    c: int | None = None


@pytest.mark.spec("WIRE-10", "WIRE-11")
@pytest.mark.parametrize("value", [Three(), Three(1), Three(None, 9), Three(1, None, 3), Three(1, 2, 300)])
def test_structs_leave_out_what_is_absent(value: Three) -> None:
    number = Nullable(Uint(0xFFFF))
    names = ("a", "b", "c")
    encoded = [None if field is None else encode_uint(field) for field in value]
    by_position = As(Three, ArrayStruct(*(name / number for name in names)))
    assert by_position.build(value) == encode_fields(*encoded)
    assert strict_parse(by_position, encode_fields(*encoded)) == value
    by_number = As(Three, MapStruct({key: name / number for key, name in enumerate(names)}))
    assert by_number.build(value) == encode_map_fields(dict(enumerate(encoded)))
    assert strict_parse(by_number, encode_map_fields(dict(enumerate(encoded)))) == value


@pytest.mark.parametrize("item", ["7f61616162ff", "5f4161ff", "bf0102ff", "c101", "f7"])
def test_any_item_is_kept_as_it_stands(item: str) -> None:
    assert strict_parse(ANY_ITEM, bytes.fromhex(item)).hex() == item


@pytest.mark.parametrize(
    ("schema", "encoded"),
    [
        (BOOL, "f6"),
        (Uint(5), "06"),
        (ROUTE, "990100" + "82004161" * 256),
        (ANY_ITEM, "7f61ffff"),
        (ANY_ITEM, "1f"),
        (ANY_ITEM, "fc"),
    ],
)
def test_what_the_parts_refuse(schema: object, encoded: str) -> None:
    with pytest.raises(DecodeError):
        strict_parse(schema, bytes.fromhex(encoded))  # type: ignore[arg-type]


def test_what_is_too_deep_is_not_written() -> None:
    error = ApiError()
    for _ in range(32):
        error = ApiError(cause=error)
    with pytest.raises(ConstructError):
        API_ERROR.build(error)


def test_no_codec_loads_construct() -> None:
    modules = (
        "address api bare bare_transport_message body cbor cbor_value channel_message local_message portal_message "
        "puncture_message puncture_negotiation rendezvous_message responses"
    )
    program = "import sys\n" + "\n".join(
        f"import ockam_ref.wire.{module}" for module in (*modules.split(), "route", "transport_message")
    )
    program += "\nsys.exit('construct' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
