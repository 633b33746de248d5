"""Datagrams of real nodes, and the scripts of ``udp_reassembly.json``: loss, swaps, duplicates, restarts."""

import json
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.links.reassembly import Reassembly, receive
from ockam_ref.wire.schemas import UDP_DATAGRAM, strict_parse
from ockam_ref.wire.transport_message import decode_transport_message
from ockam_ref.wire.udp_datagram import Slice, cut_message, decode_any_slice, decode_slice, encode_slice

VECTORS = Path(__file__).parents[1] / "vectors"
CAPTURED = [
    vector for vector in json.loads((VECTORS / "captured_0150.json").read_text()) if vector["transport"] == "udp"
]
SCRIPTS: list[dict[str, Any]] = json.loads((VECTORS / "udp_reassembly.json").read_text())["scripts"]


@pytest.mark.parametrize("vector", [pytest.param(one, id=f"captured_0150::{one['name']}") for one in CAPTURED])
@pytest.mark.spec("UDP-1", "UDP-2")
def test_a_datagram_of_a_real_node(vector: dict[str, Any]) -> None:
    data, meaning = bytes.fromhex(vector["bytes_hex"]), vector["decoded"]
    piece = decode_slice(data)
    assert isinstance(piece, Slice)
    assert piece == decode_any_slice(data) == strict_parse(UDP_DATAGRAM, data)
    assert (piece.version, piece.number, piece.offset, piece.total, len(piece.data)) == (
        meaning["version"],
        meaning["routing_number"],
        meaning["offset"],
        meaning["total"],
        meaning["slice_length"],
    )
    assert encode_slice(piece) == UDP_DATAGRAM.build(piece) == data
    if piece.total == 1:
        assert cut_message(piece.number, bytes(piece.data)) == (data,)


@pytest.mark.parametrize("direction", ["request", "reply"])
@pytest.mark.spec("UDP-2", "UDP-10")
def test_a_message_of_three_datagrams(direction: str) -> None:
    datagrams = tuple(
        bytes.fromhex(vector["bytes_hex"]) for vector in CAPTURED if vector["name"].startswith(f"udp_1200_{direction}")
    )
    state, (message,) = receive(Reassembly(), datagrams, 0.0)
    assert isinstance(message, bytes)
    assert len(message) == 1256
    assert bytes(decode_transport_message(message).payload[2:]) == b"x" * 1200
    assert cut_message(decode_slice(datagrams[0]).number, message) == datagrams
    assert state.waiting == 0


@pytest.mark.parametrize("script", [pytest.param(one, id=f"udp_reassembly::{one['name']}") for one in SCRIPTS])
def test_a_script(script: dict[str, Any]) -> None:
    datagrams = [bytes.fromhex(text) for text in script["datagrams"]]
    expected = [bytes.fromhex(text) for text in script["messages"]]
    found, state = [], Reassembly()
    for datagram in datagrams:
        state, results = receive(state, (datagram,), 0.0)
        found += [result for result in results if isinstance(result, bytes)]
    assert found == expected
    _, at_once = receive(Reassembly(), datagrams, 0.0)
    assert [result for result in at_once if isinstance(result, bytes)] == expected
    assert [strict_parse(UDP_DATAGRAM, datagram) for datagram in datagrams] == [*map(decode_slice, datagrams)]
