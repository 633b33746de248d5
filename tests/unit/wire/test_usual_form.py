"""The fast twin of the route reader."""

import pytest

from ockam_ref.wire.address import Address, local
from ockam_ref.wire.route import Route, encode_route_cbor
from ockam_ref.wire.transport_message import TransportMessage, decode_transport_message, encode_transport_message
from ockam_ref.wire.usual_form import read_usual_routes, usual_bytes_bounds

USUAL: list[tuple[Route, Route]] = [
    ((), ()),
    ((local("a"),), ()),
    ((local("x" * 23), local("x" * 24)), (Address(23, b"x" * 64),)),
    ((local(""),) * 8, (local("b"),) * 8),
]


@pytest.mark.spec("WIRE-3")
@pytest.mark.parametrize(("onward_route", "return_route"), USUAL)
def test_usual_routes(onward_route: Route, return_route: Route) -> None:
    encoded = encode_route_cbor(onward_route) + encode_route_cbor(return_route)
    data = memoryview(b"!" + encoded + b"!")
    assert read_usual_routes(data, 1) == (onward_route, return_route, 1 + len(encoded))
    again = read_usual_routes(data, 1)
    if onward_route:
        assert again[0][0] is read_usual_routes(bytes(data), 1)[0][0]


@pytest.mark.parametrize(
    "route",
    [(local("a"),) * 9, (Address(24, b"a"),), (local("x" * 300),), (local("x" * 200),) * 2],
    ids=["nine hops", "high type", "long value", "long in sum"],
)
def test_unusual_routes_are_left_to_the_general_reader(route: Route) -> None:
    with pytest.raises(IndexError):
        read_usual_routes(encode_route_cbor(route) + b"\x80", 0)
    with pytest.raises(IndexError):
        read_usual_routes(b"\x80" + encode_route_cbor(route), 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "81",
        "8182",
        "818200",
        "81820058",
        "8182004261",
        "80",
        "9fff80",
        "808182004261",
        "818300416180",
        "8182006161",
    ],
)
def test_other_bytes_too(text: str) -> None:
    with pytest.raises(IndexError):
        read_usual_routes(bytes.fromhex(text), 0)


@pytest.mark.spec("WIRE-3")
def test_a_payload_cannot_pose_as_the_rest_of_a_route() -> None:
    """A type above 23 takes a byte more; read without it, 0x58 and the next byte would lead into the payload."""
    posing = b"x" * 61 + b"\x80\x40\x62{}"
    message = TransportMessage((Address(0x58, b"abc"),), (), posing + b"y" * 40, "{}")
    encoded = encode_transport_message(message)
    assert encoded[2 + 0x43 + 4 :].startswith(posing[-5:])
    assert decode_transport_message(encoded) == message


def test_bounds_of_a_byte_string() -> None:
    assert usual_bytes_bounds(b"!\x43abc", 1) == (2, 5)
    assert usual_bytes_bounds(b"\x58\x20", 0) == (2, 34)
    assert usual_bytes_bounds(b"\x59\x01\x00", 0) == (3, 259)
    assert usual_bytes_bounds(b"\x5a\x00\x01\x00\x00", 0) == (5, 5 + 65536)


@pytest.mark.parametrize("text", ["", "5b0000000000000000", "5f", "60", "3f", "58", "5901", "5a000000"])
def test_no_usual_byte_string(text: str) -> None:
    with pytest.raises(IndexError):
        usual_bytes_bounds(bytes.fromhex(text), 0)
