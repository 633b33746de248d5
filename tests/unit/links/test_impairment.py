"""What a bad path does, by a chance that a test chooses."""

from collections.abc import Iterator
from itertools import repeat

import pytest

from ockam_ref.links.impairment import Impairment, Passage, let_through


def chance(*values: float) -> "Iterator[float]":
    return iter(values)


def through(impairment: Impairment, *values: float) -> tuple[float, ...]:
    draws = chance(*values) if values else repeat(0.5)
    return let_through(impairment, Passage(), 100, 10.0, draws.__next__)[1]


def test_a_good_path_takes_its_time() -> None:
    assert through(Impairment()) == (10.0,)
    assert through(Impairment(delay_s=2.0)) == (12.0,)


def test_chance_decides_in_a_fixed_order() -> None:
    bad = Impairment(loss=0.1, duplication=0.1, reorder=0.1, late_s=5.0, delay_s=1.0, jitter_s=2.0)
    assert through(bad, 0.05, 0.9, 0.9, 0.0, 0.0) == ()
    assert through(bad, 0.1, 0.9, 0.9, 0.5, 0.0) == (12.0,)
    assert through(bad, 0.1, 0.05, 0.9, 0.5, 0.25) == (12.0, 11.5)
    assert through(bad, 0.1, 0.9, 0.05, 0.5, 0.0) == (17.0,)


def test_a_cut_and_a_greatest_length() -> None:
    assert through(Impairment(cut=True)) == ()
    assert through(Impairment(mtu=99)) == ()
    assert through(Impairment(mtu=100)) == (10.0,)


@pytest.mark.spec("RCV-30")
def test_a_bottleneck_has_a_queue_and_the_queue_has_an_end() -> None:
    narrow = Impairment(rate=100.0, queue_bytes=150)
    passage = Passage()
    arrivals = []
    for _ in range(4):
        passage, arrived = let_through(narrow, passage, 100, 10.0, lambda: 0.5)
        arrivals.append(arrived)
    assert arrivals == [(11.0,), (12.0,), (), ()]
    assert let_through(narrow, passage, 100, 20.0, lambda: 0.5)[1] == (21.0,)


def test_what_is_lost_has_passed_the_bottleneck() -> None:
    passage, arrived = let_through(Impairment(rate=100.0, loss=0.9), Passage(), 100, 10.0, lambda: 0.5)
    assert (passage, arrived) == (Passage(11.0), ())
