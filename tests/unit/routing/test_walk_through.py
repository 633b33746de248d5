"""A secure channel over two hops, with every flow control decision of facts 06 sections 4.7 and 4.8 on whole nodes.

R answers, M is in the middle with a relay worker of its user, I begins; their addresses have the names of the facts.
"""

from collections import Counter
from hashlib import sha256
from typing import NamedTuple

import pytest

from ockam_ref.channels.initiator import HANDSHAKE_TIMEOUT_S, SecureChannel
from ockam_ref.channels.listener import SecureChannelListener
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.identities.local import LocalIdentity, create_local_identity
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.machine import Mailbox
from ockam_ref.node import Node
from ockam_ref.observations import ChannelOpened, HandshakeFailed
from ockam_ref.routing.access_control import ALLOW_ALL, AllowOnward
from ockam_ref.routing.flow_controls import Producer
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from tests.unit.nodes import links, observed

ECHOER, APP, BOB_LISTENER, FORWARD_TO_BOB = map(local, ("echoer", "app", "bob_listener", "forward_to_bob"))
HELLO = encode_body("Hello Ockam!")


def identity(name: str) -> LocalIdentity:
    signing_seed, static_secret = (sha256(f"{name} {key}".encode()).digest() for key in ("signing", "static"))
    return create_local_identity(signing_seed, static_secret, 1_700_000_000)


class Ends(NamedTuple):
    """Both addresses of a TCP connection at one node."""

    tx: Address
    rx: Address


class Channel(NamedTuple):
    """The addresses of one end of a secure channel."""

    d_rem: Address
    d_int: Address
    enc: Address


class Seed:
    """The three programs of the seed, up to the moment before the channel is asked for."""

    def __init__(self, *, listener_is_open: bool = True) -> None:
        self.net = MemoryNetwork(11)
        self.relayed: list[LocalMessage] = []  # what the relay worker at M was given, of the last channel
        self.r, self.m, self.i = (self.net.host(name) for name in "RMI")
        self.r_lst = self.r.start(LinkListener("S_R"))
        opened = ("S_R",) if listener_is_open else ()
        self.r.start(SecureChannelListener(BOB_LISTENER, identity("bob"), "L", consumer_of=opened))
        self.r.start(Echo(ECHOER, ("L",)))
        self.r.start(Application((Mailbox(APP),)))
        self.m_bob = self.connect(self.m, self.r, self.r_lst)
        self.r_tcp = self.links(self.r)[-1]
        self.m_lst = self.m.start(LinkListener("S_M"))
        self.m.start(Application((Mailbox(FORWARD_TO_BOB),), ("S_M",)))
        self.m.start(Application((Mailbox(APP),)))
        self.i_tcp = self.connect(self.i, self.m, self.m_lst)
        self.m_al = self.links(self.m)[-1]
        self.i.start(Application((Mailbox(APP),)))

    def connect(self, client: MemoryHost, server: MemoryHost, listener: Address) -> Ends:
        return Ends(*client.node.addresses_of(self.net.connect(client, server, listener)))

    def links(self, host: MemoryHost) -> list[Ends]:
        """The connections of a node, oldest first."""
        return [Ends(*host.node.addresses_of(address)) for address in links(host.node)]

    def run(self) -> None:
        """Run everything, the relay worker at M too."""
        self.net.run()
        while self.m.delivered:
            message = self.m.delivered.pop(0)
            if message.onward_route[0] != FORWARD_TO_BOB:
                continue
            registry = self.m.node.flow_controls
            registry.add_consumer_of_producer(message.return_route[0], self.m_bob.tx)
            registry.add_consumer_of_producer(self.m_bob.tx, message.return_route[0])
            self.relayed.append(message)
            self.m.send(FORWARD_TO_BOB, message._replace(onward_route=(self.m_bob.tx, *message.onward_route[1:])))
            self.net.run()

    def ask(self, client: MemoryHost, tcp: Ends, flow_control_id: str) -> Channel:
        """Begin a channel from a client of M, and run."""
        self.relayed = []
        route = (tcp.tx, FORWARD_TO_BOB, BOB_LISTENER)
        worker = client.start(SecureChannel(identity("alice"), route, flow_control_id))
        channel = Channel(*client.node.addresses_of(worker))
        self.run()
        return channel

    def open(self) -> tuple[Channel, Channel]:
        """Open the channel of the seed; return I's end and R's."""
        at_i = self.ask(self.i, self.i_tcp, "F")
        opened = observed(self.r, ChannelOpened)[-1]
        return at_i, Channel(*self.r.node.addresses_of(opened.worker))


def producer(node: Node, address: Address) -> Producer:
    found = node.flow_controls.find_producer(address)
    assert found is not None
    return found


