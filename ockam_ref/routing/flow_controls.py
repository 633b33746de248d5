"""Flow controls: which local workers a message from outside may reach (facts 06 section 4).

Three roles.  A *producer* injects messages from outside (a transport's receiver, a channel's decryptor).  A *spawner*
makes producers (a listener).  A *consumer* of an id may be reached by the producers of that id, or by those whose
spawner has it.  Messages between ordinary workers of one node are never restricted.

The registry is one of the node's tables: it holds an entry for every connection, so it is edited in place and copied by
nobody.  Every edit is idempotent and none fails.
"""

from typing import NamedTuple

from ockam_ref.wire.address import Address


class Producer(NamedTuple):
    """The flow control of one producer, and that of the spawner which made it, if one did."""

    flow_control_id: str
    spawner_id: str | None


class FlowControls:
    """The registry of one node."""

    __slots__ = ("additional", "consumers", "producers", "spawners")

    def __init__(self) -> None:
        self.consumers: dict[str, set[Address]] = {}
        self.producers: dict[Address, Producer] = {}
        self.additional: dict[Address, Address] = {}
        self.spawners: dict[Address, str] = {}

    def allows(self, flow_control_id: str, spawner_id: str | None, next_hop: Address) -> bool:
        """Decide for a producer with these ids; the next hop counts as it is written in the route."""
        consumers = self.consumers.get(flow_control_id)
        if consumers is not None and next_hop in consumers:
            return True
        if spawner_id is None:
            return False
        consumers = self.consumers.get(spawner_id)
        return consumers is not None and next_hop in consumers

    def add_consumer(self, address: Address, flow_control_id: str) -> None:
        """Let producers of the id, and of spawners with it, reach the address; the id need not exist yet."""
        self.consumers.setdefault(flow_control_id, set()).add(address)

    def add_producer(
        self, address: Address, flow_control_id: str, spawner_id: str | None, additional: tuple[Address, ...]
    ) -> None:
        """Register (or overwrite) a producer; routes may know it under the additional addresses."""
        self.producers[address] = Producer(flow_control_id, spawner_id)
        self.additional[address] = address
        for other in additional:
            self.additional[other] = address

    def add_spawner(self, address: Address, flow_control_id: str) -> None:
        """Register (or overwrite) a spawner."""
        self.spawners[address] = flow_control_id

    def find_producer(self, address: Address) -> Producer | None:
        """Return the producer known under that address, its own or an additional one."""
        producer = self.additional.get(address)
        return None if producer is None else self.producers.get(producer)

    def add_consumer_of_producer(self, address: Address, producer: Address, *, exact: bool = False) -> None:
        """Let the flow control of ``producer`` reach the address; nothing happens where there is no producer."""
        found = self.producers.get(producer) if exact else self.find_producer(producer)
        if found is not None:
            self.add_consumer(address, found.flow_control_id)

    def ids_of_consumer(self, address: Address) -> tuple[str, ...]:
        """Return every id of which the address is a consumer, ascending."""
        return tuple(sorted(key for key, members in self.consumers.items() if address in members))

    def forget(self, address: Address) -> None:
        """Remove the address in all its roles, and consumer sets that nobody can use any more (facts 06 4.6)."""
        spawned = self.spawners.pop(address, None)
        if spawned is not None and not self._is_spawned(spawned):
            self.consumers.pop(spawned, None)
        producer = self.producers.pop(address, None)
        if producer is not None:
            for alias in [alias for alias, owner in self.additional.items() if owner == address]:
                del self.additional[alias]
            if producer.spawner_id is not None and not self._is_spawned(producer.spawner_id):
                self.consumers.pop(producer.spawner_id, None)
            if all(other.flow_control_id != producer.flow_control_id for other in self.producers.values()):
                self.consumers.pop(producer.flow_control_id, None)
        for key in [key for key, members in self.consumers.items() if address in members]:
            self.consumers[key].discard(address)
            if not self.consumers[key]:
                del self.consumers[key]

    def _is_spawned(self, spawner_id: str) -> bool:
        """Whether a spawner has the id, or a living producer names it as its spawner."""
        return spawner_id in self.spawners.values() or any(
            producer.spawner_id == spawner_id for producer in self.producers.values()
        )
