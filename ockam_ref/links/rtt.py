"""How long a packet and its acknowledgement take: the estimate of RFC 6298 as RFC 9002 section 5 uses it.

Pure values; all times are seconds.
"""

from typing import Final, NamedTuple

FIRST_RTT_S: Final = 0.1
"""What is assumed before anything was measured, in seconds."""

GRANULARITY_S: Final = 0.002
"""The least variation that a probe waits for: hosts and their timers are no more exact than that."""

MAX_PROBE_TIMEOUT_S: Final = 3.0
"""However often it was doubled, a probe waits no longer."""

MAX_ACK_DELAY_S: Final = 0.005
"""A receiver keeps an acknowledgement back for no longer than this."""


class Rtt(NamedTuple):
    """The estimate: smoothed, its variation, the least and the latest sample; ``samples`` counts them up to one."""

    smoothed: float = FIRST_RTT_S
    variation: float = FIRST_RTT_S / 2
    least: float = FIRST_RTT_S
    latest: float = FIRST_RTT_S
    measured: bool = False


def first_rtt(expected_s: float) -> Rtt:
    """Return an estimate that is only a guess: the first sample replaces it."""
    return Rtt(expected_s, expected_s / 2, expected_s, expected_s)


def with_sample(rtt: Rtt, sample: float, ack_delay: float) -> Rtt:
    """Return the estimate after one more sample; the receiver says that it kept the acknowledgement back."""
    if not rtt.measured:
        return Rtt(sample, sample / 2, sample, sample, measured=True)
    smoothed, variation, least, _, _ = rtt
    least = min(least, sample)
    if sample >= least + ack_delay:
        sample -= ack_delay
    variation += (abs(smoothed - sample) - variation) / 4
    return Rtt(smoothed + (sample - smoothed) / 8, variation, least, sample, measured=True)


def probe_timeout(rtt: Rtt, probes: int) -> float:
    """Return how long to wait for an acknowledgement before probing, after ``probes`` probes without an answer."""
    patience = rtt.smoothed + max(4 * rtt.variation, GRANULARITY_S) + MAX_ACK_DELAY_S
    return float(min(patience * 2 ** min(probes, 10), MAX_PROBE_TIMEOUT_S))
