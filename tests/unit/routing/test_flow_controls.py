"""The flow control registry beyond the vectors: joining, overwriting, and what a forgotten address costs."""

import pytest

from ockam_ref.routing.flow_controls import FlowControls, Producer
from ockam_ref.wire.address import local

A, B, C = local("a"), local("b"), local("c")


@pytest.mark.spec("RT-32")
def test_consumer_of_a_producer_by_any_of_its_addresses() -> None:
    registry = FlowControls()
    registry.add_producer(A, "P", "S", (B,))
    registry.add_consumer_of_producer(local("one"), A)
    registry.add_consumer_of_producer(local("two"), B)
    registry.add_consumer_of_producer(local("nobody"), C)
    assert registry.consumers == {"P": {local("one"), local("two")}}


@pytest.mark.spec("RT-32")
def test_exact_consumer_of_a_producer() -> None:
    registry = FlowControls()
    registry.add_producer(A, "P", None, (B,))
    registry.add_consumer_of_producer(local("one"), A, exact=True)
    registry.add_consumer_of_producer(local("two"), B, exact=True)
    assert registry.consumers == {"P": {local("one")}}


@pytest.mark.spec("RT-33")
def test_ids_of_a_consumer_are_ascending() -> None:
    registry = FlowControls()
    for key in ("zz", "a", "Z", "m"):
        registry.add_consumer(A, key)
    registry.add_consumer(A, "m")
    assert registry.ids_of_consumer(A) == ("Z", "a", "m", "zz")
    assert registry.ids_of_consumer(B) == ()


@pytest.mark.spec("RT-35")
def test_joining_a_producer_takes_its_id_and_not_its_spawner() -> None:
    registry = FlowControls()
    registry.add_producer(A, "P", "S", (B,))
    registry.join_producer(C, B)
    assert registry.producers[C] == Producer("P", None)
    assert registry.find_producer(C) == Producer("P", None)


@pytest.mark.spec("RT-34")
def test_overwritten_entries_keep_nobody_alive() -> None:
    registry = FlowControls()
    registry.add_producer(A, "P", "S", ())
    registry.add_producer(A, "Q", "T", ())
    registry.add_spawner(B, "S")
    registry.add_spawner(B, "T")
    for key in ("P", "Q", "S", "T"):
        registry.add_consumer(C, key)
    registry.forget(A)
    assert set(registry.consumers) == {"P", "S", "T"}  # Q had its last producer, T still has its spawner
    registry.forget(B)
    assert set(registry.consumers) == {"P", "S"}  # nobody had these when the last entry went, as in the peer
    registry.forget(C)
    assert registry.consumers == {}


@pytest.mark.spec("RT-34")
def test_an_own_address_that_became_an_alias_of_another_producer() -> None:
    registry = FlowControls()
    registry.add_producer(A, "P", None, ())
    registry.add_producer(B, "Q", None, (A,))
    assert registry.find_producer(A) == Producer("Q", None)
    registry.forget(A)
    assert registry.find_producer(A) == Producer("Q", None)
    registry.forget(B)
    assert registry.additional == {}


@pytest.mark.spec("RT-34")
def test_forgetting_does_not_look_at_other_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """With thousands of links a scan of any table would be felt; the tables are made unreadable as a whole."""
    registry = FlowControls()
    for number in range(50):
        registry.add_producer(local(f"rx{number}"), f"P{number}", "S", (local(f"tx{number}"),))
        registry.add_consumer(local(f"tx{number}"), f"P{(number + 1) % 50}")
    registry.add_spawner(A, "S")

    class OneByOne(dict):  # type: ignore[type-arg]
        def __iter__(self) -> None:  # type: ignore[override]
            raise AssertionError("a scan")

        items = values = keys = __iter__  # type: ignore[assignment]

    for name in ("_consumers", "_producers", "_additional", "_spawners", "_ids", "_aliases", "_producing", "_spawning"):
        monkeypatch.setattr(registry, name, OneByOne(getattr(registry, name)))
    for number in range(49):
        registry.forget(local(f"tx{number}"))
        registry.forget(local(f"rx{number}"))
    assert len(registry.producers) == 1
    assert registry.ids_of_consumer(local("tx49")) == ()  # the id of the first link went with it
