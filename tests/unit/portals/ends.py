"""Both ends of a portal for tests: machines stepped by hand, and whole nodes in memory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ockam_ref.channels.initiator import SecureChannel
from ockam_ref.channels.listener import SecureChannelListener
from ockam_ref.effects import Effects, SendBytes
from ockam_ref.events import BytesReceived, LinkClosed, LinkDrained, LinkFinished, LinkOpened
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.machine import LinkId
from ockam_ref.observations import ChannelOpened, ConnectionClosed, ConnectionOpened
from ockam_ref.portals import inlet, outlet
from ockam_ref.portals.connection import MAX_PAYLOAD_BYTES
from ockam_ref.portals.inlet import Inlet, InletConnection
from ockam_ref.portals.outlet import Outlet, OutletConnection
from ockam_ref.relays.remote import RemoteRelay
from ockam_ref.relays.service import RelayService
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork, Socket
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage
from ockam_ref.wire.route import Route
from tests.unit.channels.ends import ALICE, BOB, NOW, End, World, fresh, observed, only

INLET, OUTLET = local("inlet"), local("outlet")
AT_I, AT_O = local("I"), local("O")
WAY: Route = (local("a.hop"), OUTLET)
"""The inlet's way to the outlet's name."""
TO_O: Route = (local("a.hop"), AT_O)
TO_I: Route = (local("b.hop"), AT_I)
CLIENT, TARGET = LinkId(1), LinkId(2)
PING, PONG, DISCONNECT, END_OF_STREAM = b"\x00", b"\x01", b"\x02", b"\x03\x00"
BROKEN_OFF = b"\x03\x00\x01\xfe\xff"
"""An empty Payload whose counter is 65534."""


def message(
    to: Address, payload: bytes, *, back: Route = (), info: tuple[LocalInfo, ...] = (), extra: Route = ()
) -> LocalMessage:
    return LocalMessage((to, *extra), back, payload, info)


def payload(data: bytes, counter: int | None = None) -> bytes:
    """A Payload in the peer's bytes, made without the code under test."""
    length, rest = b"", len(data)
    while rest > 127:
        length, rest = length + bytes((rest & 127 | 128,)), rest >> 7
    tail = b"" if counter is None else b"\x01" + counter.to_bytes(2, "little")
    return b"\x03" + length + bytes((rest,)) + data + tail


def written(effects: Effects) -> bytes:
    """What goes to the local socket."""
    return b"".join(b"".join(effect.chunks) for effect in only(effects, SendBytes))


def start_inlet_connection(
    *,
    peer: bytes | None = None,
    skip_handshake: bool = False,
    route: Route = WAY,
    pong_timeout_s: float = 10.0,
    max_payload_bytes: int = MAX_PAYLOAD_BYTES,
) -> End:
    portal = Inlet(route, peer, pong_timeout_s, skip_handshake, max_payload_bytes=max_payload_bytes)
    config = InletConnection(CLIENT, INLET, portal)
    return End(inlet.CONNECTION, config, fresh(AT_I))


def start_outlet_connection(
    *,
    peer: bytes | None = None,
    gaps: int = 0,
    skip_handshake: bool = False,
    route: Route = TO_I,
    max_payload_bytes: int = MAX_PAYLOAD_BYTES,
) -> End:
    config = Outlet(OUTLET, "target:80", skip_handshake=skip_handshake, max_payload_bytes=max_payload_bytes)
    key = local("key") if skip_handshake else None
    child = OutletConnection(config, route, peer, gaps, local("b.receiver"), address=key)
    return End(outlet.CONNECTION, child, fresh(AT_O, link=TARGET))


