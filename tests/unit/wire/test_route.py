"""Routes: text and both encodings (checklist lines 15 and 18)."""

import pytest

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.cursor import Cursor
from ockam_ref.wire.route import (
    MAX_ROUTE_HOPS,
    Route,
    _encode_usual_route,
    encode_route_bare,
    encode_route_cbor,
    format_route,
    parse_route,
    read_route_bare,
    read_route_cbor,
)

ALICE_BOB = (local("alice"), local("bob"))
TCP_ECHOER = (Address(1, b"127.0.0.1:4000"), local("echoer"))


@pytest.mark.spec("WIRE-46")
@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("", ()),
        (" ", (local(""),)),
        ("=>", (local(""), local(""))),
        ("a=>b=>", (local("a"), local("b"), local(""))),
        (" node-1 =>node-2=> node-3 ", (local("node-1"), local("node-2"), local("node-3"))),
        ("1#127.0.0.1:4000 => echoer", TCP_ECHOER),
        ("\u2003a\t=>\nb", (local("a"), local("b"))),
    ],
)
def test_parsing(text: str, route: Route) -> None:
    assert parse_route(text) == route


@pytest.mark.spec("WIRE-46")
def test_printing() -> None:
    assert format_route(TCP_ECHOER) == "1#127.0.0.1:4000 => 0#echoer"
    assert format_route(()) == ""
    assert parse_route(format_route(TCP_ECHOER)) == TCP_ECHOER


@pytest.mark.spec("WIRE-46")
def test_a_bad_hop_is_an_error() -> None:
    with pytest.raises(DecodeError) as caught:
        parse_route("a => 1#b#c")
    assert caught.value.code is ErrorCode.BAD_ADDRESS


@pytest.mark.spec("WIRE-42")
@pytest.mark.parametrize(
    ("route", "bare", "cbor"),
    [
        ((), "00", "80"),
        (ALICE_BOB, "020005616c6963650003626f62", "82820045616c696365820043626f62"),
        (
            TCP_ECHOER,
            "02010e3132372e302e302e313a3430303000066563686f6572",
            "8282014e3132372e302e302e313a343030308200466563686f6572",
        ),
    ],
)
def test_both_encodings(route: Route, bare: str, cbor: str) -> None:
    """Checklist line 15."""
    assert encode_route_bare(route).hex() == bare
    assert encode_route_cbor(route).hex() == cbor
    for reader, encoded in ((read_route_bare, bare), (read_route_cbor, cbor)):
        cursor = Cursor(bytes.fromhex(encoded))
        assert reader(cursor) == route
        cursor.end()


@pytest.mark.spec("WIRE-42")
@pytest.mark.parametrize(
    "route", [ALICE_BOB * 5, (Address(0, b"x" * 65),), (Address(9, b"x" * 70_000),), ALICE_BOB * 127]
)
def test_unusual_routes_have_the_same_form(route: Route) -> None:
    encoded = encode_route_cbor(route)
    assert read_route_cbor(Cursor(encoded)) == route
    assert read_route_bare(Cursor(encode_route_bare(route))) == route
    assert encoded == encode_route_cbor(route)


@pytest.mark.spec("WIRE-2")
def test_only_short_routes_are_remembered() -> None:
    before = _encode_usual_route.cache_info().misses
    encode_route_cbor((local("x" * 65),))
    encode_route_cbor((local("remembered?"),) * 9)
    assert _encode_usual_route.cache_info().misses == before
    encode_route_cbor((local("remembered!"),) * 8)
    assert _encode_usual_route.cache_info().misses == before + 1


@pytest.mark.spec("WIRE-45")
def test_the_number_of_hops_is_bounded() -> None:
    """Checklist line 18."""
    longest = (local("a"),) * MAX_ROUTE_HOPS
    too_long = (*longest, local("a"))
    assert read_route_cbor(Cursor(encode_route_cbor(longest))) == longest
    assert read_route_bare(Cursor(encode_route_bare(longest))) == longest
    for reader, encoded in (
        (read_route_cbor, encode_route_cbor(too_long)),
        (read_route_cbor, b"\x9f" + encode_route_cbor(too_long)[3:] + b"\xff"),
        (read_route_bare, encode_route_bare(too_long)),
        (read_route_bare, b"\xff" * 9 + b"\x01"),
    ):
        with pytest.raises(DecodeError) as caught:
            reader(Cursor(encoded))
        assert caught.value.code is ErrorCode.TOO_LONG


@pytest.mark.spec("WIRE-14")
def test_indefinite_routes_are_accepted() -> None:
    assert read_route_cbor(Cursor(bytes.fromhex("9fff"))) == ()
    assert read_route_cbor(Cursor(bytes.fromhex("9f820041619f004162ffff"))) == (local("a"), local("b"))


@pytest.mark.spec("WIRE-1")
@pytest.mark.parametrize("encoded", ["81", "a0", "8180", "40", "9f", "9bffffffffffffffff"])
def test_what_is_refused(encoded: str) -> None:
    with pytest.raises(DecodeError):
        read_route_cbor(Cursor(bytes.fromhex(encoded)))


def test_bare_routes_cut_short() -> None:
    with pytest.raises(DecodeError) as caught:
        read_route_bare(Cursor(b"\x02\x00\x00"))
    assert caught.value.code is ErrorCode.TRUNCATED
