"""A host without sockets: nodes in one process, joined by links in memory, on a clock that tests move by hand.

``MemoryNetwork(seed)`` makes hosts, runs them until nothing is left to do, and lets a test look at and touch every byte
on its way.  Packets and datagrams may be lost, late, doubled or cut off on theirs.  Everything random comes from the
seed, so a run can be repeated.
"""

import random
from collections.abc import Callable, Iterable
from typing import Final

from ockam_ref.events import LinkAccepted, LinkEvent, LinkFailed, LinkOpened
from ockam_ref.links.form import Form
from ockam_ref.links.impairment import Impairment
from ockam_ref.links.node_link import NodeLink
from ockam_ref.links.packets import PACKET
from ockam_ref.machine import LinkId, Now
from ockam_ref.testing.memory_node import MemoryHost, Socket
from ockam_ref.testing.memory_paths import Paths
from ockam_ref.wire.address import Address
from ockam_ref.wire.transport_message import PROTOCOL_VERSION

__all__ = ["FrameTamper", "MemoryHost", "MemoryNetwork", "Socket", "Tamper"]

Tamper = Callable[[bytes], bytes]
FrameTamper = Callable[[str, str, bytes], Iterable[bytes]]
"""Takes the names of sender and receiver and the body of a frame; the bodies that it returns arrive in its place."""

_OTHER_DICE: Final = 0x0C4A
"""Paths have dice of their own, so that what they do changes nobody's keys and addresses."""


class MemoryNetwork:
    """Hosts and the links between them.

    ``tamper`` sees every chunk of bytes between two nodes and may change it; ``tamper_frame`` sees one frame at a time
    and may change, drop, repeat or hold it.
    """

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)  # noqa: S311  # reproducible on purpose
        self.now = Now(0.0, 1_700_000_000)
        self.hosts: list[MemoryHost] = []
        self.listening: dict[str, tuple[MemoryHost, Address]] = {}
        self.paths = Paths(random.Random(seed ^ _OTHER_DICE))  # noqa: S311  # reproducible on purpose
        self.endpoints: dict[str, tuple[MemoryHost, LinkId]] = {}
        self.bytes_seen: list[tuple[str, str, bytes]] = []
        self.tamper: Tamper = lambda data: data
        self.tamper_frame: FrameTamper | None = None

    def host(self, name: str) -> MemoryHost:
        """Make a node."""
        host = MemoryHost(self, name)
        self.hosts.append(host)
        return host

    def tampered(self, sender: str, receiver: str, data: bytes) -> list[bytes]:
        """Return the chunks that arrive where ``data``, the version byte or whole frames, was sent."""
        if self.tamper_frame is None or data == bytes((PROTOCOL_VERSION,)):
            return [self.tamper(data)]
        arriving: list[bytes] = []
        while data:
            stop = 4 + int.from_bytes(data[:4], "big")
            bodies = self.tamper_frame(sender, receiver, data[4:stop])
            arriving += [self.tamper(len(body).to_bytes(4, "big") + body) for body in bodies]
            data = data[stop:]
        return arriving

    def connect(self, client: MemoryHost, server: MemoryHost, listener: Address) -> Address:
        """Join two nodes as a TCP connection would; return the client's hop to the server."""
        near, far = client.node.new_link(), server.node.new_link()
        client.peers[near] = (server, far)
        server.peers[far] = (client, near)
        server.feed(LinkAccepted(far, listener, self.now))
        hop = client.start(NodeLink(near))
        self.run()
        return hop

    def connect_packets(
        self,
        client: MemoryHost,
        server: MemoryHost,
        listener: Address,
        *,
        form: Form = PACKET,
        mtu: int | None = None,
    ) -> Address:
        """Join two nodes by a packet link, at first over a path without faults; return the client's hop."""
        near, far = client.node.new_link(), server.node.new_link()
        client.peers[near], server.peers[far] = (server, far), (client, near)
        client.packet_links.add(near)
        server.packet_links.add(far)
        server.feed(LinkAccepted(far, listener, self.now, mtu))
        hop = client.start(NodeLink(near, form, mtu=mtu))
        self.run()
        return hop

    def bind(self, host: MemoryHost, address: str) -> LinkId:
        """Return the link of a new datagram endpoint of that host at ``address``."""
        link = host.node.new_link()
        self.endpoints[address] = (host, link)
        return link

    def unbind(self, host: MemoryHost, link: LinkId) -> None:
        """Nothing reaches that endpoint any more."""
        for address in [address for address, bound in self.endpoints.items() if bound == (host, link)]:
            del self.endpoints[address]

    def bind_anywhere(self, host: MemoryHost, link: LinkId, address: str) -> LinkOpened | LinkFailed:
        """Bind an endpoint for ``BindEndpoint``; port 0 takes the next one that is free on the host."""
        name, _, port = address.rpartition(":")
        if port == "0":
            address = next(free for n in range(40_000, 65_536) if (free := f"{name}:{n}") not in self.endpoints)
        if address in self.endpoints:
            return LinkFailed(link, f"{address} is taken", self.now)
        self.endpoints[address] = (host, link)
        return LinkOpened(link, self.now)

    # ---- what may happen to packets and datagrams on their way; streams are not touched

    def impair(self, one: MemoryHost, other: MemoryHost, impairment: Impairment, *, both_ways: bool = True) -> None:
        """Let packets and datagrams from one to the other, or both ways, suffer from now on."""
        self.paths.impair(one.name, other.name, impairment)
        if both_ways:
            self.paths.impair(other.name, one.name, impairment)

    def partition(self, one: MemoryHost, other: MemoryHost) -> None:
        """Let nothing through between the two; what is on its way arrives."""
        self.paths.cut(one.name, other.name)

    def heal(self, one: MemoryHost, other: MemoryHost) -> None:
        """End the partition; the impairments are as they were."""
        self.paths.join(one.name, other.name)

    def carry(
        self,
        sender: MemoryHost,
        receiver: MemoryHost,
        data: bytes,
        event: Callable[[bytes, Now], LinkEvent],
    ) -> None:
        """Send one packet along its path; each copy that arrives becomes an event at the receiver."""
        tampered = self.tamper(data)

        def arrive() -> None:
            self.bytes_seen.append((sender.name, receiver.name, tampered))
            receiver.queue.append(event(tampered, self.now))

        self.paths.carry(sender.name, receiver.name, len(tampered), self.now.monotonic, arrive)

    # ---- time

    def run(self) -> None:
        """Run until no node has anything to do; time stands still."""
        while self._step():
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass at once, then run; what is due by then happens at the end of it."""
        self.now = Now(self.now.monotonic + seconds, self.now.unix + int(seconds))
        self._run_with_timers()

    def run_for(self, seconds: float) -> None:
        """Let time pass from one moment to the next: every timer and every arrival happens at its own time."""
        begun = self.now
        end = begun.monotonic + seconds
        self._run_with_timers()
        while (moment := self._next_moment()) is not None and moment <= end:
            self.now = Now(moment, begun.unix + int(moment - begun.monotonic))
            self._run_with_timers()
        self.now = Now(end, begun.unix + int(seconds))

    def _run_with_timers(self) -> None:
        while any(host.fire_timers() for host in self.hosts) or self._step():
            pass

    def _next_moment(self) -> float | None:
        moments = [at for host in self.hosts for at in host.timers.values()]
        arrival = self.paths.next_arrival
        return min(moments if arrival is None else [*moments, arrival], default=None)

    def _step(self) -> bool:
        arrived = self.paths.arrive(self.now.monotonic)
        return any(host.step() for host in self.hosts) or arrived
