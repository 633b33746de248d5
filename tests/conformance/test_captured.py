"""Bytes of real nodes: they decode to what they mean, and encode back to themselves (checklist 08.11).

``captured_0150.json`` holds single messages with their meaning, ``captured_tcp_0150.json`` whole connections.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.errors import DecodeError
from ockam_ref.wire.body import decode_body, encode_body
from ockam_ref.wire.cbor import read_integers
from ockam_ref.wire.cbor_value import decode_value, encode_value
from ockam_ref.wire.channel_message import (
    ChannelMessage,
    ChannelPayload,
    decode_any_channel_message,
    decode_channel_message,
    encode_channel_message,
)
from ockam_ref.wire.cursor import Cursor
from ockam_ref.wire.portal_message import (
    Payload,
    PortalMessage,
    Signal,
    decode_portal_message,
    encode_portal_message,
)
from ockam_ref.wire.route import Route, format_route
from ockam_ref.wire.schemas import CHANNEL_MESSAGE, FRAME, PORTAL_MESSAGE, TRANSPORT_MESSAGE, strict_parse
from ockam_ref.wire.transport_message import (
    PROTOCOL_VERSION,
    TransportMessage,
    decode_any_transport_message,
    decode_transport_message,
    encode_transport_message,
)

VECTORS = Path(__file__).parents[1] / "vectors"
MESSAGES: list[dict[str, Any]] = json.loads((VECTORS / "captured_0150.json").read_text())
BY_NAME = {message["name"]: message for message in MESSAGES}
CONNECTIONS: list[dict[str, Any]] = json.loads((VECTORS / "captured_tcp_0150.json").read_text())["captures"]

TCP = [message for message in MESSAGES if message["transport"] == "tcp" and message["name"] != "tcp_version_byte"]
UDP = [message for message in MESSAGES if message["transport"] == "udp"]
# recorded from the second use of a connection on, when the version bytes had gone by
RECORDED_LATE = {"portal-plain-client-closes", "channel-over-relay-responder-side"}
CHANNEL_PLAINTEXT = bytes.fromhex(BY_NAME["live_channel_transcript_data_reply"]["decoded"]["plaintext_hex"])


def named(messages: list[dict[str, Any]]) -> list[Any]:
    """Return parameters whose ids say file and vector."""
    return [pytest.param(message, id=f"captured_0150::{message['name']}") for message in messages]


def frame_body(message: dict[str, Any]) -> bytes:
    """Return the CBOR of a captured frame."""
    frame = bytes.fromhex(message["bytes_hex"])
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4 == message["decoded"]["frame_length"]
    return frame[4:]


def hops(route: Route) -> list[str]:
    """Return a route as the vectors write it."""
    return format_route(route).split(" => ") if route else []


def streams(connection: dict[str, Any]) -> list[tuple[bytes, list[bytes]]]:
    """Return for each direction what precedes the frames, and the frames with their lengths."""
    joined: defaultdict[str, bytes] = defaultdict(bytes)
    for read in connection["bytes"]:
        joined[read["direction"]] += bytes.fromhex(read["hex"])
    assert len(joined) == 2
    opening = b"" if connection["name"] in RECORDED_LATE else bytes((PROTOCOL_VERSION,))
    assert all(stream.startswith(opening) for stream in joined.values())
    return [(opening, list(cut_frames(stream, len(opening)))) for stream in joined.values()]


def cut_frames(stream: bytes, position: int) -> Iterator[bytes]:
    """Yield the frames from there on; nothing may be left over."""
    while position < len(stream):
        stop = position + 4 + int.from_bytes(stream[position : position + 4], "big")
        assert stop <= len(stream)
        yield stream[position:stop]
        position = stop


def captured_frames() -> list[bytes]:
    """Return every frame of every connection, both ways."""
    return [frame for connection in CONNECTIONS for _, frames in streams(connection) for frame in frames]


def test_the_files_are_whole() -> None:
    assert (len(MESSAGES), len(TCP), len(UDP), len(CONNECTIONS)) == (56, 37, 14, 8)


@pytest.mark.spec("WIRE-50")
def test_the_version_byte() -> None:
    assert bytes.fromhex(BY_NAME["tcp_version_byte"]["bytes_hex"]) == bytes((PROTOCOL_VERSION,))


@pytest.mark.spec("WIRE-57", "WIRE-51", "WIRE-52")
@pytest.mark.parametrize("message", named(TCP))
def test_a_tcp_message_means_what_was_seen_and_is_written_alike(message: dict[str, Any]) -> None:
    body, expected = frame_body(message), message["decoded"]
    decoded = decode_transport_message(body)
    assert body[0] == 0x80 + expected["array_elements"]
    assert hops(decoded.onward_route) == expected["onward_route"]
    assert hops(decoded.return_route) == expected["return_route"]
    assert decoded.payload.hex() == expected["payload_hex"]
    assert decoded.tracing_context == expected["tracing_context"] == "{}"
    assert encode_transport_message(decoded) == body
    assert decode_any_transport_message(body) == strict_parse(TRANSPORT_MESSAGE, body) == decoded
    assert FRAME.build(decoded) == bytes.fromhex(message["bytes_hex"])


@pytest.mark.spec("WIRE-57", "WIRE-32", "WIRE-60", "WIRE-61")
@pytest.mark.parametrize("message", named([m for m in TCP if isinstance(m["decoded"]["payload_meaning"], dict)]))
def test_its_payload_too(message: dict[str, Any]) -> None:
    payload = decode_transport_message(frame_body(message)).payload
    match message["decoded"]["payload_meaning"]:
        case {"bare_string": text}:
            assert decode_body(payload, str) == text
            assert encode_body(text) == payload
        case {"tag": 3, "data_hex": data_hex}:
            decoded = decode_portal_message(payload)
            assert decoded == Payload(bytes.fromhex(data_hex))
            assert encode_portal_message(decoded) == payload
        case {"tag": tag, "length": length}:
            decoded = decode_portal_message(payload)
            assert tag == 3
            assert isinstance(decoded, Payload)
            assert len(decoded.data) == length
        case meaning:
            pytest.fail(f"a payload this test does not know: {meaning}")


@pytest.mark.spec("WIRE-60")
@pytest.mark.parametrize(("word", "signal"), [("ping", Signal.PING), ("pong", Signal.PONG)])
def test_the_signals_of_a_portal(word: str, signal: Signal) -> None:
    message = BY_NAME[f"portal_{word}"]
    decoded = decode_portal_message(decode_transport_message(frame_body(message)).payload)
    assert decoded is signal


@pytest.mark.spec("WIRE-18")
@pytest.mark.parametrize("name", ["puncture_initiate", "puncture_acknowledge"])
def test_worker_addresses_in_the_puncture_negotiation_are_arrays_of_integers(name: str) -> None:
    payload = decode_transport_message(frame_body(BY_NAME[name])).payload
    value = decode_value(payload)
    assert encode_value(value) == payload
    assert isinstance(value, list)
    assert isinstance(value[0], str)
    assert len(read_integers(Cursor(encode_value(value[1])))) == 32


@pytest.mark.spec("WIRE-57", "WIRE-20")
@pytest.mark.parametrize("message", named(UDP))
def test_datagrams_are_cbor_that_is_written_alike(message: dict[str, Any]) -> None:
    """The datagram codec belongs to the UDP link; the message inside a single slice is the TCP one."""
    datagram, expected = bytes.fromhex(message["bytes_hex"]), message["decoded"]
    value = decode_value(datagram)
    assert encode_value(value) == datagram
    assert isinstance(value, list)
    assert value[:4] == [expected["version"], expected["routing_number"], expected["offset"], expected["total"]]
    if "routing_message" in expected:
        inner, wanted = value[4], expected["routing_message"]
        assert isinstance(inner, bytes)
        decoded = decode_transport_message(inner)
        assert (hops(decoded.onward_route), hops(decoded.return_route)) == (
            wanted["onward_route"],
            wanted["return_route"],
        )
        assert (decoded.payload.hex(), decoded.tracing_context) == (wanted["payload_hex"], wanted["tracing_context"])
        assert encode_transport_message(decoded) == inner


@pytest.mark.spec("WIRE-70", "WIRE-71", "WIRE-57")
def test_the_plaintext_that_a_real_responder_sent() -> None:
    message = decode_channel_message(CHANNEL_PLAINTEXT)
    assert isinstance(message, ChannelPayload)
    assert hops(message.onward_route) == ["0#app"]
    assert hops(message.return_route) == ["0#echoer"]
    assert decode_body(message.payload, str) == "Hello"
    assert encode_channel_message(message) == CHANNEL_PLAINTEXT
    assert CHANNEL_MESSAGE.build(message) == CHANNEL_PLAINTEXT


@pytest.mark.spec("WIRE-57", "WIRE-50", "WIRE-51")
@pytest.mark.parametrize("connection", CONNECTIONS, ids=lambda connection: f"captured_tcp_0150::{connection['name']}")
def test_a_connection_is_written_alike_frame_by_frame(connection: dict[str, Any]) -> None:
    for _, frames in streams(connection):
        assert frames
        for frame in frames:
            message = decode_transport_message(memoryview(frame)[4:])
            assert decode_any_transport_message(frame[4:]) == message
            assert strict_parse(FRAME, frame) == message
            encoded = encode_transport_message(message)
            assert len(encoded).to_bytes(4, "big") + encoded == frame


def faults(data: bytes) -> Iterator[bytes]:
    """Yield every truncation, then every copy with one bit turned over, and with one byte inverted."""
    for length in range(len(data)):
        yield data[:length]
    for position in range(len(data)):
        for bits in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            faulty = bytearray(data)
            faulty[position] ^= bits
            yield bytes(faulty)


def stable_transport(data: bytes) -> TransportMessage:
    """Decode; check that what came out survives its own encoding."""
    message = decode_transport_message(data)
    encoded = encode_transport_message(message)
    written = message._replace(tracing_context=message.tracing_context or "{}") if message[3] is None else message
    assert decode_transport_message(encoded) == written
    assert encode_transport_message(written) == encoded
    return message


def stable_portal(data: bytes) -> PortalMessage:
    """Decode; check that what came out survives its own encoding."""
    message = decode_portal_message(data)
    assert decode_portal_message(encode_portal_message(message)) == message
    return message


def stable_channel(data: bytes) -> ChannelMessage:
    """Decode; check that what came out survives its own encoding."""
    message = decode_channel_message(data)
    encoded = encode_channel_message(message)
    assert decode_channel_message(encoded) == decode_any_channel_message(encoded) == message
    return message


CAPTURED_BODIES = sorted({frame_body(message) for message in TCP} | {frame[4:] for frame in captured_frames()}, key=len)


@pytest.mark.spec("WIRE-1", "WIRE-3")
@pytest.mark.parametrize("part", range(8))
def test_every_fault_of_every_captured_message_is_refused_or_read_stably(part: int) -> None:
    """A message that is read in spite of a fault is the same for both readers and survives its own encoding."""
    refused = accepted = 0
    for body in CAPTURED_BODIES[part::8]:
        for data in faults(body):
            try:
                message = stable_transport(data)
            except DecodeError:
                refused += 1
            else:
                accepted += 1
                assert decode_any_transport_message(data) == message
    assert refused > 1000
    assert accepted > 1000


@pytest.mark.spec("WIRE-1", "WIRE-3")
def test_every_fault_of_a_captured_plaintext_is_refused_or_read_stably() -> None:
    refused = 0
    for faulty in faults(CHANNEL_PLAINTEXT):
        try:
            message = stable_channel(faulty)
        except DecodeError:
            refused += 1
            with pytest.raises(DecodeError):
                strict_parse(CHANNEL_MESSAGE, faulty)
        else:
            assert decode_any_channel_message(faulty) == strict_parse(CHANNEL_MESSAGE, faulty) == message
    assert refused > 100


@pytest.mark.spec("WIRE-1", "WIRE-3")
def test_every_fault_of_every_captured_portal_message_is_refused_or_read_stably() -> None:
    payloads = {bytes(decode_transport_message(frame_body(m)).payload)[:40] for m in TCP if "portal" in m["name"]}
    assert len(payloads) > 4
    for payload in payloads:
        for faulty in faults(payload):
            try:
                message = stable_portal(faulty)
            except DecodeError:
                with pytest.raises(DecodeError):
                    strict_parse(PORTAL_MESSAGE, faulty)
            else:
                assert strict_parse(PORTAL_MESSAGE, faulty) == message


@pytest.mark.spec("WIRE-57")
def test_truncated_messages_are_all_refused() -> None:
    """No prefix of what a node writes is a message of its own."""
    for body in CAPTURED_BODIES:
        for length in range(len(body)):
            with pytest.raises(DecodeError):
                decode_transport_message(body[:length])
