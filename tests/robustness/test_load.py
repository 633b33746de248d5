"""Many connections at once, and a stalled one beside a busy one."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.benchmarks.processes import resident_mib
from tests.commands import Portal, open_portal
from tests.interop.harness import CommandLine
from tests.interop.traffic import Target, check_echo, connect, data_of, http_get, read_exactly
from tests.processes import Process

MANY: Final = 200
EACH_BYTES: Final = 64 * 1024

STALL_S: Final = {"deep": 30.0, "ci": 10.0}.get(settings.get_current_profile_name(), 4.0)
"""How long the stalled connections stand beside the busy one."""

LONGEST_GAP_S: Final = 1.0
GROWTH_MIB: Final = 32
"""What each process may grow while others stall: two windows of 2 MiB, a high-water mark of 4 MiB, and slack."""

CHUNK: Final = 128 * 1024


@pytest.mark.spec("PT-12", "PT-17")
def test_two_hundred_connections_at_once(command_line: CommandLine, target: Target) -> None:
    portal = open_portal(command_line, target.address)
    before = {process.name: resident_mib(process.pid) for process in portal.processes}
    all_open = threading.Barrier(MANY)

    def exchange(number: int) -> bool:
        data = data_of(number, EACH_BYTES)
        with connect(portal.address) as client:
            client.sendall(b"E" + data[:1])
            got = read_exactly(client, 1)
            all_open.wait(30)
            client.sendall(data[1:])
            return got + read_exactly(client, EACH_BYTES - 1) == data

    began = time.monotonic()
    with ThreadPoolExecutor(MANY) as pool:
        right = list(pool.map(exchange, range(MANY)))
    print(f"{MANY} connections at once, {EACH_BYTES} bytes each: {time.monotonic() - began:.2f} s")
    assert all(right)
    for process in portal.processes:
        print(f"{process.name}: {before[process.name]:.0f} MiB, then {resident_mib(process.pid):.0f} MiB")
    for process in (portal.inlet, portal.outlet):
        for _ in range(MANY):
            closed = process.event("connection-closed", timeout=5.0)
            assert closed["sent"] + closed["received"] == 2 * EACH_BYTES + 1
    assert http_get(portal.address) == "target"


class Busy:
    """One connection that sends and receives without a pause, and what it sees of time."""

    def __init__(self, address: str) -> None:
        self.moved = 0
        self.longest_gap_s = 0.0
        self._stop = threading.Event()
        self._client = connect(address)
        self._client.sendall(b"E")
        self._failures: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        chunk = data_of(9, CHUNK)
        before = time.monotonic()
        with self._client:
            while not self._stop.is_set():
                try:
                    self._client.sendall(chunk)
                    if read_exactly(self._client, CHUNK) != chunk:
                        self._failures.append("a wrong byte")
                except (OSError, EOFError) as error:
                    self._failures.append(repr(error))
                    return
                now = time.monotonic()
                self.longest_gap_s = max(self.longest_gap_s, now - before)
                before = now
                self.moved += CHUNK

    def rate(self, seconds: float) -> float:
        """Return MB/s, there and back, over the next seconds."""
        moved, began = self.moved, time.monotonic()
        self._stop.wait(seconds)
        assert not self._failures
        return (self.moved - moved) / 1e6 / (time.monotonic() - began)

    def stop(self) -> None:
        """End it in good order."""
        self._stop.set()
        self._thread.join(30)
        assert not self._failures


@contextmanager
def stalled_clients(address: str, total: int) -> Iterator[None]:
    """Connections of which one pushes into a target that never reads, and one never reads what it asked for."""
    with ExitStack() as stack:
        pushing = stack.enter_context(connect(address))
        pushing.sendall(b"S")
        pushing.setblocking(False)
        sent = 0
        deadline = time.monotonic() + 20
        still = 0
        pause = threading.Event()
        while still < 10:  # until nothing more goes in
            assert time.monotonic() < deadline
            try:
                sent += pushing.send(bytes(CHUNK))
                still = 0
            except BlockingIOError:
                still += 1
                pause.wait(0.02)
        assert sent < total
        print(f"a target that never reads: its client could send {sent / 2**20:.1f} MiB")
        asking = stack.enter_context(connect(address))
        asking.sendall(b"R")
        yield


class OddTarget(Target):
    """Beside what every target does: ``S`` never reads on, ``R`` sends for ever."""

    def _answer(self, connection: socket.socket) -> None:
        kind = connection.recv(1, socket.MSG_PEEK)
        if kind == b"S":
            self._stalled.wait()
        elif kind == b"R":
            while True:
                connection.sendall(bytes(CHUNK))
        else:
            super()._answer(connection)

    def __init__(self) -> None:
        super().__init__("odd")
        self._stalled = threading.Event()

    def let_go(self) -> None:
        """End the stalled ones."""
        self._stalled.set()


@pytest.fixture
def odd_target() -> Iterator[OddTarget]:
    """A target with all kinds of connections."""
    with OddTarget() as target:
        yield target
        target.let_go()


@pytest.mark.spec("PT-28", "HOST-14", "PT-26")
@pytest.mark.timeout(120)
def test_stalled_connections_beside_a_busy_one(command_line: CommandLine, odd_target: OddTarget) -> None:
    """All run through one channel, one link at each end and one hub."""
    portal = open_portal(command_line, odd_target.address)
    check_echo(portal.address, length=32 * 1024 * 1024)  # so that every process has the size that work gives it
    busy = Busy(portal.address)
    alone = busy.rate(1.0)
    before = sizes(portal)
    with stalled_clients(portal.address, total=64 * 1024 * 1024):
        busy.longest_gap_s = 0.0
        beside = busy.rate(STALL_S)
        gap = busy.longest_gap_s
        after = sizes(portal)
    busy.stop()
    print(f"the busy one: {alone:.0f} MB/s alone, {beside:.0f} MB/s beside two stalled for {STALL_S:g} s")
    print(f"its longest wait for {CHUNK // 1024} KiB: {gap * 1000:.0f} ms")
    for name, size in after.items():
        print(f"{name}: {before[name]:.0f} MiB before, {size:.0f} MiB after")
    assert beside > alone / 4
    assert gap < LONGEST_GAP_S
    assert all(size < before[name] + GROWTH_MIB for name, size in after.items())


def sizes(portal: Portal) -> dict[str, float]:
    """Return the resident memory of every process."""
    return {process.name: resident_mib(process.pid) for process in portal.processes}


@pytest.mark.spec("HOST-9", "PT-8")
def test_clients_that_come_and_go_leave_nothing(command_line: CommandLine, target: Target) -> None:
    """Connections that end before, while and after they open, by an end or a reset."""
    portal = open_portal(command_line, target.address)
    before = [descriptors(process) for process in portal.processes]
    for number in range(100):
        with closing(connect(portal.address)) as client:
            if number % 2:
                client.sendall(b"E" + bytes(number))
            if number % 3 == 0:
                client.shutdown(socket.SHUT_WR)
    pause = threading.Event()
    deadline = time.monotonic() + 10
    while [descriptors(process) for process in portal.processes] != before:
        assert time.monotonic() < deadline, (before, [descriptors(process) for process in portal.processes])
        pause.wait(0.05)
    assert http_get(portal.address) == "target"


def descriptors(process: Process) -> int:
    """Return how many files and sockets a process has open."""
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
