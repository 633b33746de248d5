"""Codec and schema of the message of Unix sockets, WebSocket and Bluetooth, against ``bare_transport_message.json``."""

import json
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.address import parse_address
from ockam_ref.wire.bare_transport_message import (
    decode_any_bare_transport_message,
    decode_bare_transport_message,
    encode_bare_transport_message,
)
from ockam_ref.wire.schemas import BARE_TRANSPORT_MESSAGE, strict_parse
from ockam_ref.wire.transport_message import TransportMessage

FILE = Path(__file__).parent.parent / "vectors" / "bare_transport_message.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


def named(kind: str) -> list[Any]:
    """Return parameters whose ids say file and vector."""
    return [pytest.param(vector, id=f"{FILE.stem}::{vector['name']}") for vector in VECTORS[kind]]


def value_of(vector: dict[str, Any]) -> TransportMessage:
    return TransportMessage(
        tuple(map(parse_address, vector["onward_route"])),
        tuple(map(parse_address, vector["return_route"])),
        bytes.fromhex(vector["payload"]),
        vector["tracing_context"],
    )


@pytest.mark.parametrize("vector", named("messages"))
def test_a_message(vector: dict[str, Any]) -> None:
    data, value = bytes.fromhex(vector["bytes"]), value_of(vector)
    assert decode_bare_transport_message(data) == value
    assert decode_any_bare_transport_message(data) == value
    assert strict_parse(BARE_TRANSPORT_MESSAGE, data) == value
    written = {
        "current": encode_bare_transport_message(value),
        "ending after the payload": encode_bare_transport_message(value, ends_after_payload=True),
    }
    assert [form for form, encoded in written.items() if encoded == data] == [vector["written"]] * bool(
        vector["written"]
    )


@pytest.mark.parametrize("vector", named("refused"))
def test_what_is_refused(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["bytes"])
    with pytest.raises(DecodeError) as caught:
        decode_bare_transport_message(data)
    assert caught.value.code is ErrorCode(vector["code"])
    assert 0 <= caught.value.offset <= len(data)
    with pytest.raises(DecodeError):
        strict_parse(BARE_TRANSPORT_MESSAGE, data)
