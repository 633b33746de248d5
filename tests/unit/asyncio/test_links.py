"""Who waits for whom, without a socket."""

import pytest

from ockam_ref.asyncio.links import BackPressure


@pytest.mark.spec("HOST-10")
def test_a_source_waits_until_all_its_sinks_are_free() -> None:
    pressure: BackPressure[str, str] = BackPressure()
    assert not pressure.is_held("s")
    assert pressure.hold("s", "a")
    assert not pressure.hold("s", "b")
    assert not pressure.hold("s", "a")
    assert pressure.is_held("s")
    assert pressure.release("a") == []
    assert pressure.is_held("s")
    assert pressure.release("b") == ["s"]
    assert not pressure.is_held("s")


@pytest.mark.spec("HOST-11")
def test_a_sink_frees_all_that_wait_only_for_it() -> None:
    pressure: BackPressure[int, str] = BackPressure()
    for source in (1, 2, 3):
        pressure.hold(source, "a")
    pressure.hold(2, "b")
    assert sorted(pressure.release("a")) == [1, 3]
    assert pressure.release("a") == []
    assert pressure.release("b") == [2]


def test_a_source_may_be_its_own_sink() -> None:
    pressure: BackPressure[int, int] = BackPressure()
    assert pressure.hold(1, 1)
    assert pressure.release(1) == [1]


def test_a_source_that_is_gone_is_remembered_by_nobody() -> None:
    pressure: BackPressure[str, str] = BackPressure()
    pressure.hold("s", "a")
    pressure.hold("s", "b")
    pressure.hold("t", "a")
    pressure.forget("s")
    pressure.forget("never seen")
    assert not pressure.is_held("s")
    assert pressure.release("a") == ["t"]
    assert pressure.release("b") == []
    assert pressure._sinks_of == {}
    assert pressure._sources_of == {}


def test_a_source_can_be_held_again() -> None:
    pressure: BackPressure[str, str] = BackPressure()
    assert pressure.hold("s", "a")
    assert pressure.release("a") == ["s"]
    assert pressure.hold("s", "a")
    assert pressure.release("never a sink") == []
    assert pressure.release("a") == ["s"]
