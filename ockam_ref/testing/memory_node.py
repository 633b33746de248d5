"""One node of a ``MemoryNetwork`` and its surroundings: timers, portal sockets, the applications behind it."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from ockam_ref.effects import (
    ArmTimer,
    Backlog,
    BindEndpoint,
    CloseLink,
    Deliver,
    DisarmTimer,
    FinishSending,
    HostEffects,
    OpenLink,
    Report,
    ReportDrained,
    SendBytes,
    SendDatagrams,
    StartReading,
    StopReading,
)
from ockam_ref.events import (
    BytesReceived,
    DatagramsReceived,
    LinkAccepted,
    LinkClosed,
    LinkDrained,
    LinkEvent,
    LinkFailed,
    LinkFinished,
    LinkOpened,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.machine import LinkId
from ockam_ref.node import Node
from ockam_ref.observations import Observation
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage

if TYPE_CHECKING:
    from ockam_ref.testing.memory_host import MemoryNetwork


@dataclass
class Socket:
    """One end of a portal's byte stream, as the application would hold it; ``open`` until either side closed it.

    ``broken`` when the node closed it with a reset.
    """

    received: bytearray = field(default_factory=bytearray)
    open: bool = True
    broken: bool = False
    finished: bool = False
    reading: bool = False
    stalled: bool = False
    waiting: deque[bytes] = field(default_factory=deque)
    finish_after: bool = False
    drain_wanted: bool = False


class MemoryHost:
    """One node and its surroundings."""

    def __init__(self, network: "MemoryNetwork", name: str) -> None:
        self.name = name
        self.network = network
        self.node = Node(entropy=network.random.randbytes)
        self.delivered: list[LocalMessage] = []
        self.observations: list[Observation] = []
        self.timers: dict[tuple[Address, str], float] = {}
        self.targets: dict[str, Socket | None] = {}
        self.target_sockets: list[Socket] = []
        self.sockets: dict[LinkId, Socket] = {}
        self.peers: dict[LinkId, tuple[MemoryHost, LinkId]] = {}
        self.packet_links: set[LinkId] = set()
        self.queue: deque[LinkEvent | LinkAccepted] = deque()
        self.backlogs: dict[LinkId | Address, int] = {}

    # ---- what a test does

    def start(self, config: object) -> Address:
        """Start a worker; return its primary address."""
        address, effects = self.node.start(config, self.network.now)
        self._carry_out(effects)
        return address

    def tell(self, worker: Address, event: WorkerEvent) -> None:
        """Give one worker an event."""
        self._carry_out(self.node.tell(worker, event))

    def stop(self, address: Address, reason: str = "stopped") -> None:
        """Stop a worker."""
        self._carry_out(self.node.stop(address, self.network.now, reason))

    def send(self, source: Address, message: LocalMessage) -> None:
        """Send a message from one of this node's mailboxes."""
        self._carry_out(self.node.forward(source, message, self.network.now))

    def feed(self, event: LinkEvent | LinkAccepted) -> None:
        """Give the node an event of a link, now."""
        self._carry_out(self.node.receive(event))

    def connect_client(self, inlet: Address) -> Socket:
        """Open a client connection to an inlet; return the client's end."""
        link = self.node.new_link()
        socket = self.sockets[link] = Socket()
        self.feed(LinkAccepted(link, inlet, self.network.now))
        return socket

    def write(self, socket: Socket, data: bytes) -> None:
        """Write as the application would; the bytes wait until the node reads."""
        socket.waiting.append(data)

    def finish(self, socket: Socket) -> None:
        """Shut down the application's sending direction, after what was written."""
        socket.finish_after = True

    def reset(self, socket: Socket) -> None:
        """Break the application's connection."""
        socket.open = False
        link = self._link_of(socket)
        self.feed(LinkClosed(link, "connection reset", self.network.now))

    def observed(self, kind: type[Observation]) -> list[Observation]:
        """Return the observations of one kind, oldest first."""
        return [observation for observation in self.observations if isinstance(observation, kind)]

    # ---- the loop

    def step(self) -> bool:
        """Do what can be done now; return whether there was anything."""
        busy = False
        while self.queue:
            busy = True
            self.feed(self.queue.popleft())
        for link, socket in list(self.sockets.items()):
            while socket.open and socket.reading and socket.waiting:
                busy = True
                self.feed(BytesReceived(link, socket.waiting.popleft(), self.network.now))
            if socket.open and socket.reading and socket.finish_after and not socket.waiting:
                busy, socket.finish_after = True, False
                self.feed(LinkFinished(link, self.network.now))
            if socket.open and socket.drain_wanted and not socket.stalled:
                busy, socket.drain_wanted = True, False
                self.feed(LinkDrained(link, self.network.now))
        return busy

    def fire_timers(self) -> bool:
        """Fire what is due; return whether anything was."""
        now = self.network.now
        due = [key for key, at in self.timers.items() if at <= now.monotonic]
        for key in due:
            if self.timers.pop(key, None) is not None:
                worker, name = key
                self.tell(worker, TimerFired(name, now))
        return bool(due)

    def _link_of(self, socket: Socket) -> LinkId:
        return next(link for link, other in self.sockets.items() if other is socket)

    def _carry_out(self, effects: HostEffects) -> None:
        now = self.network.now
        for effect in effects:
            match effect:
                case SendBytes(link, chunks):
                    self._send(link, b"".join(chunks))
                case OpenLink(link, target, _):
                    socket = self.targets.get(target)
                    if target in self.network.listening:
                        self._open(link, *self.network.listening[target])
                    elif socket is None:
                        self.queue.append(LinkFailed(link, f"connection to {target} refused", now))
                    else:
                        if any(used is socket for used in self.sockets.values()):
                            socket = self.targets[target] = Socket()
                        self.sockets[link] = socket
                        self.target_sockets.append(socket)
                        self.queue.append(LinkOpened(link, now))
                case BindEndpoint(link, address):
                    self.queue.append(self.network.bind_anywhere(self, link, address))
                case StartReading(link) | StopReading(link):
                    if link in self.sockets:
                        self.sockets[link].reading = isinstance(effect, StartReading)
                case FinishSending(link):
                    self.sockets[link].finished = True
                case ReportDrained(link):
                    self.sockets[link].drain_wanted = True
                case CloseLink(link, _, broken):
                    self._close(link, broken=broken)
                case ArmTimer(worker, name, at):
                    self.timers[worker, name] = at
                case DisarmTimer(worker, name):
                    self.timers.pop((worker, name), None)
                case SendDatagrams(link, target, datagrams):
                    self._send_datagrams(link, target, datagrams)
                case Backlog(sink, waiting):
                    self.backlogs[sink] = waiting
                case Deliver(_, _, message):
                    self.delivered.append(message)
                case Report(observation):
                    self.observations.append(observation)
                case _:
                    assert_never(effect)

    def _open(self, link: LinkId, server: "MemoryHost", listener: Address) -> None:
        far = server.node.new_link()
        self.peers[link] = (server, far)
        server.peers[far] = (self, link)
        server.queue.append(LinkAccepted(far, listener, self.network.now))
        self.queue.append(LinkOpened(link, self.network.now))

    def _send(self, link: LinkId, data: bytes) -> None:
        if link in self.sockets:
            self.sockets[link].received += data
        elif link in self.peers:
            host, other = self.peers[link]
            if link in self.packet_links:
                self.network.carry(self, host, data, lambda packet, now: BytesReceived(other, packet, now))
                return
            for tampered in self.network.tampered(self.name, host.name, data):
                self.network.bytes_seen.append((self.name, host.name, tampered))
                host.queue.append(BytesReceived(other, tampered, self.network.now))

    def _send_datagrams(self, link: LinkId, target: str, datagrams: tuple[bytes | memoryview, ...]) -> None:
        found = self.network.endpoints.get(target)
        source = next(
            (address for address, bound in self.network.endpoints.items() if bound == (self, link)), "0.0.0.0:0"
        )
        if found is not None:
            host, other = found
            for datagram in datagrams:
                self.network.carry(
                    self, host, bytes(datagram), lambda data, now: DatagramsReceived(other, source, (data,), now)
                )

    def _close(self, link: LinkId, *, broken: bool) -> None:
        if link in self.sockets:
            self.sockets[link].open = False
            self.sockets[link].broken = broken
        elif link in self.peers:
            host, other = self.peers.pop(link)
            self.packet_links.discard(link)
            if host.peers.pop(other, None) is not None:
                host.queue.append(LinkFinished(other, self.network.now))
        else:
            self.network.unbind(self, link)
