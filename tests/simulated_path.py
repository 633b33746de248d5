"""Two ends of a recovered connection and the path between them, on a clock of their own."""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from ockam_ref.links import recovery
from ockam_ref.links.impairment import Impairment, Passage, let_through
from ockam_ref.links.recovery import (
    Deliver,
    Due,
    Failed,
    MessageGiven,
    PacketsReceived,
    Recovery,
    RecoveryEvent,
    RecoveryState,
    Refused,
    Transmit,
    Unknown,
    Waiting,
    WakeAt,
)

NUMBER = 0x1122334455667788


@dataclass
class End:
    """One end: its state, and everything that it said."""

    state: RecoveryState
    passage: Passage = field(default_factory=Passage)
    delivered: list[bytes] = field(default_factory=list)
    delivered_at: list[float] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    unknown: int = 0
    packets: int = 0
    packet_bytes: int = 0
    wakes: int = 0
    wake_at: float | None = None
    waiting: int = 0
    keep_bytes: bool = True


class SimulatedPath:
    """``ends[0]`` and ``ends[1]`` talk; ``impairments[n]`` is what happens to what end n sends."""

    def __init__(self, impairment: Impairment, *, seed: int = 0, config: Recovery | None = None) -> None:
        config = config or Recovery(NUMBER)
        self.random = random.Random(seed)
        self.now = 100.0
        self.ends = [End(recovery.start(config, self.now)) for _ in range(2)]
        self.impairments = [impairment, impairment]
        self._agenda: list[tuple[float, int, int, bytes | None]] = []
        self._order = count()

    def give(self, side: int, message: bytes) -> None:
        self.tell(side, MessageGiven((message,), self.now))

    def tell(self, side: int, event: RecoveryEvent) -> None:
        end = self.ends[side]
        end.state, effects = recovery.receive(end.state, event)
        for effect in effects:
            match effect:
                case Transmit(packets):
                    for packet in packets:
                        self.send(side, packet)
                case Deliver(messages):
                    end.delivered += [bytes(message) if end.keep_bytes else b"" for message in messages]
                    end.delivered_at += [self.now] * len(messages)
                case WakeAt(at):
                    assert at > self.now
                    end.wake_at = at
                    heapq.heappush(self._agenda, (at, next(self._order), side, None))
                case Waiting(waiting):
                    end.waiting = waiting
                case Refused():
                    end.refused.append(effect)
                case Unknown(packets):
                    end.unknown += len(packets)
                case Failed():
                    end.failed.append(effect)

    def send(self, side: int, packet: bytes) -> None:
        end = self.ends[side]
        end.packets += 1
        end.packet_bytes += len(packet)
        end.passage, arrivals = let_through(
            self.impairments[side], end.passage, len(packet), self.now, self.random.random
        )
        for at in arrivals:
            heapq.heappush(self._agenda, (at, next(self._order), 1 - side, packet))

    def impair(self, **changes: object) -> None:
        self.impairments = [replace(impairment, **changes) for impairment in self.impairments]  # type: ignore[arg-type]

    def next_at(self) -> float:
        """Return when something happens next."""
        return self._agenda[0][0] if self._agenda else self.now

    def step(self) -> bool:
        """Go to the next moment at which something happens, and let it; return whether there was one."""
        agenda = self._agenda
        if not agenda:
            return False
        self.now, _, side, packet = heapq.heappop(agenda)
        if packet is None:
            end = self.ends[side]
            if end.wake_at == self.now:
                end.wake_at = None
                end.wakes += 1
                self.tell(side, Due(self.now))
            return True
        batch = [packet]
        while agenda and agenda[0][0] == self.now and agenda[0][2] == side and agenda[0][3] is not None:
            batch.append(heapq.heappop(agenda)[3])  # type: ignore[arg-type]
        self.tell(side, PacketsReceived(tuple(batch), self.now))
        return True

    def run(self, seconds: float = 600.0) -> Iterator[None]:
        """Step until nothing is left to do, or that time is over."""
        stop = self.now + seconds
        while self._agenda and self._agenda[0][0] <= stop and self.step():
            yield

    def finish(self, seconds: float = 600.0) -> None:
        for _ in self.run(seconds):
            pass
