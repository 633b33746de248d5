"""Packets of Bluetooth LE: cutting, joining, and every way in which a stream of packets can be wrong."""

import pytest

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.links.ble_packets import (
    BLE,
    BLE_COMPAT,
    COMPAT_MAX_LENGTH,
    MAX_LENGTH,
    MAX_WAITING_PIECES,
    Between,
    Inside,
    Lost,
    PacketState,
    fragment,
    receive,
)
from ockam_ref.links.form import Fault
from ockam_ref.wire.address import BLE as BLUETOOTH
from ockam_ref.wire.transport_message import TransportMessage
from tests.unit.nodes import route

OWN, COMPAT = BLE.first, BLE_COMPAT.first
HELLO = TransportMessage(route("echoer"), route("app"), b"\x05hello", "{}")


def length(value: int) -> bytes:
    return value.to_bytes(8, "big")


def run(packets: list[bytes], state: PacketState = OWN) -> tuple[PacketState, list[bytes | str]]:
    """Return the last state, and what came out: messages as bytes, faults by their rules."""
    found: list[bytes | str] = []
    for packet in packets:
        state, more = receive(state, packet)
        found += [one.rule if isinstance(one, Fault) else bytes(one) for one in more]
    return state, found


def test_the_names_of_the_modes() -> None:
    assert (BLE.name, BLE_COMPAT.name, BLE.hello, BLE_COMPAT.hello) == ("ble", "ble-compat", (), ())
    assert not BLE.undecodable_ends
    assert not BLE_COMPAT.undecodable_ends
    assert BLUETOOTH == 4


# ---- cutting


@pytest.mark.spec("BLE-20", "BLE-24")
def test_the_length_goes_first_and_alone() -> None:
    assert list(map(bytes, fragment(b"x" * 1000, 512))) == [length(1000), b"x" * 512, b"x" * 488]


@pytest.mark.spec("BLE-21")
@pytest.mark.parametrize(
    ("size", "whole", "pieces"),
    [(18, 8, [7, 1]), (18, 26, [17, 9]), (18, 44, [18, 17, 9]), (10, 18, [9, 9]), (10, 16, [10, 6]), (20, 28, [19, 9])],
)
def test_no_piece_has_eight_bytes(size: int, whole: int, pieces: list[int]) -> None:
    assert [len(packet) for packet in fragment(bytes(whole), size)[1:]] == pieces


@pytest.mark.spec("BLE-22")
@pytest.mark.parametrize("compat", [False, True])
def test_the_longest_message(compat: bool) -> None:  # noqa: FBT001
    limit = COMPAT_MAX_LENGTH if compat else MAX_LENGTH
    packets = fragment(bytes(limit), 20, compat=compat)
    assert max(map(len, packets)) == (18 if compat else 20)
    state, found = run(list(map(bytes, packets)), COMPAT if compat else OWN)
    assert found == [bytes(limit)]
    assert isinstance(state, Between)
    with pytest.raises(MisuseError) as caught:
        fragment(bytes(limit + 1), 20, compat=compat)
    assert caught.value.code is ErrorCode.TOO_LONG


@pytest.mark.spec("BLE-22")
def test_an_empty_message_and_tiny_packets_are_refused() -> None:
    for message, size in ((b"", 18), (b"x", 9)):
        with pytest.raises(MisuseError) as caught:
            fragment(message, size)
        assert caught.value.code is ErrorCode.TOO_LONG


@pytest.mark.spec("BLE-24")
def test_no_piece_is_longer_than_an_attribute() -> None:
    assert max(map(len, fragment(bytes(4096), 4096))) == 512


# ---- joining


@pytest.mark.spec("BLE-25")
def test_any_cut_is_taken_and_what_is_too_much_is_dropped() -> None:
    message = b"0123456789abc"
    for packets in ([message], [b"0", b"", message[1:]], [message[:12], b"c and more"]):
        assert run([length(13), *packets, length(3), b"end"]) == (OWN, [message, b"end"])


@pytest.mark.spec("BLE-25")
def test_one_piece_is_not_copied() -> None:
    packet = b"one piece"
    _, (body,) = receive(receive(OWN, length(9))[0], packet)
    assert isinstance(body, memoryview)
    assert body.obj is packet


@pytest.mark.spec("BLE-26")
def test_a_length_begins_anew_wherever_it_comes() -> None:
    state, found = run([length(100), b"half of it", length(3), b"new"])
    assert (state, found) == (OWN, ["cut-short", b"new"])
    assert run([length(100), length(3), b"new"])[1] == ["cut-short", b"new"]


