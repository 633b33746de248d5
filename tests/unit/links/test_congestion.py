"""The model of a path: what it learns from acknowledgements and how much it lets leave."""

from dataclasses import replace

import pytest

from ockam_ref.links import congestion
from ockam_ref.links.congestion import (
    CYCLE,
    EMPTY_S,
    FIRST_WINDOW_PACKETS,
    LEAST_STEP_S,
    LEAST_WINDOW_PACKETS,
    MAX_QUANTUM_PACKETS,
    ROUND_TRIP_S,
    STARTUP_GAIN,
    Delivery,
    Path,
    Phase,
    Rate,
    after_acknowledgement,
    first_path,
    pace,
    quantum,
    window,
)
from ockam_ref.links.recovery_flight import Run
from ockam_ref.links.rtt import Rtt

PACKET = 1000
RTT = 0.1


def steady(rate: float, phase: Phase = Phase.CRUISE, **changes: object) -> Path:
    path = replace(first_path(PACKET, 0.0), phase=phase, rates=(Rate(0, 0.0, rate),), least_rtt=RTT, smoothed_rtt=RTT)
    return replace(path, **changes)  # type: ignore[arg-type]


def acknowledge(
    path: Path, now: float, *, acknowledged: int = PACKET, lost: int = 0, in_flight: int = 0, limited: bool = False
) -> Path:
    """Acknowledge what was sent one round trip ago, when all before it had been delivered."""
    newest = Run(0, 1, 0, PACKET, PACKET, now - RTT, path.delivered, now - RTT, now - RTT, limited)
    return after_acknowledgement(
        path, Delivery(acknowledged, lost, newest, RTT, in_flight, Rtt(RTT, 0.0, RTT, RTT, measured=True)), now
    )


def test_before_anything_is_known() -> None:
    path = first_path(PACKET, 5.0)
    assert (path.rate, path.content) == (0.0, 0.0)
    assert window(path) == FIRST_WINDOW_PACKETS * PACKET
    assert pace(path, RTT) == pytest.approx(STARTUP_GAIN * FIRST_WINDOW_PACKETS * PACKET / RTT)


def test_the_pace_follows_the_phase() -> None:
    assert pace(steady(1e6, Phase.STARTUP), RTT) == pytest.approx(STARTUP_GAIN * 1e6)
    assert pace(steady(1e6, Phase.DRAIN), RTT) == pytest.approx(1e6 / STARTUP_GAIN)
    assert pace(steady(1e6, Phase.EMPTY), RTT) == pytest.approx(1e6)
    assert [pace(steady(1e6, step=step), RTT) for step in range(8)] == [gain * 1e6 for gain in CYCLE]
    assert pace(steady(1.0), RTT) == pytest.approx(LEAST_WINDOW_PACKETS * PACKET / RTT)


def test_bursts_are_bounded() -> None:
    path = steady(1e6)
    assert quantum(path, 1.0) == 2 * PACKET
    assert quantum(path, 10e6) == 10_000
    assert quantum(path, 1e12) == MAX_QUANTUM_PACKETS * PACKET


def test_the_window_is_about_what_the_path_holds() -> None:
    held = int(1e6 * RTT)
    assert window(steady(1e6)) == 2 * held + 3 * 2 * PACKET
    assert window(steady(1e6, spread=0.01)) == 2 * held + 4 * 10_000 + 3 * 2 * PACKET
    assert window(steady(1e6, Phase.EMPTY)) == held // 2
    assert window(steady(1e6, Phase.STARTUP)) == int(STARTUP_GAIN * held) + 3 * 2 * PACKET
    assert window(steady(1e6, ceiling=50_000)) == 50_000
    assert window(steady(1.0)) >= LEAST_WINDOW_PACKETS * PACKET
    assert window(steady(1.0, Phase.EMPTY)) == LEAST_WINDOW_PACKETS * PACKET


@pytest.mark.spec("RCV-14")
def test_the_rate_is_the_best_of_the_last_rounds() -> None:
    path = steady(0.0, rates=())
    path = acknowledge(path, 1.0, acknowledged=100_000)
    assert path.rate == pytest.approx(1e6)
    path = acknowledge(path, 1.1, acknowledged=50_000)
    assert path.rate == pytest.approx(1e6)
    for turn in range(12):
        path = acknowledge(path, 1.2 + turn * RTT, acknowledged=20_000)
    assert path.rate == pytest.approx(2e5)
    assert len(path.rates) <= congestion.RATE_ROUNDS


def test_two_samples_of_one_round_keep_the_better() -> None:
    path = acknowledge(steady(0.0, rates=()), 1.0, acknowledged=100_000)
    newest = Run(0, 1, 0, PACKET, PACKET, 0.9, 0, 0.9, 0.9, limited=False)
    worse = after_acknowledgement(path, Delivery(0, 0, newest, None, 0, Rtt(RTT, 0, RTT, RTT)), 1.02)
    assert worse.rates == path.rates


