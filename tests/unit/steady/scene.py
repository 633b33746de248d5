"""Two nodes in memory with two links between them: two paths for a steady link."""

from ockam_ref.events import PathOffered
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.links.node_link import LinkState
from ockam_ref.machine import Mailbox
from ockam_ref.steady.initiator import SteadyLink
from ockam_ref.steady.listener import SteadyListener
from ockam_ref.testing.memory_host import MemoryNetwork
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo

APP, STEADY, ECHO = local("app"), local("steady"), local("echo")


class Scene:
    """``first`` and ``second`` are a's hops to b; ``link`` opens a steady link along the first."""

    def __init__(self) -> None:
        self.network = network = MemoryNetwork()
        self.a, self.b = network.host("a"), network.host("b")
        listener = self.b.start(LinkListener("tcp"))
        self.b.start(SteadyListener(STEADY, "links", ("tcp",)))
        self.b.start(Echo(ECHO, ("links",)))
        self.a.start(Application((Mailbox(APP),), ("mine",)))
        self.first, self.second = (network.connect(self.a, self.b, listener) for _ in range(2))

    def link(self) -> Address:
        """Open a steady link; return its hop."""
        hop = self.a.start(SteadyLink((self.first, STEADY), "mine"))
        self.network.run()
        return hop

    def responder(self) -> Address:
        """The worker at the other end of the only link."""
        return next(address for address in self.b.node.addresses() if address.value.startswith(b"steady."))

    def say(self, hop: Address, payload: bytes, worker: Address = ECHO) -> None:
        """Send to a worker of b."""
        self.a.send(APP, LocalMessage((hop, worker), (APP,), payload))
        self.network.run()

    def move(self, hop: Address, *path: Address, packet: int = 1000) -> None:
        """Offer a path."""
        self.a.tell(hop, PathOffered(path, packet, self.network.now))
        self.network.run()

    def cut(self, hop: Address) -> None:
        """From now on nothing arrives that goes over that link, and nobody is told."""
        state = self.a.node.state_of(hop)
        assert isinstance(state, LinkState)
        host, other = self.a.peers.pop(state.link)
        host.peers.pop(other)

    def heard(self) -> list[bytes]:
        """What came back to the application, in order."""
        return [bytes(message.payload) for message in self.a.delivered]
