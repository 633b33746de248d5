"""Both event loops, and a host that only takes notes."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from ockam_ref.machine import LinkId
from ockam_transports.base import Link

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine on each kind of loop, at most ten seconds."""

    def run_it(coroutine: Coroutine[Any, Any, None]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(10):
                await coroutine

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(bounded())

    return run_it


class NotingHost:
    """A ``LinkHost`` that notes what it is told, and fails when it is told anything from inside a call of its own."""

    def __init__(self) -> None:
        self.events: list[tuple[str, LinkId, str]] = []
        self.received: dict[LinkId, bytearray] = defaultdict(bytearray)
        self.accepted: list[Link] = []
        self.inside = False
        self.on_bytes: Callable[[LinkId], None] = lambda _: None
        self._numbers = 0
        self._changed: asyncio.Future[None] | None = None

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Mark a call of the host into the adapter."""
        self.inside = True
        try:
            yield
        finally:
            self.inside = False

    def new_link(self) -> LinkId:
        self._numbers += 1
        return LinkId(self._numbers)

    def accept(self, link: Link) -> None:
        self.accepted.append(link)
        self._note("accepted", link.id)

    def bytes_received(self, link: LinkId, data: bytes) -> None:
        assert type(data) is bytes
        self.received[link] += data
        self._note("bytes", link)
        self.on_bytes(link)

    def link_opened(self, link: LinkId) -> None:
        self._note("opened", link)

    def link_failed(self, link: LinkId, reason: str) -> None:
        self._note("failed", link, reason)

    def link_finished(self, link: LinkId) -> None:
        self._note("finished", link)

    def link_closed(self, link: LinkId, reason: str) -> None:
        self._note("closed", link, reason)

    def link_drained(self, link: LinkId) -> None:
        self._note("drained", link)

    def link_relieved(self, link: LinkId) -> None:
        self._note("relieved", link)

    def link_gone(self, link: LinkId) -> None:
        self._note("gone", link)

    def _note(self, what: str, link: LinkId, reason: str = "") -> None:
        assert not self.inside, f"{what} was told from inside a call of the host"
        if what != "bytes":
            self.events.append((what, link, reason))
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at after every event."""
        while not condition():
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed

    async def told(self, what: str, link: LinkId) -> str:
        """Wait for one event of a link; return its reason."""
        await self.until(lambda: any(event[:2] == (what, link) for event in self.events))
        return next(reason for kind, number, reason in self.events if (kind, number) == (what, link))

    def count(self, what: str, link: LinkId) -> int:
        """How often the link told this."""
        return sum(event[:2] == (what, link) for event in self.events)


@pytest.fixture
def host() -> NotingHost:
    """A fresh noting host."""
    return NotingHost()
