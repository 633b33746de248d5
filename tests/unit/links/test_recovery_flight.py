"""Runs of packets against a model with single packets."""

from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.links.recovery_flight import (
    EARLY_FRACTION,
    MAX_EARLY_FRACTION,
    MAX_PACKET_THRESHOLD,
    PACKET_THRESHOLD,
    Run,
    Span,
    Tolerance,
    bytes_of,
    give_up,
    settle,
    united,
    without,
)

PIECE = 10


def run(first: int, stop: int, sent_at: float = 0.0) -> Run:
    """Packets whose last piece is short."""
    return Run(first, stop, 1000 + first * PIECE, 1000 + stop * PIECE - 3, PIECE, sent_at, 0, 0.0, 0.0, limited=False)


def numbers(runs: list[Run]) -> list[int]:
    return [number for one in runs for number in range(one.first, one.stop)]


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=12).map(
    lambda pairs: united((first, first + length) for first, length in pairs)
)


def runs_of(parts: tuple[Span, ...]) -> list[Run]:
    return [run(first, stop, sent_at=first / 100) for first, stop in parts]


def test_a_part_of_a_run_has_its_part_of_the_stream() -> None:
    whole = run(3, 8)
    assert (whole.part(3, 5).start, whole.part(3, 5).end) == (1030, 1050)
    assert (whole.part(6, 8).start, whole.part(6, 8).end) == (1060, 1077)
    assert bytes_of([whole.part(3, 5), whole.part(6, 8)]) == 37


@given(spans, spans)
def test_settle_splits_by_number(flight: tuple[Span, ...], ranges: tuple[Span, ...]) -> None:
    before = runs_of(flight)
    left, acknowledged = settle(before, ranges)
    covered = {number for first, stop in ranges for number in range(first, stop)}
    assert numbers(left) == [number for number in numbers(before) if number not in covered]
    assert numbers(acknowledged) == [number for number in numbers(before) if number in covered]
    assert bytes_of(left) + bytes_of(acknowledged) == bytes_of(before)


@given(spans, st.integers(0, 80), st.integers(1, 20), st.floats(0, 1))
def test_give_up_follows_both_thresholds(flight: tuple[Span, ...], largest: int, packets: int, before: float) -> None:
    runs = runs_of(flight)
    left, lost, oldest = give_up(runs, largest, Tolerance(packets, 0.1), before)
    expected = [
        number
        for one in runs
        for number in range(one.first, one.stop)
        if number <= largest - packets or (one.sent_at <= before and number < largest)
    ]
    assert numbers(lost) == expected
    assert sorted(numbers(left) + numbers(lost)) == numbers(runs)
    overtaken = [one.sent_at for one in left if one.first < largest]
    assert oldest == (min(overtaken) if overtaken else None)


@given(spans, spans)
def test_without_takes_away(some: tuple[Span, ...], taken: tuple[Span, ...]) -> None:
    left = some
    for first, stop in taken:
        left = without(left, first, stop)
    members = {number for first, stop in some for number in range(first, stop)}
    members -= {number for first, stop in taken for number in range(first, stop)}
    assert {number for first, stop in left for number in range(first, stop)} == members


def test_spans_are_united() -> None:
    assert united([(5, 9), (1, 3), (3, 4), (6, 7)]) == ((1, 4), (5, 9))


def test_the_tolerance_grows_to_its_limits() -> None:
    tolerance = Tolerance()
    assert tolerance == (PACKET_THRESHOLD, EARLY_FRACTION)
    assert tolerance.grown(1) == (PACKET_THRESHOLD, 2 * EARLY_FRACTION)
    assert tolerance.grown(40) == (41, 2 * EARLY_FRACTION)
    for _ in range(9):
        tolerance = tolerance.grown(10_000)
    assert tolerance == (MAX_PACKET_THRESHOLD, MAX_EARLY_FRACTION)
