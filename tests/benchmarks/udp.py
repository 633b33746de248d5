"""UDP in figures of its own: ``python -m tests.benchmarks.udp``; ``make bench-transports`` prints them too.

*Raw* is what one socket receives of datagrams of 1,200 bytes that another sends as fast as it can, from process to
process.  *Echo* is a node that sends messages of 40 kB, one after the other, to an echo worker of another node over plain
UDP: ours to ours, and Rust to Rust.  Two transfers of different lengths are timed, so that starting a process counts for
nothing.
"""

import socket
import subprocess
import sys
import time
from statistics import median
from typing import Final, NamedTuple

from tests.benchmarks.contenders import rust_binary
from tests.benchmarks.report import aligned
from tests.interop.harness import Implementation, Peers, Udp, python_program, rust_program

DATAGRAM_BYTES: Final = 1200
RAW_S: Final = 1.0
SHORT_BYTES: Final = 4 * 1024 * 1024
LONG_BYTES: Final = 36 * 1024 * 1024

_SENDER: Final = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("127.0.0.1", int(sys.argv[1])))
data, end = bytes(int(sys.argv[2])), time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    for _ in range(64):
        sock.send(data)
"""


class UdpRates(NamedTuple):
    """Megabytes a second: of a raw pair of sockets, and each way of the echoes; ``rust`` where there is no Rust peer."""

    raw: float
    ours: float
    rust: float | None


def measure_udp(rounds: int = 3) -> UdpRates:
    """Measure everything in turns, ``rounds`` times."""
    binary, _ = rust_binary()
    raw: list[float] = []
    ours: list[float] = []
    rust: list[float] = []
    for _ in range(rounds):
        raw.append(_raw())
        with Peers() as peers:
            ours.append(_echo(python_program(peers)))
        if binary is not None:
            with Peers() as peers:
                rust.append(_echo(rust_program(binary, peers)))
    return UdpRates(median(raw), median(ours), median(rust) if rust else None)


def _raw() -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(RAW_S)
        words = [str(receiver.getsockname()[1]), str(DATAGRAM_BYTES), str(RAW_S)]
        with subprocess.Popen([sys.executable, "-c", _SENDER, *words]) as sender:
            received = len(receiver.recv(DATAGRAM_BYTES))
            begun = time.perf_counter()
            while sender.poll() is None:
                for _ in range(256):
                    received += _take(receiver)
            return received / (time.perf_counter() - begun) / 1e6


def _take(receiver: socket.socket) -> int:
    try:
        return len(receiver.recv(DATAGRAM_BYTES))
    except TimeoutError:
        return 0


def _echo(program: Implementation) -> float:
    address = program.udp_responder()["listen"]
    times = []
    for total in (SHORT_BYTES, LONG_BYTES):
        begun = time.perf_counter()
        program.echo(Udp(address), total=total, channel=False)
        times.append(time.perf_counter() - begun)
    return (LONG_BYTES - SHORT_BYTES) / (times[1] - times[0]) / 1e6


def table(rates: UdpRates) -> str:
    """Return the figures for people."""
    lines = [["UDP", "MB/s"], ["raw sockets, one way", f"{rates.raw:.0f}"]]
    lines.append(["echo of 40 kB messages, ours", f"{rates.ours:.0f} each way"])
    rust = "-" if rates.rust is None else f"{rates.rust:.0f} each way ({rates.ours / rates.rust:.2f} x is ours)"
    lines.append(["echo of 40 kB messages, Rust", rust])
    return aligned(lines)


if __name__ == "__main__":
    print(table(measure_udp()))
