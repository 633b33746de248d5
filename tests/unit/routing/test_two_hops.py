"""Two TCP hops through a relay worker of the user's own: the table and the bytes of facts 01 section 5.7."""

import pytest

from ockam_ref.links.link_listener import LinkListener
from ockam_ref.machine import Mailbox
from ockam_ref.testing.memory_host import MemoryNetwork
from ockam_ref.wire.address import local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from ockam_ref.workers.hop import Hop
from tests.unit.nodes import Delivery, TracedHost, route

TO_MIDDLE = "8482820054666f72776172645f746f5f726573706f6e6465728200466563686f6572818200436170704d0c48656c6c6f204f636b616d21627b7d"
TO_RESPONDER = "84818200466563686f657282820044635f6d698200436170704d0c48656c6c6f204f636b616d21627b7d"
BACK_TO_MIDDLE = "8482820044635f6d69820043617070818200466563686f65724d0c48656c6c6f204f636b616d21627b7d"
BACK_TO_INITIATOR = "848182004361707082820044635f6d728200466563686f65724d0c48656c6c6f204f636b616d21627b7d"


class ThreeNodes:
    """Initiator, middle and responder; connection addresses have the names of the worked example."""

    def __init__(self) -> None:
        self.net = MemoryNetwork()
        self.responder = TracedHost(self.net, "R", "r_lst", "c_rm", "r_rx", "P_R")
        self.middle = TracedHost(self.net, "M", "c_mr", "m_rx", "C_R", "m_lst", "c_mi", "m_rx2", "P_I")
        self.initiator = TracedHost(self.net, "I", "c_im", "i_rx", "C_M")
        self.responder.start(LinkListener("S_R"))
        self.responder.start(Echo(local("echoer"), ("S_R",)))
        self.net.connect(self.middle, self.responder, local("r_lst"))
        self.middle.start(LinkListener("S_M"))
        self.net.connect(self.initiator, self.middle, local("m_lst"))
        self.initiator.start(Application((Mailbox(local("app")),), ("C_M",)))
        for host in self.net.hosts:
            assert isinstance(host, TracedHost)
            host.trace.clear()
        self.net.bytes_seen.clear()

    def send(self, onward: str) -> None:
        self.initiator.send(local("app"), LocalMessage(route(onward), route("app"), encode_body("Hello Ockam!")))
        self.run()

    def run(self) -> None:
        """Run everything, the user's relay worker at the middle too."""
        self.net.run()
        while self.middle.delivered:
            self.relay(self.middle.delivered.pop(0), (local("c_mr"),))
            self.net.run()

    def relay(self, message: LocalMessage, forward_route: Route) -> None:
        """Do what the relay worker of the examples does: open both sides to each other, then pass the message on."""
        registry = self.middle.node.flow_controls
        following, previous = forward_route[0], message.return_route[0]
        registry.add_consumer_of_producer(previous, following)
        registry.add_consumer_of_producer(following, previous)
        onward_route = forward_route + message.onward_route[1:]
        self.middle.send(local("forward_to_responder"), message._replace(onward_route=onward_route))

    def wire(self) -> list[tuple[str, str, str]]:
        """What went over the two connections: from, to, the CBOR in hexadecimal."""
        seen = []
        for source, destination, data in self.net.bytes_seen:
            assert int.from_bytes(data[:4], "big") == len(data) - 4
            seen.append((source, destination, data[4:].hex()))
        return seen


@pytest.mark.spec("RT-43", "RT-40", "RT-41")
def test_the_bytes_of_the_worked_example() -> None:
    nodes = ThreeNodes()
    nodes.middle.start(Application((Mailbox(local("forward_to_responder")),), ("S_M",)))
    nodes.send("c_im forward_to_responder echoer")
    assert nodes.wire() == [
        ("I", "M", TO_MIDDLE),
        ("M", "R", TO_RESPONDER),
        ("R", "M", BACK_TO_MIDDLE),
        ("M", "I", BACK_TO_INITIATOR),
    ]
    (answer,) = nodes.initiator.delivered
    assert (answer.onward_route, answer.return_route) == (route("app"), route("c_im c_mr echoer"))
    assert answer.payload == encode_body("Hello Ockam!")


@pytest.mark.spec("RT-43")
def test_the_routes_of_the_worked_example() -> None:
    nodes = ThreeNodes()
    nodes.middle.start(Application((Mailbox(local("forward_to_responder")),), ("S_M",)))
    nodes.send("c_im forward_to_responder echoer")
    assert nodes.initiator.trace == [
        Delivery(route("c_im forward_to_responder echoer"), route("app")),
        Delivery(route("app"), route("c_im c_mr echoer")),
    ]
    assert nodes.middle.trace == [
        Delivery(route("forward_to_responder echoer"), route("c_mi app")),
        Delivery(route("c_mr echoer"), route("c_mi app")),
        Delivery(route("c_mi app"), route("c_mr echoer")),
    ]
    assert nodes.responder.trace == [
        Delivery(route("echoer"), route("c_rm c_mi app")),
        Delivery(route("c_rm c_mi app"), route("echoer")),
    ]


@pytest.mark.spec("RT-42")
def test_a_hop_in_the_place_of_the_relay_is_on_the_way_back() -> None:
    nodes = ThreeNodes()
    nodes.middle.start(Hop(local("h1"), ("S_M", "C_R")))
    nodes.send("c_im h1 c_mr echoer")
    assert nodes.responder.trace[0] == Delivery(route("echoer"), route("c_rm h1 c_mi app"))
    assert nodes.middle.trace == [
        Delivery(route("h1 c_mr echoer"), route("c_mi app")),
        Delivery(route("c_mr echoer"), route("h1 c_mi app")),
        Delivery(route("h1 c_mi app"), route("c_mr echoer")),
        Delivery(route("c_mi app"), route("h1 c_mr echoer")),
    ]
    (answer,) = nodes.initiator.delivered
    assert answer.return_route == route("c_im h1 c_mr echoer")
