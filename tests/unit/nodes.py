"""Nodes for tests: with names in place of random addresses, with every local delivery on record, with puppets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from typing import Any, Final, NamedTuple, TypeVar

from ockam_ref.effects import Effects, HostEffects, Report
from ockam_ref.events import MessageReceived, WorkerEvent
from ockam_ref.links.node_link import LinkState
from ockam_ref.machine import AnyMachine, Fresh, Machine, Mailbox, Needs, Now, Worker
from ockam_ref.node import Node
from ockam_ref.observations import MessageDropped, Observation
from ockam_ref.registry import MACHINES
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route
from ockam_ref.wire.transport_message import (
    TransportMessage,
    decode_transport_message,
    encode_transport_message,
)

NOW: Final = Now(100.0, 1_700_000_000)

Seen = TypeVar("Seen", bound=Observation)


# ---- names and traces


class _Named(bytes):
    """Random bytes whose hexadecimal form, of which addresses are made, is a name."""

    def hex(self, *_: object) -> str:
        return self.decode()


def names(*given: str) -> Callable[[int], bytes]:
    """Entropy that gives the addresses and flow control ids of new workers these names, in order."""
    left = list(given)
    secrets = count()

    def entropy(size: int) -> bytes:
        return sha256(b"secret %d" % next(secrets)).digest() if size == 32 else _Named(left.pop(0).encode())

    return entropy


class Delivery(NamedTuple):
    """A message that a worker was given."""

    onward_route: Route
    return_route: Route


def traced(trace: list[Delivery]) -> Mapping[type[Any], AnyMachine]:
    """All machines of the registry; each message that reaches one of them is put on record."""

    def watched(machine: AnyMachine) -> AnyMachine:
        def receive(state: Any, event: WorkerEvent) -> tuple[Any, Effects]:
            if isinstance(event, MessageReceived):
                trace.append(Delivery(event.message.onward_route, event.message.return_route))
            return machine.receive(state, event)

        return replace(machine, receive=receive)

    return {config: watched(machine) for config, machine in MACHINES.items()}


class TracedHost(MemoryHost):
    """A host whose workers have these names, and which records what they are given."""

    def __init__(self, network: MemoryNetwork, name: str, *given: str) -> None:
        super().__init__(network, name)
        self.trace: list[Delivery] = []
        self.node = Node(entropy=names(*given), machines=traced(self.trace))
        network.hosts.append(self)


# ---- what was said


def links(node: Node) -> list[Address]:
    """The connections of a node by their senders, oldest first."""
    states = ((node.state_of(address), address) for address in node.addresses())
    return [address for _, address in sorted((state.link, a) for state, a in states if isinstance(state, LinkState))]


def observed(host: MemoryHost, kind: type[Seen]) -> list[Seen]:
    return [seen for seen in host.observations if isinstance(seen, kind)]


def reported(effects: Effects | HostEffects, kind: type[Seen]) -> list[Seen]:
    reports = [effect.observation for effect in effects if isinstance(effect, Report)]
    return [seen for seen in reports if isinstance(seen, kind)]


def rules(effects: Effects | HostEffects) -> list[str]:
    """The rules of the drops among these effects."""
    return [dropped.rule for dropped in reported(effects, MessageDropped)]


class Carried(NamedTuple):
    """A message on its way between two hosts."""

    source: str
    destination: str
    onward_route: Route
    return_route: Route


def carried(network: MemoryNetwork) -> list[Carried]:
    """What went over the links since the list was last cleared; each chunk of bytes is one frame or a version byte."""
    found = []
    for source, destination, data in network.bytes_seen:
        if data != b"\x01":
            assert int.from_bytes(data[:4], "big") == len(data) - 4
            message = decode_transport_message(data[4:])
            found.append(Carried(source, destination, message.onward_route, message.return_route))
    return found


def framed(message: TransportMessage | bytes) -> bytes:
    """The frame of a message, or of any bytes."""
    body = message if isinstance(message, bytes) else encode_transport_message(message)
    return len(body).to_bytes(4, "big") + body


def route(text: str) -> Route:
    """A route of local names, one word a hop."""
    return tuple(map(local, text.split()))


def received(onward: str, back: str = "", payload: bytes = b"", *, source: str = "source") -> MessageReceived:
    """The event that a worker gets, its own address in front of the onward route."""
    onward_route = route(onward)
    return MessageReceived(onward_route[0], local(source), LocalMessage(onward_route, route(back), payload), NOW)


def fresh(*given: str, flow_control_ids: tuple[str, ...] = (), secrets: tuple[bytes, ...] = ()) -> Fresh:
    """What a machine draws, addresses by name."""
    return Fresh(tuple(map(local, given)), flow_control_ids, secrets, (), NOW)


# ---- puppets


@dataclass(frozen=True)
class Puppet:
    """A worker that does what a test says: effects at its start, and at each kind of event; it remembers the events."""

    address: Address
    effects: Effects = ()
    answers: Mapping[type[Any], Effects] = field(default_factory=dict)
    more: tuple[Mailbox, ...] = ()
    mailbox: Mailbox | None = None
    seen: list[WorkerEvent] = field(default_factory=list)

    def events(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]

    @property
    def payloads(self) -> list[bytes]:
        return [bytes(event.message.payload) for event in self.events(MessageReceived)]


@dataclass(frozen=True)
class Marionette(Puppet):
    """A puppet of another kind."""


@dataclass(frozen=True)
class Drawer:
    """A worker that shows what was drawn for it."""


def _start(config: Puppet, _: Fresh) -> Worker[Puppet]:
    return Worker((config.mailbox or Mailbox(config.address), *config.more), config, config.effects)


def _receive(state: Puppet, event: WorkerEvent) -> tuple[Puppet, Effects]:
    state.seen.append(event)
    return state, state.answers.get(type(event), ())


PUPPETS: Final[Mapping[type[Any], AnyMachine]] = {
    Puppet: Machine("puppet", _start, _receive),
    Marionette: Machine("marionette", _start, _receive),
    Drawer: Machine(
        "drawer",
        lambda _, fresh: Worker((Mailbox(fresh.addresses[0]),), fresh),
        lambda state, _: (state, ()),
        Needs(addresses=2, flow_control_ids=2, secrets=1, links=2),
    ),
}


class Stage(Node):
    """A node of puppets; ``play`` starts one and keeps what the host must do for it."""

    def __init__(self, entropy: Callable[[int], bytes] = bytes) -> None:
        super().__init__(entropy=entropy, machines=PUPPETS)

    def play(self, *puppets: Puppet) -> HostEffects:
        """Start puppets; return the effects of the last."""
        effects: HostEffects = []
        for puppet in puppets:
            _, effects = self.start(puppet, NOW)
        return effects

    def say(self, source: str, onward: str, payload: bytes = b"", back: str = "") -> HostEffects:
        return self.forward(local(source), LocalMessage(route(onward), route(back), payload), NOW)


def payloads(messages: Iterable[LocalMessage]) -> list[bytes]:
    return [bytes(message.payload) for message in messages]
