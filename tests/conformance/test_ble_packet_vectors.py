"""Packets of Bluetooth LE, cut and joined, against ``ble_packets.json``."""

import json
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.links.ble_packets import BLE, BLE_COMPAT, fragment, receive
from ockam_ref.links.form import Fault

FILE = Path(__file__).parent.parent / "vectors" / "ble_packets.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


def named(kind: str) -> list[Any]:
    """Return parameters whose ids say file and vector."""
    return [pytest.param(vector, id=f"{FILE.stem}::{vector['name']}") for vector in VECTORS[kind]]


@pytest.mark.parametrize("vector", named("fragments"))
def test_a_message_is_cut(vector: dict[str, Any]) -> None:
    packets = fragment(bytes.fromhex(vector["message"]), vector["size"], compat=vector["mode"] == "compat")
    assert [bytes(packet).hex() for packet in packets] == vector["packets"]


@pytest.mark.parametrize("vector", named("streams"))
def test_packets_are_joined(vector: dict[str, Any]) -> None:
    state = {"own": BLE, "compat": BLE_COMPAT}[vector["mode"]].first
    found: list[dict[str, str]] = []
    for packet in vector["packets"]:
        state, more = receive(state, bytes.fromhex(packet))
        found += [{"fault": one.rule} if isinstance(one, Fault) else {"message": bytes(one).hex()} for one in more]
    assert found == vector["found"]
