"""What may be written as a hop, a route, a flow control."""

import pytest

from ockam_ref.asyncio.hops import HasHop, RouteLike, to_address, to_flow_controls, to_route
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.address import TCP, Address, local


class Connection(HasHop):
    hop = local("connection")
    flow_control_id = "f" * 32


HANDLE = Connection()
HANDLE_HOP = local("connection")


@pytest.mark.parametrize(
    ("written", "route"),
    [
        ("echo", (local("echo"),)),
        ("a => 1#host:1 => b", (local("a"), Address(1, b"host:1"), local("b"))),
        ("", ()),
        ((), ()),
        ([], ()),
        (local("echo"), (local("echo"),)),
        (HANDLE, (HANDLE_HOP,)),
        ((HANDLE, "echo"), (HANDLE_HOP, local("echo"))),
        ([HANDLE, local("a"), "2#b"], (HANDLE_HOP, local("a"), Address(2, b"b"))),
        ((TCP, "host:1"), (Address(1, b"host:1"),)),
        ([(TCP, "host:1"), "a"], (Address(1, b"host:1"), local("a"))),
        ((local("x"), local("y")), (local("x"), local("y"))),
    ],
)
def test_routes(written: RouteLike, route: tuple[Address, ...]) -> None:
    assert to_route(written) == route


def test_what_is_no_hop_is_refused() -> None:
    with pytest.raises(MisuseError, match="a int is no hop") as caught:
        to_address(7)  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.WRONG_TYPE
    with pytest.raises(DecodeError):
        to_route("a#b")


def test_flow_controls() -> None:
    assert to_flow_controls(()) == ()
    assert to_flow_controls(("abc", HANDLE)) == ("abc", "f" * 32)
