"""Who must hear when a peer may no longer pass: the table."""

import pytest

from ockam_ref.effects import Guard
from ockam_ref.guards import Guards
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL

ALICE, BOB = b"a" * 32, b"b" * 32


@pytest.mark.spec("NODE-80")
def test_a_worker_has_one_guard_at_a_time() -> None:
    guards: Guards[str] = Guards()
    guards.set("one", Guard(ALLOW_ALL, ALICE))
    guards.set("two", Guard(ALLOW_ALL, ALICE))
    guards.set("three", Guard(ALLOW_ALL, None))
    assert guards.workers() == ["one", "two", "three"]
    assert guards.workers_of(ALICE) == ["one", "two"]
    assert guards.workers_of(None) == ["three"]
    guards.set("one", Guard(DENY_ALL, BOB))
    assert guards.find("one") == Guard(DENY_ALL, BOB)
    assert (guards.workers_of(ALICE), guards.workers_of(BOB)) == (["two"], ["one"])


@pytest.mark.spec("NODE-80")
def test_who_is_forgotten_leaves_nothing() -> None:
    guards: Guards[str] = Guards()
    guards.set("one", Guard(ALLOW_ALL, ALICE))
    guards.forget("one")
    guards.forget("one")
    assert (guards.find("one"), guards.workers(), guards.workers_of(ALICE)) == (None, [], [])
