"""Who watches whom: told once, forgotten wholly."""

import pytest

from ockam_ref.watches import Watches
from ockam_ref.wire.address import local

A, B, C = local("a"), local("b"), local("c")


@pytest.mark.spec("NODE-52")
def test_a_watcher_is_told_under_the_address_that_it_watched() -> None:
    watches: Watches[str] = Watches()
    watches.add("x", "w", A)
    watches.add("x", "w", B)
    watches.add("y", "w", A)
    assert watches.take("w") == [("x", A), ("x", B), ("y", A)]
    assert watches.take("w") == []


@pytest.mark.spec("NODE-52")
def test_a_watcher_that_stops_is_forgotten_everywhere() -> None:
    watches: Watches[str] = Watches()
    watches.add("x", "w", A)
    watches.add("y", "w", A)
    watches.add("x", "v", B)
    watches.add_beyond("x", (A, B))
    assert watches.take("x") == []
    assert watches.take("w") == [("y", A)]
    assert watches.take("v") == []
    assert watches.take_beyond((A, B)) == []


@pytest.mark.spec("NODE-52")
def test_a_watcher_has_one_place_at_a_time() -> None:
    watches: Watches[str] = Watches()
    watches.add_beyond("x", (A, B))
    watches.add_beyond("y", (A, B))
    watches.add_beyond("x", (A, C))
    assert watches.take_beyond((A, B)) == ["y"]
    assert watches.take_beyond((A, C)) == ["x"]
    assert watches.take_beyond((A, C)) == []
