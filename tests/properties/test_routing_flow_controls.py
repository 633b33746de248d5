"""The registry of flow controls against one that is obviously right, and what is left when everything is forgotten."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.routing.flow_controls import FlowControls
from ockam_ref.wire.address import Address, local

ADDRESSES = tuple(map(local, "abcdef"))
IDS = ("P", "Q", "R", "S")

addresses = st.sampled_from(ADDRESSES)
ids = st.sampled_from(IDS)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("add_consumer"), addresses, ids),
        st.tuples(st.just("add_producer"), addresses, ids, st.none() | ids, st.lists(addresses, max_size=2).map(tuple)),
        st.tuples(st.just("add_spawner"), addresses, ids),
        st.tuples(st.just("add_consumer_of_producer"), addresses, addresses),
        st.tuples(st.just("join_producer"), addresses, addresses),
        st.tuples(st.just("forget"), addresses),
        st.tuples(st.just("forget"), addresses),
    ),
    max_size=30,
)


class Scanning:
    """The rules of facts 06 sections 4.4 and 4.6 as they are written there: four tables, looked through every time."""

    def __init__(self) -> None:
        self.consumers: dict[str, set[Address]] = {}
        self.producers: dict[Address, tuple[str, str | None]] = {}
        self.additional: dict[Address, Address] = {}
        self.spawners: dict[Address, str] = {}

    def add_consumer(self, address: Address, key: str) -> None:
        self.consumers.setdefault(key, set()).add(address)

    def add_producer(self, address: Address, key: str, spawner: str | None, additional: tuple[Address, ...]) -> None:
        self.producers[address] = (key, spawner)
        for alias in (address, *additional):
            self.additional[alias] = address

    def add_spawner(self, address: Address, key: str) -> None:
        self.spawners[address] = key

    def add_consumer_of_producer(self, address: Address, producer: Address) -> None:
        if producer in self.additional:
            self.add_consumer(address, self.producers[self.additional[producer]][0])

    def join_producer(self, address: Address, producer: Address) -> None:
        if producer in self.additional:
            self.add_producer(address, self.producers[self.additional[producer]][0], None, ())

    def forget(self, address: Address) -> None:
        spawned = self.spawners.pop(address, None)
        if spawned is not None and not self._spawned(spawned):
            self.consumers.pop(spawned, None)
        key, spawner = self.producers.pop(address, (None, None))
        if key is not None:
            self.additional = {alias: owner for alias, owner in self.additional.items() if owner != address}
            if spawner is not None and not self._spawned(spawner):
                self.consumers.pop(spawner, None)
            if all(other != key for other, _ in self.producers.values()):
                self.consumers.pop(key, None)
        for members in self.consumers.values():
            members.discard(address)
        self.consumers = {key: members for key, members in self.consumers.items() if members}

    def _spawned(self, key: str) -> bool:
        return key in self.spawners.values() or any(spawner == key for _, spawner in self.producers.values())


def apply(edits: list[tuple[Any, ...]]) -> tuple[FlowControls, Scanning]:
    registry, model = FlowControls(), Scanning()
    for name, *arguments in edits:
        getattr(registry, name)(*arguments)
        getattr(model, name)(*arguments)
    return registry, model


@given(edits=edits)
@pytest.mark.spec("RT-31", "RT-32", "RT-33", "RT-34", "RT-35")
def test_the_registry_follows_the_rules(edits: list[tuple[Any, ...]]) -> None:
    registry, model = apply(edits)
    assert registry.consumers == model.consumers
    assert registry.producers == model.producers
    assert registry.additional == model.additional
    assert registry.spawners == model.spawners
    # the index says the same as the tables, and keeps nobody who consumes nothing
    consumers = {address for members in model.consumers.values() for address in members}
    assert registry._ids == {
        address: {key for key, members in model.consumers.items() if address in members} for address in consumers
    }


@given(edits=edits)
@pytest.mark.spec("RT-30", "RT-33")
def test_questions_have_the_answers_of_the_tables(edits: list[tuple[Any, ...]]) -> None:
    registry, model = apply(edits)
    for address in ADDRESSES:
        expected = tuple(sorted(key for key, members in model.consumers.items() if address in members))
        assert registry.ids_of_consumer(address) == expected
        owner = model.additional.get(address)
        assert registry.find_producer(address) == (None if owner is None else model.producers[owner])
        for key in IDS:
            for spawner in (None, *IDS):
                reachable = model.consumers.get(key, set()) | model.consumers.get(spawner or "", set())
                assert registry.allows(key, spawner, address) == (address in reachable)


@given(edits=edits, order=st.permutations(ADDRESSES))
@pytest.mark.spec("RT-34")
def test_nothing_is_left_when_everything_is_forgotten(edits: list[tuple[Any, ...]], order: list[Address]) -> None:
    registry, _ = apply(edits)
    for address in order:
        registry.forget(address)
    assert {name: getattr(registry, name) for name in FlowControls.__slots__} == {
        name: {} for name in FlowControls.__slots__
    }
