"""Bad weather on purpose."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from ockam_ref.lab.description import Hop
from ockam_ref.lab.lossy import LossyLink, Path, impairment_of


class Noting:
    """A link that notes what it is given."""

    def __init__(self) -> None:
        self.id, self.mtu = 7, 1200
        self.told: list[Any] = []
        self.four_times = asyncio.Event()

    def write(self, chunks: Sequence[bytes]) -> None:
        self.told.append(b"".join(chunks))

    def send(self, target: str, datagrams: Sequence[bytes], *, paced: bool) -> None:
        assert not paced
        self.told.append((target, *datagrams))

    def flush(self) -> None:
        self.told.append("flush")
        if len(self.told) == 4:
            self.four_times.set()

    def close(self) -> None:
        self.told.append("close")

    def abort(self) -> None:
        self.told.append("abort")


def lossy(hop: Hop) -> tuple[Noting, Any, Path]:
    below, path = Noting(), Path(impairment_of(hop))
    return below, LossyLink(below, path), path  # type: ignore[arg-type]


@pytest.mark.spec("RX-3", "RX-12")
def test_what_is_lost_is_counted() -> None:
    async def main() -> None:
        below, link, path = lossy(Hop("udp", loss=1.0))
        link.send("b", [b"one", b"two"])
        link.write([b"thr", b"ee"])
        assert (below.told, path.lost) == ([], 3)
        below, link, path = lossy(Hop("udp"))
        link.send("b", [b"one", b"two"])
        link.write([b"thr", b"ee"])
        assert (below.told, path.lost) == ([("b", b"one"), ("b", b"two"), b"three"], 0)
        assert (link.id, link.mtu) == (7, 1200)

    asyncio.run(main())


@pytest.mark.spec("RX-3")
def test_what_is_late_leaves_later_and_twice_where_it_is_doubled() -> None:
    async def main() -> None:
        below, link, _ = lossy(Hop("udp", duplicate=1.0, delay_s=0.01))
        link.send("b", [b"one"])
        assert below.told == []
        await below.four_times.wait()
        assert below.told == [("b", b"one"), "flush"] * 2

    asyncio.run(main())


@pytest.mark.spec("RX-8")
@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_closed_link_forgets_what_is_late(end: str) -> None:
    async def main() -> None:
        below, link, _ = lossy(Hop("udp", delay_s=0.01))
        link.write([b"one"])
        (late,) = link._late
        getattr(link, end)()
        assert (below.told, late.cancelled(), link._late) == ([end], True, set())

    asyncio.run(main())
