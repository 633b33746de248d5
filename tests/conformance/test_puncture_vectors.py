"""The messages of rendezvous, negotiation and puncture, against ``puncture.json`` and against real nodes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ockam_ref.errors import DecodeError
from ockam_ref.wire import schemas
from ockam_ref.wire.puncture_message import (
    PuncturePayload,
    PunctureSignal,
    decode_puncture_message,
    encode_puncture_message,
)
from ockam_ref.wire.puncture_negotiation import Introduction, decode_introduction, encode_introduction
from ockam_ref.wire.rendezvous_message import (
    MyAddress,
    RendezvousPong,
    RendezvousRequest,
    decode_rendezvous_request,
    decode_rendezvous_response,
    encode_rendezvous_request,
    encode_rendezvous_response,
)
from ockam_ref.wire.route import parse_route
from ockam_ref.wire.schemas import strict_parse
from ockam_ref.wire.transport_message import decode_transport_message

VECTORS = Path(__file__).parent.parent / "vectors"
CASES: list[dict[str, Any]] = json.loads((VECTORS / "puncture.json").read_text())["cases"]
CAPTURED = {one["name"]: one for one in json.loads((VECTORS / "captured_0150.json").read_text())}


class Codec(NamedTuple):
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    schema: Any


CODECS = {
    "rendezvous_request": Codec(encode_rendezvous_request, decode_rendezvous_request, schemas.RENDEZVOUS_REQUEST),
    "rendezvous_response": Codec(encode_rendezvous_response, decode_rendezvous_response, schemas.RENDEZVOUS_RESPONSE),
    "introduction": Codec(encode_introduction, decode_introduction, schemas.INTRODUCTION),
    "puncture": Codec(encode_puncture_message, decode_puncture_message, schemas.PUNCTURE_MESSAGE),
}


def read_value(kind: str, value: Any) -> Any:
    """Return what a vector's ``value`` stands for."""
    match kind, value:
        case "rendezvous_request", str():
            return RendezvousRequest[value]
        case "rendezvous_response", "PONG":
            return RendezvousPong()
        case "rendezvous_response", {"address": address}:
            return MyAddress(address)
        case "introduction", {"public_address": address, "remote_worker": worker}:
            return Introduction(address, worker.encode())
        case "puncture", str():
            return PunctureSignal[value]
        case "puncture", {"onward_route": onward, "return_route": back, "payload_hex": payload}:
            onward_route, return_route = (parse_route(" => ".join(route)) for route in (onward, back))
            return PuncturePayload(onward_route, return_route, bytes.fromhex(payload))
    raise AssertionError(kind, value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"puncture::{case['name']}")
def test_vectors(case: dict[str, Any]) -> None:
    codec, data = CODECS[case["message"]], bytes.fromhex(case["bytes_hex"])
    if case["result"] == "invalid":
        with pytest.raises(DecodeError) as caught:
            codec.decode(data)
        assert caught.value.code == case["error"]
        with pytest.raises(DecodeError):
            strict_parse(codec.schema, data)
        return
    value = read_value(case["message"], case["value"])
    assert codec.decode(data) == strict_parse(codec.schema, data) == value
    assert (codec.encode(value) == data) == (case["result"] == "valid")
    assert codec.schema.build(value) == codec.encode(value)


def payload_of(name: str) -> bytes:
    """Return the payload of a captured message, over TCP or in one datagram."""
    message = CAPTURED[name]
    decoded = message["decoded"].get("routing_message", message["decoded"])
    payload = bytes.fromhex(decoded["payload_hex"])
    if message["transport"] == "tcp":
        assert decode_transport_message(bytes.fromhex(message["bytes_hex"])[4:]).payload == payload
    return payload


@pytest.mark.spec("PUN-1", "PUN-2", "PUN-3")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rendezvous_get_my_address", "rendezvous_request"),
        ("rendezvous_my_address", "rendezvous_response"),
        ("puncture_initiate", "introduction"),
        ("puncture_acknowledge", "introduction"),
        ("puncture_ping_without_destination", "puncture"),
        ("puncture_ping", "puncture"),
        ("puncture_pong", "puncture"),
        ("puncture_payload", "puncture"),
    ],
)
def test_what_real_nodes_sent_is_read_and_written_alike(name: str, kind: str) -> None:
    codec, payload = CODECS[kind], payload_of(name)
    value = codec.decode(payload)
    assert codec.encode(value) == payload
    assert strict_parse(codec.schema, payload) == value


@pytest.mark.spec("PUN-2")
def test_a_real_introduction() -> None:
    introduction = decode_introduction(payload_of("puncture_initiate"))
    assert introduction == Introduction("127.0.0.1:35841", b"eff581fb26147aa5ed87120508a0eb31")


@pytest.mark.spec("PUN-3")
def test_a_real_payload() -> None:
    message = decode_puncture_message(payload_of("puncture_payload"))
    assert isinstance(message, PuncturePayload)
    assert bytes(message.payload) == b"\x05Hello"
