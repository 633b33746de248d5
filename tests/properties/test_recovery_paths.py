"""Two ends over every kind of bad path: all messages, each once, in order, within all limits, without a storm of timers."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ockam_ref.links import recovery
from ockam_ref.links.impairment import Impairment
from ockam_ref.links.recovery import (
    Deliver,
    Ended,
    Left,
    MessageGiven,
    Open,
    PacketsReceived,
    PathChanged,
    Recovery,
    RecoveryState,
    Transmit,
)
from ockam_ref.links.recovery_packets import MAX_ACK_RANGES
from ockam_ref.links.recovery_receiver import MAX_GAPS, WINDOW_BYTES
from ockam_ref.links.recovery_sender import MAX_REMEMBERED_RUNS
from tests.simulated_path import NUMBER, SimulatedPath

MIB = 1024 * 1024

paths = st.builds(
    Impairment,
    loss=st.sampled_from([0.0, 0.01, 0.1, 0.3]),
    duplication=st.sampled_from([0.0, 0.1, 0.5]),
    reorder=st.sampled_from([0.0, 0.1, 0.4]),
    late_s=st.sampled_from([0.001, 0.05, 0.5]),
    delay_s=st.sampled_from([0.0001, 0.01, 0.3]),
    jitter_s=st.sampled_from([0.0, 0.002, 0.05]),
    mtu=st.sampled_from([None, 508, 1200]),
    rate=st.sampled_from([None, 50_000.0, 1e6, 12.5e6, 1e9]),
    queue_bytes=st.sampled_from([5_000, 50_000, 500_000]),
)
sizes = st.sampled_from([0, 1, 100, 1171, 1172, 5_000, 40_000])


def check_limits(path: SimulatedPath) -> None:
    for end in path.ends:
        state = end.state
        if isinstance(state, Open):
            assert len(state.receiver.ranges) <= MAX_ACK_RANGES
            assert len(state.receiver.islands) <= MAX_GAPS
            assert sum(stop - start for start, stop, _ in state.receiver.islands) <= WINDOW_BYTES
            assert len(state.sender.remembered) <= MAX_REMEMBERED_RUNS
            assert len(state.sender.path.rates) <= 10
            assert state.sender.in_flight == sum(run.end - run.start for run in state.sender.flight)


@pytest.mark.spec("RCV-1", "RCV-9", "RCV-13")
@settings(max_examples=40)
@given(paths, st.lists(st.tuples(st.integers(0, 1), sizes, st.integers(0, 40)), min_size=1, max_size=12), st.integers())
def test_every_message_once_and_in_order(path: Impairment, given_: list[tuple[int, int, int]], seed: int) -> None:
    it = SimulatedPath(path, seed=seed, config=Recovery(NUMBER, silence_s=1e9))
    sent: tuple[list[bytes], list[bytes]] = ([], [])
    content, started = random.Random(seed), it.now
    for side, size, steps in given_:
        message = content.randbytes(size)
        sent[side].append(message)
        it.give(side, message)
        for _ in range(steps):
            it.step()
        check_limits(it)
    for count, _ in enumerate(it.run(1e6)):
        assert count < 50_000
        if count % 64 == 0:
            check_limits(it)
    for side in (0, 1):
        assert it.ends[1 - side].delivered == sent[side]
        assert it.ends[side].failed == []
        assert it.ends[side].refused == []
        state = it.ends[side].state
        assert isinstance(state, Open)
        assert (state.sender.blocks, state.sender.flight, state.sender.again) == ((), (), ())
        assert it.ends[side].waiting == 0
        assert it.ends[side].wakes <= 1000 * (it.now - started) + 50


@pytest.mark.spec("RCV-18")
@settings(max_examples=30)
@given(st.integers(), st.floats(0.01, 3.0))
def test_a_cut_heals(seed: int, seconds: float) -> None:
    it = SimulatedPath(Impairment(delay_s=0.01, rate=12.5e6, loss=0.05), seed=seed)
    messages = [random.Random(seed).randbytes(100_000) for _ in range(5)]
    for message in messages:
        it.give(0, message)
    it.finish(0.05)
    it.impair(cut=True)
    before = sum(end.packets for end in it.ends)
    it.finish(seconds)
    assert sum(end.packets for end in it.ends) - before < 1200
    it.impair(cut=False)
    it.finish()
    assert it.ends[1].delivered == messages


@pytest.mark.spec("RCV-18")
def test_a_cut_that_lasts_ends_it_in_a_bounded_number_of_packets() -> None:
    it = SimulatedPath(Impairment(cut=True))
    it.give(0, bytes(5 * MIB))
    it.finish()
    assert [failed.lost for failed in it.ends[0].failed] == [5 * MIB + 4]
    assert it.now < 100.0 + recovery.SILENCE_S + 1
    assert it.ends[0].packets < 100
    assert it.ends[0].wakes < 100


@pytest.mark.spec("RCV-17")
@settings(max_examples=20)
@given(paths, paths, st.integers(), st.integers(1, 400))
def test_a_message_survives_a_change_of_the_path(first: Impairment, second: Impairment, seed: int, steps: int) -> None:
    first, second = replace(first, mtu=None), replace(second, mtu=508)
    it = SimulatedPath(first, seed=seed, config=Recovery(NUMBER, silence_s=1e9))
    messages = [random.Random(seed).randbytes(20_000 + number) for number in range(4)]
    for message in messages:
        it.give(0, message)
        it.give(1, message)
    for _ in range(steps):
        it.step()
    it.impairments = [second, second]
    for side in (0, 1):
        it.tell(side, PathChanged(508, it.now))
    for count, _ in enumerate(it.run(1e6)):
        assert count < 50_000
    assert it.ends[0].delivered == it.ends[1].delivered == messages


@pytest.mark.spec("RCV-16")
def test_a_path_that_takes_short_packets_only() -> None:
    it = SimulatedPath(Impairment(mtu=600, delay_s=0.01))
    it.give(0, bytes(300_000))
    it.finish()
    assert it.ends[1].delivered == [bytes(300_000)]


@pytest.mark.spec("RCV-15")
def test_two_connections_share_a_bottleneck() -> None:
    """Both begin at different times on one path of 20 Mbit/s and 20 ms with a queue of one round trip."""
    path = Impairment(delay_s=0.01, rate=2.5e6, queue_bytes=50_000)
    one, two = SimulatedPath(path, seed=1), SimulatedPath(path, seed=2)
    for it in (one, two):
        it.ends[1].keep_bytes = False
    received = [0, 0]
    shared = one.ends[0].passage
    started = one.now
    while one.now < started + 30:
        it = (
            one
            if two.now < started + 2 and one.now < started + 2
            else min((one, two), key=lambda which: which.next_at())
        )
        if it is two and two.now < started + 2:
            two.now = started + 2
        while it.ends[0].waiting < 300_000:
            it.give(0, bytes(50_000))
        it.ends[0].passage = shared
        it.step()
        shared = it.ends[0].passage
        if it.now > started + 10:
            received[it is two] += len(it.ends[1].delivered)
        it.ends[1].delivered.clear()
    total = sum(received)
    assert total * 50_000 > 0.75 * 20 * 2.5e6
    assert min(received) > total / 5


@pytest.mark.spec("RCV-19", "RCV-20")
def test_packets_of_an_ended_connection_do_nothing() -> None:
    it = SimulatedPath(Impairment())
    state, effects = recovery.receive(it.ends[0].state, MessageGiven((b"hello",), it.now))
    (packet,) = next(effect.packets for effect in effects if isinstance(effect, Transmit))
    ended, _ = recovery.receive(it.ends[1].state, Left(it.now))
    assert recovery.receive(ended, PacketsReceived((packet,), it.now)) == (ended, ())
    other: RecoveryState = recovery.start(Recovery(NUMBER + 1), it.now)
    after, effects = recovery.receive(other, PacketsReceived((packet,), it.now))
    assert after is other
    assert not [effect for effect in effects if isinstance(effect, Deliver)]
    assert not isinstance(state, Ended)


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=80).map(lambda data: data[:1] + NUMBER.to_bytes(8, "big") + data[1:]), max_size=20))
def test_garbage_with_the_right_number_never_raises(packets: list[bytes]) -> None:
    it = SimulatedPath(Impairment())
    it.give(0, b"hello")
    it.tell(0, PacketsReceived(tuple(packets), it.now))
    it.tell(1, PacketsReceived(tuple(b"\x40" + packet[1:] for packet in packets), it.now))
    it.finish(60)
    check_limits(it)