def verdict(host: MemoryHost, producer: Address, next_hop: Address) -> str:
    """Let a producer hand a message to a worker; say what the node decided."""
    before = Counter(host.node.drop_counts)
    try:
        host.send(producer, LocalMessage((next_hop,), (), b""))
    except MisuseError as error:
        if error.code is ErrorCode.UNKNOWN_ADDRESS:
            return "not found"
        raise
    return "deny" if (host.node.drop_counts - before)["outgoing:flow-control"] else "allow"


def verdicts(host: MemoryHost, producer: Address, *next_hops: Address) -> set[str]:
    return {verdict(host, producer, next_hop) for next_hop in next_hops}


# ---- section 4.7


@pytest.mark.spec("RT-44")
def test_registry_before_any_message() -> None:
    seed = Seed()
    r, m, i = seed.r.node, seed.m.node, seed.i.node
    assert r.flow_controls.spawners == {seed.r_lst: "S_R", BOB_LISTENER: "L"}
    assert r.flow_controls.consumers == {"S_R": {BOB_LISTENER}, "L": {ECHOER}}
    assert producer(r, seed.r_tcp.rx).spawner_id == "S_R"
    assert producer(r, seed.r_tcp.tx) == producer(r, seed.r_tcp.rx)
    assert producer(m, seed.m_bob.tx).spawner_id is None
    assert producer(m, seed.m_al.tx).spawner_id == "S_M"
    assert m.flow_controls.spawners == {seed.m_lst: "S_M"}
    assert m.flow_controls.consumers == {"S_M": {FORWARD_TO_BOB}}
    assert producer(i, seed.i_tcp.tx).spawner_id is None
    assert i.flow_controls.consumers == {}


@pytest.mark.spec("RT-44", "RT-37", "RT-38")
def test_the_handshake_opens_what_it_needs_and_nothing_else() -> None:
    seed = Seed()
    at_i, at_r = seed.open()
    r, m, i = seed.r.node, seed.m.node, seed.i.node
    # I registers itself with the connection to M, and its end of the channel
    assert i.flow_controls.consumers == {producer(i, seed.i_tcp.tx).flow_control_id: {at_i.d_rem}}
    assert producer(i, at_i.d_int) == producer(i, at_i.enc) == Producer("F", None)
    # the relay worker saw the first message only, and opened exactly the pair of connections
    (first,) = seed.relayed
    assert first.onward_route == (FORWARD_TO_BOB, BOB_LISTENER)
    assert first.return_route == (seed.m_al.tx, at_i.d_rem)
    assert m.flow_controls.consumers == {
        "S_M": {FORWARD_TO_BOB},
        producer(m, seed.m_bob.tx).flow_control_id: {seed.m_al.tx},
        producer(m, seed.m_al.tx).flow_control_id: {seed.m_bob.tx},
    }
    # R's end of the channel may be reached by those who may reach the listener
    assert r.flow_controls.consumers == {"S_R": {BOB_LISTENER, at_r.d_rem}, "L": {ECHOER}}
    assert producer(r, at_r.d_int) == producer(r, at_r.enc)
    assert producer(r, at_r.d_int).spawner_id == "L"
    # nothing was refused on the way
    assert [host.node.drop_counts for host in seed.net.hosts] == [Counter()] * 3


@pytest.mark.spec("RT-44", "RT-37")
def test_a_message_and_its_answer_pass_the_channel() -> None:
    seed = Seed()
    at_i, _ = seed.open()
    child = seed.i.start(Application((Mailbox(local("X"), ALLOW_ALL, AllowOnward(frozenset((at_i.enc,)))),)))
    seed.i.node.flow_controls.add_consumer_of_producer(child, at_i.enc)
    seed.i.send(child, LocalMessage((at_i.enc, ECHOER), (child,), HELLO))
    seed.run()
    (answer,) = seed.i.delivered
    assert (answer.onward_route, answer.return_route) == ((child,), (at_i.enc, ECHOER))
    assert answer.payload == HELLO
    assert len(seed.relayed) == 1
    seed.i.stop(child)
    assert child not in seed.i.node.flow_controls.consumers.get("F", ())


# ---- section 4.8, row by row


@pytest.mark.spec("RT-45")
def test_rows_1_to_5_the_connection_at_the_responder() -> None:
    seed = Seed()
    rx = seed.r_tcp.rx
    assert verdict(seed.r, rx, BOB_LISTENER) == "allow"  # row 1
    seed = Seed()
    rx = seed.r_tcp.rx
    assert verdict(seed.r, rx, ECHOER) == "deny"  # row 2
    not_yet = local("R.d_rem")
    assert verdict(seed.r, rx, not_yet) == "not found"  # row 3
    assert not seed.r.node.flow_controls.allows(*producer(seed.r.node, rx), not_yet)
    _, at_r = seed.open()
    rx = seed.r_tcp.rx
    assert verdict(seed.r, rx, at_r.d_rem) == "allow"  # row 4
    assert verdicts(seed.r, rx, at_r.d_int, at_r.enc, APP, seed.r_tcp.tx, seed.r_lst) == {"deny"}  # row 5


