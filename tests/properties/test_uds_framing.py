"""Any stream of a Unix socket, cut into any reads: the same bodies, and no more kept than one frame."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.errors import MisuseError
from ockam_ref.links.form import Form
from ockam_ref.links.packets import PACKET
from ockam_ref.links.uds_framing import UDS, cut
from ockam_ref.wire.address import Address
from ockam_ref.wire.transport_message import TransportMessage

bodies = st.lists(st.binary(max_size=300) | st.integers(65_000, 65_535).map(bytes), max_size=6)
places = st.lists(st.integers(0, 200_000), max_size=30)
addresses = st.builds(Address, st.integers(0, 255), st.binary(max_size=40))
routes = st.lists(addresses, max_size=6).map(tuple)
messages = st.builds(TransportMessage, routes, routes, st.binary(max_size=200), st.text(max_size=30))


def cut_at(data: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream at the places, each taken modulo its length."""
    stops = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(stops)]


def run(reads: list[bytes]) -> tuple[bytes, list[bytes]]:
    unfinished, found = b"", []
    for read in reads:
        unfinished, bodies = cut(unfinished, read)
        assert type(unfinished) is bytes
        assert len(unfinished) < 2 + 65_535
        found += [bytes(body) for body in bodies if isinstance(body, memoryview)]
    return unfinished, found


@given(frames=bodies, tail=st.binary(max_size=20), places=places)
@pytest.mark.spec("UDS-1", "UDS-3")
def test_any_reads_give_the_same_bodies(frames: list[bytes], tail: bytes, places: list[int]) -> None:
    data = b"".join(len(body).to_bytes(2, "big") + body for body in frames) + tail
    unfinished, found = run([data])
    assert found[: len(frames)] == frames
    assert run(cut_at(data, places)) == (unfinished, found)
    assert data.endswith(unfinished)


@given(reads=st.lists(st.binary(max_size=100), max_size=20))
@pytest.mark.spec("UDS-3", "UDS-4")
def test_garbage_is_never_an_exception(reads: list[bytes]) -> None:
    assert run(reads) == run([b"".join(reads)])


@pytest.mark.parametrize("form", [UDS, PACKET], ids=lambda form: form.name)
@given(message=messages, mtu=st.none() | st.integers(0, 400))
@pytest.mark.spec("UDS-1", "WS-1", "WS-2")
def test_what_is_packed_is_cut_and_read_again(form: Form, message: TransportMessage, mtu: int | None) -> None:
    try:
        (packet,) = form.pack(message, mtu)
    except MisuseError:
        assert form is PACKET
        return
    data = b"".join(packet)
    assert form is UDS or len(data) <= (mtu if mtu is not None else len(data))
    state, (body,) = form.cut(form.first, data)
    assert state == form.first
    assert isinstance(body, memoryview)
    assert form.decode(body) == message