def test_a_sender_that_had_nothing_to_send_says_nothing_of_the_rate_unless_it_was_better() -> None:
    path = steady(1e6)
    assert acknowledge(path, 1.0, acknowledged=1000, limited=True).rate == 1e6
    assert acknowledge(path, 1.0, acknowledged=200_000, limited=True).rate == pytest.approx(2e6)


def test_a_sample_shorter_than_any_round_trip_is_no_sample() -> None:
    newest = Run(0, 1, 0, PACKET, PACKET, 1.0, 0, 1.0, 1.0, limited=False)
    path = steady(1e6)
    for now in (1.0, 1.0 + RTT / 2):
        after = after_acknowledgement(path, Delivery(10**6, 0, newest, None, 0, Rtt(RTT, 0, RTT, RTT)), now)
        assert after.rate == 1e6


def test_startup_ends_when_the_rate_grows_no_more_and_the_queue_is_drained() -> None:
    path = first_path(PACKET, 0.0)
    for turn, size in enumerate((10_000, 20_000, 40_000, 41_000, 42_000, 43_000)):
        assert path.phase is Phase.STARTUP
        path = acknowledge(path, 1.0 + turn * RTT, acknowledged=size, in_flight=10**6)
    assert path.phase is Phase.DRAIN
    path = acknowledge(path, 2.0, acknowledged=40_000, in_flight=10**6)
    assert path.phase is Phase.DRAIN
    path = acknowledge(path, 2.1, acknowledged=40_000, in_flight=10_000)
    assert (path.phase, path.step) == (Phase.CRUISE, 2)


def test_the_steps_of_the_cycle_take_a_round_trip() -> None:
    path = steady(1e6, step=7, step_at=1.0)
    assert acknowledge(path, 1.0 + RTT / 2).step == 7
    assert acknowledge(path, 1.0 + RTT).step == 0
    quick = replace(path, smoothed_rtt=0.0001)
    newest = Run(0, 1, 0, PACKET, PACKET, 1.0, 0, 1.0, 1.0, limited=False)
    delivery = Delivery(PACKET, 0, newest, 0.0001, 0, Rtt(0.0001, 0, 0.0001, 0.0001))
    assert after_acknowledgement(quick, delivery, 1.0 + LEAST_STEP_S / 2).step == 7


@pytest.mark.spec("RCV-15")
def test_room_is_made_to_measure_the_empty_path() -> None:
    path = steady(1e6, least_rtt=RTT / 2, least_rtt_at=1.0)
    assert acknowledge(path, 1.2).least_rtt == RTT / 2
    path = acknowledge(path, 1.1 + ROUND_TRIP_S)
    assert (path.phase, path.least_rtt) == (Phase.EMPTY, RTT)
    path = acknowledge(path, 1.1 + ROUND_TRIP_S + EMPTY_S / 2)
    assert path.phase is Phase.EMPTY
    assert acknowledge(path, 1.1 + ROUND_TRIP_S + 2 * EMPTY_S).phase is Phase.CRUISE


@pytest.mark.spec("RCV-15")
def test_too_much_loss_makes_it_retreat_and_clean_rounds_let_it_come_back() -> None:
    path = steady(1e6)
    chance = acknowledge(path, 1.0, acknowledged=90 * PACKET, lost=10 * PACKET, in_flight=100_000)
    assert chance.ceiling is None
    few = acknowledge(path, 1.0, acknowledged=2 * PACKET, lost=2 * PACKET)
    assert few.ceiling is None
    path = acknowledge(path, 1.0, acknowledged=70 * PACKET, lost=30 * PACKET, in_flight=100_000)
    assert path.ceiling is not None
    assert path.ceiling >= path.content > 0
    ceilings = [path.ceiling]
    for turn in range(40):
        path = acknowledge(path, 1.2 + turn * RTT, acknowledged=100_000)
        if path.ceiling is None:
            break
        ceilings.append(path.ceiling)
    assert path.ceiling is None
    assert ceilings == sorted(ceilings)


def test_losses_without_an_acknowledgement_count_and_late_packets_undo_them() -> None:
    path = congestion.after_losses(steady(1e6), 5000)
    assert path.round_lost == 5000
    assert congestion.after_losses(path, -9000).round_lost == 0


def test_silence_and_running_dry() -> None:
    path = congestion.after_silence(steady(1e6), 7.0)
    assert (path.delivered_at, path.first_sent_at) == (7.0, 7.0)
    assert congestion.after_running_dry(path, 300).limited_until == 300
    assert congestion.after_running_dry(path, 0).limited_until == 1
