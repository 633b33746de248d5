"""Registrations on the wire: the worked bytes of facts 05 section 6.3, and bytes between real nodes of release 0.150.0.

The worked frames have no tracing element; we write one, as the peer does, so ours are three bytes longer.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.effects import HostEffects, SendBytes
from ockam_ref.events import BytesReceived, LinkAccepted
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.links.node_link import NodeLink
from ockam_ref.machine import LinkId
from ockam_ref.node import Node
from ockam_ref.observations import RelayReady
from ockam_ref.relays.remote import RemoteRelay
from ockam_ref.relays.service import RelayService
from ockam_ref.wire.address import local
from tests.unit.nodes import NOW, names, reported

R, X = "c1" * 16, "d1" * 16

EPHEMERAL_REQUEST = (
    "000000468381820052666f7277617264696e675f736572766963658182005820"
    "6331633163316331633163316331633163316331633163316331633163316331"
    "49087265676973746572"
)
EPHEMERAL_CONFIRMATION = (
    "0000006e83818200582063316331633163316331633163316331633163316331633163316331633163318182005820"
    "64316431643164316431643164316431643164316431643164316431643164315821"
    "206431643164316431643164316431643164316431643164316431643164316431"
)
ELIXIR_EPHEMERAL_CONFIRMATION = (
    "000000488381820058206331633163316331633163316331633163316331633163316331633163316331"
    "818200544657445f3031323334353637383961626364656649087265676973746572"
)
STATIC_REQUEST = (
    "000000498381820058197374617469635f666f7277617264696e675f736572766963658182005820"
    "63316331633163316331633163316331633163316331633163316331633163314403626f62"
)
STATIC_CONFIRMATION = (
    "000000488381820058206331633163316331633163316331633163316331633163316331633163316331"
    "8182004e666f72776172645f746f5f626f624f0e666f72776172645f746f5f626f62"
)
ELIXIR_STATIC_CONFIRMATION = (
    "0000003d8381820058206331633163316331633163316331633163316331633163316331633163316331"
    "8182004e666f72776172645f746f5f626f624403626f62"
)

CAPTURED: dict[str, dict[str, Any]] = {
    entry["name"]: entry
    for entry in json.loads((Path(__file__).parents[2] / "vectors" / "captured_0150.json").read_text())
}


def with_context(frame: str) -> bytes:
    """Return the same frame with the empty tracing context that every node of the Rust standard library writes."""
    body = bytes.fromhex(frame)[4:]
    body = b"\x84" + body[1:] + b"\x62{}"
    return len(body).to_bytes(4, "big") + body


def captured(name: str) -> bytes:
    return bytes.fromhex(CAPTURED[name]["bytes_hex"])


def written(effects: HostEffects, link: LinkId) -> list[bytes]:
    """What goes out on one link, write by write."""
    return [b"".join(one.chunks) for one in effects if isinstance(one, SendBytes) and one.link == link]


class Client:
    """The node of an owner; its worker is called R."""

    def __init__(self) -> None:
        self.node = Node(entropy=names("bt", "bt_rx", "C", R, "r_int"))
        self.link = self.node.new_link()
        self.hop, _ = self.node.start(NodeLink(self.link), NOW)
        self.node.receive(BytesReceived(self.link, b"\x01", NOW))

    def register(self, service: str, name: str | None) -> list[bytes]:
        _, effects = self.node.start(RemoteRelay((self.hop, local(service)), name), NOW)
        return written(effects, self.link)

    def take(self, data: bytes) -> list[RelayReady]:
        return reported(self.node.receive(BytesReceived(self.link, data, NOW)), RelayReady)


class Hub:
    """A hub with both services; further clients' connections have the names given."""

    def __init__(self, *further: str) -> None:
        self.node = Node(entropy=names("listener", *further))
        self.listener, _ = self.node.start(LinkListener("S"), NOW)
        self.node.start(RelayService(local("forwarding_service"), (), "", ("S",), ("S",)), NOW)
        self.node.start(RelayService(local("static_forwarding_service"), (), "forward_to_", ("S",), ("S",)), NOW)

    def accept(self) -> LinkId:
        link = self.node.new_link()
        self.node.receive(LinkAccepted(link, self.listener, NOW))
        self.node.receive(BytesReceived(link, b"\x01", NOW))
        return link

    def take(self, link: LinkId, data: bytes, to: LinkId | None = None) -> list[bytes]:
        """Take bytes of a client; return what goes to another one, or back."""
        return written(self.node.receive(BytesReceived(link, data, NOW)), to or link)