@pytest.mark.spec("BLE-27")
def test_what_nothing_announced_is_one_fault() -> None:
    state, found = run([b"lost", b"and", b"found", b"12345678"])
    assert (state, found) == (Lost(MAX_LENGTH), ["no-length"])
    assert run([length(3), b"new", b"lost", length(1), b"x"], state)[1] == [b"new", "no-length", b"x"]


@pytest.mark.spec("BLE-23", "BLE-27")
@pytest.mark.parametrize("first", [OWN, COMPAT])
def test_a_length_above_the_limit_is_a_piece(first: Between) -> None:
    assert run([length(first.limit + 1)], first)[1] == ["no-length"]
    assert run([length(11), length(first.limit + 1), b"end"], first)[1] == [length(first.limit + 1) + b"end"]
    state, found = run([length(first.limit)], first)
    assert found == []
    assert isinstance(state, Inside)


@pytest.mark.spec("BLE-28")
def test_no_message_is_empty() -> None:
    assert run([length(0)]) == (OWN, ["empty-message"])
    assert run([length(0), b"x"]) == (Lost(MAX_LENGTH), ["empty-message", "no-length"])
    assert run([length(5), length(0)]) == (OWN, ["cut-short", "empty-message"])


@pytest.mark.spec("BLE-30")
def test_an_unfinished_message_is_kept_in_few_pieces() -> None:
    state, found = run([length(MAX_LENGTH), *[b"x"] * 5000, *[b""] * 500])
    assert isinstance(state, Inside)
    assert (state.waiting, found) == (5000, [])
    assert len(state.pieces) <= MAX_WAITING_PIECES
    assert run([b"y" * (MAX_LENGTH - 5000)], state)[1] == [b"x" * 5000 + b"y" * (MAX_LENGTH - 5000)]


# ---- eight bytes in doubt


@pytest.mark.spec("BLE-29")
@pytest.mark.parametrize("end", [length(0), length(3), length(1024)])
def test_a_last_piece_that_looks_like_a_length_ends_its_message(end: bytes) -> None:
    """As programs of 2022 send it: 18 bytes and then 8."""
    old = [length(26), b"x" * 18, end]
    state, found = run([*old, length(3), b"new"], COMPAT)
    assert (state, found) == (COMPAT, [b"x" * 18 + end, b"new"])


@pytest.mark.spec("BLE-29")
def test_it_may_also_be_a_length() -> None:
    """The last piece was lost and the next message follows; the first comes out with a wrong end."""
    assert run([length(26), b"x" * 18, length(3), b"new"], COMPAT)[1] == [b"x" * 18 + length(3), b"new"]
    begun = [length(26), b"x" * 18, length(3), b"n"]
    assert run([*begun, length(1), b"y"], COMPAT)[1] == [b"x" * 18 + length(3), "cut-short", b"y"]


@pytest.mark.spec("BLE-29")
def test_two_in_doubt_after_each_other() -> None:
    """The length 8 may have been an end; what comes next is then a length, and no end of a message of eight bytes."""
    packets = [length(16), b"x" * 8, length(8), length(8), b"8 bytes.", length(1), b"y"]
    assert run(packets, COMPAT)[1] == [b"x" * 8 + length(8), b"8 bytes.", b"y"]


@pytest.mark.spec("BLE-29")
def test_between_our_own_ends_there_is_no_doubt() -> None:
    assert run([length(26), b"x" * 18, length(3), b"new"])[1] == ["cut-short", b"new"]


# ---- the two forms


@pytest.mark.spec("BLE-31")
def test_our_own_ends_send_the_message_of_today() -> None:
    packets = [b"".join(packet) for packet in BLE.pack(HELLO, None)]
    assert packets[0] == length(27)
    assert max(map(len, packets[1:])) == 18
    assert [len(b"".join(packet)) for packet in BLE.pack(HELLO, 244)] == [8, 27]
    ((message,),) = [run(packets)[1]]
    assert isinstance(message, bytes)
    assert BLE.decode(memoryview(message)) == HELLO


@pytest.mark.spec("BLE-32")
@pytest.mark.parametrize("mtu", [None, 20, 512])
def test_compat_sends_the_message_of_2022(mtu: int | None) -> None:
    packets = [b"".join(packet) for packet in BLE_COMPAT.pack(HELLO, mtu)]
    assert packets == [
        length(23),
        bytes.fromhex("010100066563686f65720100036170700605"),
        bytes.fromhex("68656c6c6f"),
    ]
    assert BLE_COMPAT.decode(memoryview(b"".join(packets[1:]))) == HELLO._replace(tracing_context=None)
    with pytest.raises(MisuseError):
        BLE_COMPAT.pack(HELLO._replace(payload=bytes(1024)), mtu)