@pytest.mark.spec("RT-45")
def test_row_6_another_connection_to_the_same_listener() -> None:
    seed = Seed()
    _, at_r = seed.open()
    seed.connect(seed.net.host("eve"), seed.r, seed.r_lst)
    rx = seed.links(seed.r)[-1].rx
    assert rx != seed.r_tcp.rx
    assert verdict(seed.r, rx, at_r.d_rem) == "allow"
    assert len(observed(seed.r, ChannelOpened)) == 1  # what it injects does not decrypt


@pytest.mark.spec("RT-45")
def test_rows_7_to_9_what_came_out_of_a_channel() -> None:
    seed = Seed()
    _, at_r = seed.open()
    assert verdict(seed.r, at_r.d_int, ECHOER) == "allow"  # row 7
    assert verdicts(seed.r, at_r.d_int, APP, BOB_LISTENER, at_r.d_rem, seed.r_tcp.tx) == {"deny"}  # row 8
    _, second = seed.open()
    assert second.d_int != at_r.d_int
    assert verdict(seed.r, second.d_int, ECHOER) == "allow"  # row 9


@pytest.mark.spec("RT-45")
def test_rows_10_and_11_before_the_relay_was_used() -> None:
    seed = Seed()
    assert verdict(seed.m, seed.m_al.rx, FORWARD_TO_BOB) == "allow"  # row 10
    seed.m.delivered.clear()
    assert verdict(seed.m, seed.m_al.rx, seed.m_bob.tx) == "deny"  # row 11


@pytest.mark.spec("RT-45", "RT-38")
def test_rows_12_to_16_after_the_relay_was_used() -> None:
    seed = Seed()
    seed.open()
    seed.connect(seed.net.host("eve"), seed.m, seed.m_lst)
    eve = seed.links(seed.m)[-1]
    assert verdict(seed.m, seed.m_al.rx, seed.m_bob.tx) == "allow"  # row 12
    assert verdict(seed.m, eve.rx, seed.m_bob.tx) == "deny"  # row 13
    assert verdict(seed.m, eve.rx, seed.m_al.tx) == "deny"  # row 14
    assert verdict(seed.m, seed.m_bob.rx, seed.m_al.tx) == "allow"  # row 15
    assert verdicts(seed.m, seed.m_bob.rx, eve.tx, FORWARD_TO_BOB, APP) == {"deny"}  # row 16


@pytest.mark.spec("RT-45")
def test_rows_17_to_21_the_initiator() -> None:
    seed = Seed()
    at_i, _ = seed.open()
    assert verdict(seed.i, seed.i_tcp.rx, at_i.d_rem) == "allow"  # row 17
    assert verdicts(seed.i, seed.i_tcp.rx, APP, at_i.enc) == {"deny"}  # row 18
    child = seed.i.start(Application((Mailbox(local("X")),)))
    seed.i.node.flow_controls.add_consumer_of_producer(child, at_i.enc)
    assert verdict(seed.i, at_i.d_int, child) == "allow"  # row 19
    seed.i.stop(child)
    assert verdict(seed.i, at_i.d_int, child) == "not found"  # row 20
    seed.i.start(Application((Mailbox(child),)))
    assert verdict(seed.i, at_i.d_int, child) == "deny"  # row 20, for another worker of that name
    assert verdict(seed.i, at_i.d_int, APP) == "deny"  # row 21
    seed.i.node.flow_controls.add_consumer(APP, "F")
    assert verdict(seed.i, at_i.d_int, APP) == "allow"


@pytest.mark.spec("RT-45", "RT-39")
def test_row_22_a_listener_that_nobody_was_let_to() -> None:
    seed = Seed(listener_is_open=False)
    seed.ask(seed.i, seed.i_tcp, "F")
    assert [(drop.rule, drop.onward_route[0]) for drop in seed.r.node.drops] == [
        ("outgoing:flow-control", BOB_LISTENER)
    ]
    assert observed(seed.i, HandshakeFailed) == []
    seed.net.advance(HANDSHAKE_TIMEOUT_S)
    (failed,) = observed(seed.i, HandshakeFailed)
    assert failed.initiator
    assert observed(seed.r, ChannelOpened) == []


@pytest.mark.spec("RT-45")
def test_row_23_workers_of_one_node_are_not_restricted() -> None:
    host = MemoryNetwork(12).host("alone")
    host.start(SecureChannelListener(local("listener"), identity("bob"), "L"))
    host.start(SecureChannel(identity("alice"), (local("listener"),), "F"))
    assert [opened.initiator for opened in observed(host, ChannelOpened)] == [True, False]
    assert list(host.node.drops) == []
