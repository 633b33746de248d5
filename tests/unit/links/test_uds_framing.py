"""Frames of Unix sockets, for chosen streams; ``tests/properties`` has the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.links.uds_framing import MAX_UDS_MESSAGE_LENGTH, UDS, cut, pack
from ockam_ref.wire.address import local
from ockam_ref.wire.transport_message import TransportMessage

VECTORS = Path(__file__).parents[2] / "vectors" / "bare_transport_message.json"
FRAMES: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))["uds_frames"]

HELLO = TransportMessage((local("echoer"),), (local("app"),), b"\x05hello")


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + body


def feed(*reads: bytes) -> tuple[bytes, list[bytes]]:
    unfinished, bodies = b"", []
    for read in reads:
        unfinished, found = cut(unfinished, read)
        bodies += [bytes(body) for body in found if isinstance(body, memoryview)]
    return unfinished, bodies


@pytest.mark.parametrize("vector", FRAMES, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    bodies = [bytes.fromhex(body) for body in vector["bodies"]]
    assert feed(bytes.fromhex(vector["bytes"])) == (bytes.fromhex(vector["unfinished"]), bodies)
    assert feed(*(bytes((byte,)) for byte in bytes.fromhex(vector["bytes"])))[1] == bodies


@pytest.mark.spec("UDS-1")
def test_nothing_is_said_before_the_first_message() -> None:
    assert UDS.hello == ()
    (packet,) = pack(HELLO)
    assert b"".join(packet).hex() == "001b010100066563686f6572010003617070060568656c6c6f01027b7d"


@pytest.mark.spec("UDS-1")
def test_a_payload_is_not_copied_on_its_way_out() -> None:
    (packet,) = pack(HELLO)
    assert packet[1] is HELLO.payload


@pytest.mark.spec("UDS-2")
def test_the_longest_message_is_sent_and_a_longer_one_refused() -> None:
    around = len(b"".join(pack(HELLO._replace(payload=bytes(20_000)))[0])) - 20_000 - 2
    (packet,) = pack(HELLO._replace(payload=bytes(MAX_UDS_MESSAGE_LENGTH - around)))
    assert b"".join(packet)[:2] == b"\xff\xff"
    assert sum(map(len, packet)) == 2 + MAX_UDS_MESSAGE_LENGTH
    assert len(feed(b"".join(packet))[1]) == 1
    with pytest.raises(MisuseError, match="65535 is the limit") as caught:
        pack(HELLO._replace(payload=bytes(MAX_UDS_MESSAGE_LENGTH - around + 1)))
    assert caught.value.code is ErrorCode.TOO_LONG


@pytest.mark.spec("UDS-3")
def test_a_body_in_one_read_is_a_view_of_it() -> None:
    data = framed(b"one") + framed(b"two")
    _, bodies = cut(b"", data)
    assert [body.obj for body in bodies if isinstance(body, memoryview)] == [data, data]


@pytest.mark.spec("UDS-3")
def test_only_the_frame_that_has_begun_is_copied() -> None:
    begun = framed(b"x" * 10)[:7]
    data = framed(b"x" * 10)[7:] + framed(bytes(1000))
    unfinished, (first, second) = cut(begun, data)
    assert unfinished == b""
    assert isinstance(first, memoryview)
    assert isinstance(second, memoryview)
    assert bytes(first) == b"x" * 10
    assert second.obj is data


@pytest.mark.spec("UDS-4")
def test_a_body_that_is_no_message_ends_nothing() -> None:
    assert not UDS.undecodable_ends
    unfinished, (body, after) = cut(b"", b"\x00\x00" + framed(b"".join(pack(HELLO)[0])[2:]))
    assert isinstance(body, memoryview)
    assert isinstance(after, memoryview)
    with pytest.raises(DecodeError):
        UDS.decode(body)
    assert UDS.decode(after) == HELLO._replace(tracing_context="{}")
    assert unfinished == b""
