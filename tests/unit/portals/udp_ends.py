"""Both ends of a portal for datagrams, stepped by hand."""

from typing import Any

from ockam_ref.effects import Effects, SendBytes, SendDatagrams
from ockam_ref.events import BytesReceived, DatagramsReceived, LinkOpened, TimerFired
from ockam_ref.machine import LinkId, Now
from ockam_ref.portals import udp_inlet, udp_outlet
from ockam_ref.portals.udp_inlet import UdpInlet, UdpInletSession
from ockam_ref.portals.udp_outlet import UdpOutlet, UdpOutletSession
from ockam_ref.wire.address import local
from ockam_ref.wire.route import Route
from tests.unit.channels.ends import NOW, End, at, fresh, messages, only
from tests.unit.portals.ends import INLET, OUTLET, TARGET, TO_I, WAY

ENDPOINT = LinkId(1)
CLIENT = "127.0.0.1:50000"
AT_U, KEY = local("U"), local("key")
"""The session at the inlet, and the name of the session at the outlet."""


def start_udp_inlet(
    *datagrams: bytes, peer: bytes | None = None, idle_s: float = 60.0, route: Route = WAY, source: str = CLIENT
) -> End:
    config = UdpInletSession(source, INLET, UdpInlet(ENDPOINT, route, peer, idle_s), datagrams)
    return End(udp_inlet.SESSION, config, fresh(AT_U))


def start_udp_outlet(*, peer: bytes | None = None, idle_s: float = 60.0, route: Route = TO_I) -> End:
    config = UdpOutletSession(KEY, UdpOutlet(OUTLET, "target:53", idle_s=idle_s), route, peer)
    return End(udp_outlet.SESSION, config, fresh(local("V"), link=TARGET))


def carrying_outlet(*, mtu: int | None = None, **settings: Any) -> End:
    end = start_udp_outlet(**settings)
    end.step(LinkOpened(TARGET, NOW, mtu))
    return end


def arrives(end: End, *datagrams: bytes, after: float = 0.0) -> Effects:
    """The source of a session writes to the inlet."""
    return end.step(DatagramsReceived(ENDPOINT, CLIENT, datagrams, at(NOW, after)))


def answers(end: End, datagram: bytes, after: float = 0.0) -> Effects:
    """The target of a session answers."""
    return end.step(BytesReceived(TARGET, datagram, at(NOW, after)))


def check(end: End, after: float) -> Effects:
    """The session looks at its clock."""
    return end.step(TimerFired("check", at(NOW, after)))


def said(effects: Effects) -> list[bytes]:
    """The payloads of what is sent along routes."""
    return [bytes(message.payload) for message in messages(effects)]


def to_source(effects: Effects) -> list[bytes]:
    """The datagrams that leave the inlet's endpoint."""
    return [bytes(one) for effect in only(effects, SendDatagrams) for one in effect.datagrams]


def to_target(effects: Effects) -> list[bytes]:
    """The datagrams that leave the outlet's socket, one for each write."""
    return [b"".join(effect.chunks) for effect in only(effects, SendBytes)]


def later(seconds: float) -> Now:
    return at(NOW, seconds)