def running_inlet(
    *, info: tuple[LocalInfo, ...] = (), agreed: bool = False, owes_announcement: bool = False, **settings: Any
) -> End:
    """``agreed``: both ends have announced that they answer marks; with ``owes_announcement``, only the outlet has."""
    end = start_inlet_connection(**settings)
    end.take(message(AT_I, PONG, back=TO_O, info=info))
    if agreed or owes_announcement:
        end.take(message(AT_I, PONG, back=TO_O, info=info))
        end.state = replace(end.state, owes_announcement=owes_announcement)
    return end


def running_outlet(*, info: tuple[LocalInfo, ...] = (), agreed: bool = False, **settings: Any) -> End:
    end = start_outlet_connection(**settings)
    end.step(LinkOpened(TARGET, NOW))
    if agreed:
        end.take(message(AT_O, PONG, back=TO_I, info=info))
    return end


def read(end: End, data: bytes) -> Effects:
    """The local socket gave bytes."""
    return end.step(BytesReceived(end.state.connection.link, data, NOW))


def finish(end: End) -> Effects:
    return end.step(LinkFinished(end.state.connection.link, NOW))


def reset(end: End) -> Effects:
    return end.step(LinkClosed(end.state.connection.link, "reset by peer", NOW))


def drained(end: End) -> Effects:
    return end.step(LinkDrained(end.state.connection.link, NOW))


# ---- whole nodes


class PortalWorld(World):
    """Alice's inlet and Bob's outlet, by default in a channel."""

    def __init__(self, *, channel: bool = True, skip_handshake: bool = False, seed_number: int = 0) -> None:
        super().__init__(seed_number=seed_number)
        self.outlet = self.bob.start(Outlet(OUTLET, "target:80", ("CHANNELS", "TCP"), skip_handshake=skip_handshake))
        self.first_hop = self.open().encryptor if channel else self.hop
        route = (self.first_hop, OUTLET)
        peer = self.alice.node.peer_of(route)
        self.inlet = self.alice.start(Inlet(route, peer, skip_handshake=skip_handshake))

    def connect(self) -> tuple[Socket, Socket]:
        """A client connects; return its socket and the target's."""
        target = self.bob.targets["target:80"] = Socket()
        client = self.alice.connect_client(self.inlet)
        self.net.run()
        return client, target


class HubWorld:
    """Alice and Bob, a hub between them, a channel from end to end, a portal inside."""

    def __init__(self, seed_number: int = 0) -> None:
        self.net = net = MemoryNetwork(seed_number)
        self.hub, self.bob, self.alice = net.host("hub"), net.host("bob"), net.host("alice")
        tcp = self.hub.start(LinkListener("HUB"))
        self.hub.start(RelayService(local("relays"), (), "forward_to_", ("HUB",), ("HUB",)))
        way = net.connect(self.bob, self.hub, tcp)
        flow = self.bob.node.flow_controls.find_producer(way)
        assert flow is not None
        self.bob.start(SecureChannelListener(local("api"), BOB, "CHANNELS", consumer_of=(flow.flow_control_id,)))
        self.bob.start(Outlet(OUTLET, "target:80", ("CHANNELS",)))
        self.bob.start(RemoteRelay((way, local("relays")), "bob"))
        hop = net.connect(self.alice, self.hub, tcp)
        net.run()
        self.alice.start(SecureChannel(ALICE, (hop, local("forward_to_bob"), local("api")), "FLOW"))
        net.run()
        self.channel = observed(self.alice, ChannelOpened)[0]
        self.inlet = self.alice.start(Inlet((self.channel.encryptor, OUTLET), self.channel.peer))

    def connect(self) -> tuple[Socket, Socket]:
        target = self.bob.targets["target:80"] = Socket()
        client = self.alice.connect_client(self.inlet)
        return client, target


def opened(host: MemoryHost) -> list[ConnectionOpened]:
    return observed(host, ConnectionOpened)


def closed(host: MemoryHost) -> list[ConnectionClosed]:
    return observed(host, ConnectionClosed)


def reasons(host: MemoryHost) -> Sequence[str]:
    return [one.reason for one in closed(host)]
