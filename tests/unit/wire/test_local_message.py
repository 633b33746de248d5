"""The message inside a node, and its local info."""

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, OckamError
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import (
    SECURE_CHANNEL_IDENTIFIER,
    LocalInfo,
    LocalMessage,
    channel_local_info,
    find_channel_identifier,
)

A, B, C, D = map(local, "abcd")
INFO = (LocalInfo("T", b"\x09"),)
MESSAGE = LocalMessage((A, B), (C,), b"payload", INFO, "{}")
EMPTY = LocalMessage((), (C,), b"payload", INFO, "{}")


@pytest.mark.spec("WIRE-55")
def test_edits_of_the_onward_route() -> None:
    assert MESSAGE.pop_front_onward_route() == MESSAGE._replace(onward_route=(B,))
    assert MESSAGE.push_front_onward_route(D) == MESSAGE._replace(onward_route=(D, A, B))
    assert MESSAGE.prepend_front_onward_route((C, D)) == MESSAGE._replace(onward_route=(C, D, A, B))
    assert MESSAGE.replace_front_onward_route(D) == MESSAGE._replace(onward_route=(D, B))


@pytest.mark.spec("WIRE-55")
def test_edits_of_the_return_route() -> None:
    assert MESSAGE.push_front_return_route(D) == MESSAGE._replace(return_route=(D, C))
    assert MESSAGE.prepend_front_return_route((A, B)) == MESSAGE._replace(return_route=(A, B, C))


@pytest.mark.spec("WIRE-55")
def test_a_step_forward_and_another_payload() -> None:
    assert MESSAGE.step_forward(D) == MESSAGE._replace(onward_route=(B,), return_route=(D, C))
    assert MESSAGE.with_payload(b"other") == MESSAGE._replace(payload=b"other")
    assert MESSAGE.step_forward(D).payload is MESSAGE.payload


@pytest.mark.spec("WIRE-55")
def test_an_empty_onward_route_can_be_pushed_on() -> None:
    assert EMPTY.push_front_onward_route(A).onward_route == (A,)
    assert EMPTY.prepend_front_onward_route((A, B)).onward_route == (A, B)


@pytest.mark.spec("WIRE-43")
@pytest.mark.parametrize("edit", ["pop_front_onward_route", "replace_front_onward_route", "step_forward"])
def test_an_empty_onward_route_has_no_next_hop(edit: str) -> None:
    """Checklist line 16."""
    arguments = () if edit.startswith("pop") else (D,)
    with pytest.raises(MisuseError) as caught:
        getattr(EMPTY, edit)(*arguments)
    assert caught.value.code is ErrorCode.INCOMPLETE_ROUTE


def test_defaults() -> None:
    assert LocalMessage((A,), (), b"")[3:] == ((), None)


@pytest.mark.spec("WIRE-56")
def test_the_local_info_of_a_channel() -> None:
    identifier = bytes(range(32))
    info = channel_local_info(identifier)
    assert info == LocalInfo("SECURE_CHANNEL_IDENTIFIER", b"\x58\x20" + identifier)
    assert find_channel_identifier((*INFO, info, channel_local_info(b"\x01" * 32))) == identifier
    assert find_channel_identifier(INFO) is None
    assert find_channel_identifier(()) is None


@pytest.mark.spec("WIRE-56")
@pytest.mark.parametrize("data", [b"", b"\x58\x20", b"\x41a", b"\x61a", b"\x58\x20" + bytes(32) + b"\x00"])
def test_a_malformed_local_info_is_an_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        find_channel_identifier((LocalInfo(SECURE_CHANNEL_IDENTIFIER, data),))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_an_identifier_has_32_bytes(length: int) -> None:
    with pytest.raises(OckamError) as caught:
        channel_local_info(bytes(length))
    assert caught.value.code is ErrorCode.BAD_IDENTIFIER
