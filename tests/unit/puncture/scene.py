"""Three nodes in memory: a rendezvous service, and two ends that reach each other over a link and may puncture."""

from collections.abc import Callable
from typing import Final

from ockam_ref.links.link_listener import LinkListener
from ockam_ref.links.udp_endpoint import UdpEndpoint
from ockam_ref.machine import LinkId, Mailbox
from ockam_ref.observations import PunctureNegotiated
from ockam_ref.puncture.initiator import Puncture
from ockam_ref.puncture.listener import PunctureListener
from ockam_ref.puncture.rendezvous_service import RendezvousService
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.wire.address import UDP, Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.puncture_message import PunctureMessage, decode_puncture_message
from ockam_ref.wire.route import Route
from ockam_ref.wire.transport_message import TransportMessage, decode_transport_message
from ockam_ref.wire.udp_datagram import decode_slice
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from tests.unit.nodes import observed

SERVICE: Final = "203.0.113.1:4000"
RENDEZVOUS: Final[Route] = (Address(UDP, SERVICE.encode()), local("rendezvous"))
APP: Final = local("app")


class Host(MemoryHost):
    """A host whose datagrams are on record, and pass only if ``passes(target, message)`` says so."""

    def __init__(self, network: MemoryNetwork, name: str) -> None:
        super().__init__(network, name)
        network.hosts.append(self)
        self.sent: list[tuple[str, TransportMessage]] = []
        self.passes: Callable[[str, TransportMessage], bool] = lambda _, __: True

    def _send_datagrams(self, link: LinkId, target: str, datagrams: tuple[bytes | memoryview, ...]) -> None:
        message = decode_transport_message(b"".join(bytes(decode_slice(one).data) for one in datagrams))
        self.sent.append((target, message))
        if self.passes(target, message):
            super()._send_datagrams(link, target, datagrams)

    def said(self) -> list[tuple[Route, PunctureMessage]]:
        """The puncture messages among what was sent, with their onward routes."""
        return [(m.onward_route, decode_puncture_message(m.payload)) for t, m in self.sent if t != SERVICE]


class Scene:
    """``ask`` begins a puncture from ``a`` to ``b``; ``hop`` is the link that leads there already."""

    def __init__(self) -> None:
        self.network = network = MemoryNetwork()
        self.server, self.a, self.b = (Host(network, name) for name in ("server", "a", "b"))
        self.server.start(UdpEndpoint(network.bind(self.server, SERVICE), flow_control_id="udp"))
        self.server.start(RendezvousService(local("rendezvous"), ("udp",)))
        listener = self.b.start(LinkListener("tcp"))
        self.listener = self.b.start(PunctureListener(local("udp"), RENDEZVOUS, "punctures", ("tcp",)))
        self.b.start(Echo(local("echo"), ("punctures", "tcp")))
        self.a.start(Application((Mailbox(APP),), ("hole",)))
        self.hop = network.connect(self.a, self.b, listener)

    def ask(self) -> Address:
        """Begin a puncture; return its hop."""
        worker = self.a.start(Puncture((self.hop, local("udp")), RENDEZVOUS, "hole"))
        self.network.run()
        return worker

    def other(self) -> Address:
        """The hop of the latest puncture of ``b``."""
        return observed(self.b, PunctureNegotiated)[-1].worker

    def say(self, hop: Address, payload: bytes) -> None:
        """Send to the echo worker of ``b``."""
        self.a.send(APP, LocalMessage((hop, local("echo")), (APP,), payload))
        self.network.run()
