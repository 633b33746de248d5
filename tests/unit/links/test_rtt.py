"""The estimate of the round trip (RFC 9002 section 5)."""

import pytest

from ockam_ref.links.rtt import (
    FIRST_RTT_S,
    GRANULARITY_S,
    MAX_ACK_DELAY_S,
    MAX_PROBE_TIMEOUT_S,
    Rtt,
    first_rtt,
    probe_timeout,
    with_sample,
)


def test_a_guess_is_replaced_by_the_first_sample() -> None:
    assert first_rtt(0.3) == Rtt(0.3, 0.15, 0.3, 0.3)
    assert with_sample(first_rtt(0.3), 0.02, 0.005) == Rtt(0.02, 0.01, 0.02, 0.02, measured=True)


def test_later_samples_are_smoothed() -> None:
    rtt = with_sample(with_sample(Rtt(), 0.08, 0.0), 0.16, 0.0)
    assert rtt.smoothed == pytest.approx(0.09)
    assert rtt.variation == pytest.approx(0.04 + (0.08 - 0.04) / 4)
    assert (rtt.least, rtt.latest) == (0.08, 0.16)


def test_the_delay_of_the_acknowledgement_is_taken_off_unless_that_cannot_be() -> None:
    rtt = with_sample(Rtt(), 0.08, 0.0)
    assert with_sample(rtt, 0.09, 0.005).latest == pytest.approx(0.085)
    assert with_sample(rtt, 0.083, 0.005).latest == pytest.approx(0.083)


@pytest.mark.spec("RCV-12")
def test_probes_wait_longer_each_time_up_to_a_limit() -> None:
    waits = [probe_timeout(Rtt(), probes) for probes in range(40)]
    assert waits[0] == pytest.approx(FIRST_RTT_S + 4 * FIRST_RTT_S / 2 + MAX_ACK_DELAY_S)
    assert waits[1] == pytest.approx(2 * waits[0])
    assert waits == sorted(waits)
    assert waits[-1] == MAX_PROBE_TIMEOUT_S
    steady = Rtt(0.001, 0.0, 0.001, 0.001, measured=True)
    assert probe_timeout(steady, 0) == pytest.approx(0.001 + GRANULARITY_S + MAX_ACK_DELAY_S)