@pytest.mark.spec("RL-40", "RL-44")
def test_requests() -> None:
    assert Client().register("forwarding_service", None) == [with_context(EPHEMERAL_REQUEST)]
    assert Client().register("static_forwarding_service", "bob") == [with_context(STATIC_REQUEST)]


@pytest.mark.parametrize("frame", [EPHEMERAL_REQUEST, with_context(EPHEMERAL_REQUEST).hex()])
@pytest.mark.spec("RL-2", "RL-3")
def test_ephemeral_confirmation(frame: str) -> None:
    hub = Hub("hb", "hb_rx", "P", X)
    assert hub.take(hub.accept(), bytes.fromhex(frame)) == [with_context(EPHEMERAL_CONFIRMATION)]


@pytest.mark.parametrize("frame", [STATIC_REQUEST, with_context(STATIC_REQUEST).hex()])
@pytest.mark.spec("RL-2", "RL-3")
def test_static_confirmation(frame: str) -> None:
    hub = Hub("hb", "hb_rx", "P", "unused")
    assert hub.take(hub.accept(), bytes.fromhex(frame)) == [with_context(STATIC_CONFIRMATION)]


@pytest.mark.parametrize(
    ("frame", "name", "remote"),
    [
        (EPHEMERAL_CONFIRMATION, None, X),
        (ELIXIR_EPHEMERAL_CONFIRMATION, None, "FWD_0123456789abcdef"),
        (STATIC_CONFIRMATION, "bob", "forward_to_bob"),
        (ELIXIR_STATIC_CONFIRMATION, "bob", "forward_to_bob"),
    ],
)
@pytest.mark.spec("RL-42")
def test_confirmations_of_all_kinds_of_hubs(frame: str, name: str | None, remote: str) -> None:
    client = Client()
    client.register("forwarding_service", name)
    (ready,) = client.take(bytes.fromhex(frame))
    assert ready == RelayReady(local(R), local(remote), (client.hop, local(remote)))


@pytest.mark.spec("RL-2", "RL-3", "RL-5")
def test_a_hub_answers_real_nodes_as_a_real_hub_did() -> None:
    hub = Hub("hb", "hb_rx", "P1", "unused", "hb2", "hb2_rx", "P2", "unused", "hb3", "hb3_rx", "P3")
    assert hub.take(hub.accept(), captured("relay_static_request")) == [captured("relay_static_confirmation")]
    again = hub.take(hub.accept(), captured("relay_static_request_again"))
    assert again == [captured("relay_static_confirmation_again")]


@pytest.mark.spec("RL-2", "RL-3")
def test_a_hub_answers_a_real_ephemeral_request_as_a_real_hub_did() -> None:
    name = CAPTURED["relay_ephemeral_confirmation"]["decoded"]["return_route"][0].removeprefix("0#")
    hub = Hub("hb", "hb_rx", "P1", name)
    assert hub.take(hub.accept(), captured("relay_ephemeral_request")) == [captured("relay_ephemeral_confirmation")]


@pytest.mark.spec("RL-11", "RL-12")
def test_a_portal_through_a_hub_passes_as_it_passed_a_real_one() -> None:
    """The Ping takes the relay, everything after it the two links."""
    alice_hop = CAPTURED["relay_portal_ping_out_of_hub"]["decoded"]["return_route"][0].removeprefix("0#")
    bob_hop = CAPTURED["relay_portal_pong_out_of_hub"]["decoded"]["return_route"][0].removeprefix("0#")
    hub = Hub(bob_hop, "hb_rx", "P1", "unused", alice_hop, "ha_rx", "P2")
    bob = hub.accept()
    hub.take(bob, captured("relay_static_request"))
    alice = hub.accept()
    for source, destination, name in (
        (alice, bob, "relay_portal_ping"),
        (bob, alice, "relay_portal_pong"),
        (alice, bob, "relay_portal_payload"),
        (bob, alice, "relay_portal_answer"),
    ):
        assert hub.take(source, captured(f"{name}_into_hub"), destination) == [captured(f"{name}_out_of_hub")]
    assert hub.node.drop_counts == {}
