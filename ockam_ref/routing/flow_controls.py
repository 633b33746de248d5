"""Flow controls: which local workers a message from outside may reach (facts 06 section 4).

Three roles.  A *producer* injects messages from outside (a transport's receiver, a channel's decryptor).  A *spawner*
makes producers (a listener).  A *consumer* of an id may be reached by the producers of that id, or by those whose
spawner has it.  Messages between ordinary workers of one node are never restricted.

The registry is one of the node's tables: it holds an entry for every connection, so it is edited in place and copied by
nobody.  Every edit is idempotent and none fails.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from ockam_ref.wire.address import Address, any_of_type


class Producer(NamedTuple):
    """The flow control of one producer, and that of the spawner which made it, if one did."""

    flow_control_id: str
    spawner_id: str | None


class FlowControls:
    """The registry of one node.

    Four tables say everything, and the methods below are the only way to edit them.  Beside them stand an index and two
    counts, so that a worker which stops costs the same however many connections there are.
    """

    __slots__ = ("_additional", "_aliases", "_consumers", "_ids", "_producers", "_producing", "_spawners", "_spawning")

    def __init__(self) -> None:
        self._consumers: dict[str, set[Address]] = {}
        self._producers: dict[Address, Producer] = {}
        self._additional: dict[Address, Address] = {}
        self._spawners: dict[Address, str] = {}
        self._ids: dict[Address, set[str]] = {}  # of each consumer
        self._aliases: dict[Address, set[Address]] = {}  # of each producer
        self._producing: dict[str, int] = {}  # producers of each id
        self._spawning: dict[str, int] = {}  # spawners of each id, and producers that name it as their spawner's

    @property
    def consumers(self) -> Mapping[str, AbstractSet[Address]]:
        """The consumers of each id."""
        return self._consumers

    @property
    def producers(self) -> Mapping[Address, Producer]:
        """The producers, each under its own address."""
        return self._producers

    @property
    def additional(self) -> Mapping[Address, Address]:
        """The own address of a producer, under each address by which routes know it; its own is one of them."""
        return self._additional

    @property
    def spawners(self) -> Mapping[Address, str]:
        """The ids of the spawners."""
        return self._spawners

    def allows(self, flow_control_id: str, spawner_id: str | None, next_hop: Address) -> bool:
        """Decide for a producer with these ids; the next hop counts as it is written in the route.

        A hop of another transport may also be reached where ``any_of_type`` of its transport is a consumer.
        """
        consumers = self._consumers.get(flow_control_id)
        if consumers is not None and next_hop in consumers:
            return True
        if spawner_id is not None:
            consumers = self._consumers.get(spawner_id)
            if consumers is not None and next_hop in consumers:
                return True
        if next_hop.transport_type and next_hop.value:
            return self.allows(flow_control_id, spawner_id, any_of_type(next_hop.transport_type))
        return False

    def add_consumer(self, address: Address, flow_control_id: str) -> None:
        """Let producers of the id, and of spawners with it, reach the address; the id need not exist yet."""
        self._consumers.setdefault(flow_control_id, set()).add(address)
        self._ids.setdefault(address, set()).add(flow_control_id)

    def add_producer(
        self, address: Address, flow_control_id: str, spawner_id: str | None, additional: tuple[Address, ...]
    ) -> None:
        """Register (or overwrite) a producer; routes may know it under the additional addresses."""
        self._uncount_producer(address)
        self._producers[address] = Producer(flow_control_id, spawner_id)
        self._producing[flow_control_id] = self._producing.get(flow_control_id, 0) + 1
        if spawner_id is not None:
            self._spawning[spawner_id] = self._spawning.get(spawner_id, 0) + 1
        for alias in (address, *additional):
            before = self._additional.get(alias)
            if before is not None:
                self._aliases[before].discard(alias)
            self._additional[alias] = address
            self._aliases.setdefault(address, set()).add(alias)

    def add_spawner(self, address: Address, flow_control_id: str) -> None:
        """Register (or overwrite) a spawner."""
        before = self._spawners.get(address)
        if before is not None:
            _uncount(self._spawning, before)
        self._spawners[address] = flow_control_id
        self._spawning[flow_control_id] = self._spawning.get(flow_control_id, 0) + 1

    def find_producer(self, address: Address) -> Producer | None:
        """Return the producer known under that address, its own or an additional one."""
        producer = self._additional.get(address)
        return None if producer is None else self._producers[producer]

    def add_consumer_of_producer(self, address: Address, producer: Address, *, exact: bool = False) -> None:
        """Let the flow control of ``producer`` reach the address; nothing happens where there is no producer."""
        found = self._producers.get(producer) if exact else self.find_producer(producer)
        if found is not None:
            self.add_consumer(address, found.flow_control_id)

    def join_producer(self, address: Address, producer: Address) -> None:
        """Make the address a producer in the flow control of ``producer``; nothing happens where there is none."""
        found = self.find_producer(producer)
        if found is not None:
            self.add_producer(address, found.flow_control_id, None, ())

    def ids_of_consumer(self, address: Address) -> tuple[str, ...]:
        """Return every id of which the address is a consumer, ascending."""
        return tuple(sorted(self._ids.get(address, ())))

    def forget(self, address: Address) -> None:
        """Remove the address in all its roles, and consumer sets that nobody can use any more (facts 06 4.6)."""
        spawned = self._spawners.pop(address, None)
        if spawned is not None and _uncount(self._spawning, spawned):
            self._forget_consumers(spawned)
        if address in self._producers:
            for unused in self._uncount_producer(address):
                self._forget_consumers(unused)
            del self._producers[address]
            for alias in self._aliases.pop(address):
                del self._additional[alias]
        for flow_control_id in self._ids.pop(address, ()):
            members = self._consumers[flow_control_id]
            members.discard(address)
            if not members:
                del self._consumers[flow_control_id]

    def _uncount_producer(self, address: Address) -> list[str]:
        """Return the ids that this producer was the last one to use; there may be no such producer."""
        found = self._producers.get(address)
        unused = []
        if found is not None:
            if found.spawner_id is not None and _uncount(self._spawning, found.spawner_id):
                unused.append(found.spawner_id)
            if _uncount(self._producing, found.flow_control_id):
                unused.append(found.flow_control_id)
        return unused

    def _forget_consumers(self, flow_control_id: str) -> None:
        for consumer in self._consumers.pop(flow_control_id, ()):
            ids = self._ids[consumer]
            ids.discard(flow_control_id)
            if not ids:
                del self._ids[consumer]


def _uncount(counts: dict[str, int], flow_control_id: str) -> bool:
    """Count one less; return whether that was the last."""
    left = counts[flow_control_id] - 1
    if left:
        counts[flow_control_id] = left
        return False
    del counts[flow_control_id]
    return True
