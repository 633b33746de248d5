"""A host that only takes notes; with what it knows of the links it holds, it sees every broken rule of an adapter."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ockam_ref.machine import LinkId
from ockam_transports.base import Link

if TYPE_CHECKING:
    from ockam_ref.testing.contract.held import Held

_LAST_WORDS: Final = frozenset({"failed", "closed", "gone"})


class NotingHost:
    """A ``LinkHost`` that notes what it is told, and fails when it is told anything from inside a call of its own.

    Of links that it holds through ``Held`` it knows what was asked of them too: bytes that come in while nobody
    reads, a word about a link that is over, a second ``link_gone`` and the like are faults.  ``until`` raises the first
    fault there is, so that a test ends with the reason and does not wait for ever.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, LinkId, str]] = []
        self.received: dict[LinkId, bytearray] = defaultdict(bytearray)
        self.packets: dict[LinkId, list[bytes]] = defaultdict(list)
        self.datagrams: dict[LinkId, list[tuple[str, bytes]]] = defaultdict(list)
        self.accepted: list[Link] = []
        self.held: dict[LinkId, Held] = {}
        self.faults: list[str] = []
        self.inside = False
        self.on_bytes: Callable[[LinkId], None] = lambda _: None
        self._numbers = 0
        self._over: dict[LinkId, str] = {}
        self._changed: asyncio.Future[None] | None = None

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Mark a call of the host into the adapter."""
        self.inside = True
        try:
            yield
        finally:
            self.inside = False

    # ---- what an adapter tells

    def new_link(self) -> LinkId:
        """Return an unused number."""
        self._numbers += 1
        return LinkId(self._numbers)

    def accept(self, link: Link) -> None:
        """Keep the link."""
        self.accepted.append(link)
        self._note("accepted", link.id)

    def bytes_received(self, link: LinkId, data: bytes) -> None:
        """Keep the bytes, and each hand-over by itself."""
        assert type(data) is bytes, f"bytes_received got {type(data).__name__}: what the host keeps must not change"
        self._check_reading(link, len(data))
        self.received[link] += data
        self.packets[link].append(data)
        self._note("bytes", link)
        self.on_bytes(link)

    def datagrams_received(self, link: LinkId, source: str, datagrams: tuple[bytes | memoryview, ...]) -> None:
        """Keep copies, with who sent them."""
        self._check_reading(link, sum(map(len, datagrams)))
        self.datagrams[link] += [(source, bytes(datagram)) for datagram in datagrams]
        self._note("bytes", link)
        self.on_bytes(link)

    def datagrams_lost(self, link: LinkId, target: str, count: int, reason: str) -> None:
        """Note it."""
        self._note("lost", link, f"{count} to {target}: {reason}")

    def mtu_changed(self, link: LinkId, mtu: int) -> None:
        """Note it."""
        self._note("mtu", link, str(mtu))

    def link_opened(self, link: LinkId) -> None:
        """Note it."""
        if self.count("opened", link):
            self._fault(f"link {link} told that it is open twice")
        self._note("opened", link)

    def link_failed(self, link: LinkId, reason: str) -> None:
        """Note it."""
        if self.count("opened", link):
            self._fault(f"link {link} was open and told link_failed; link_closed is the word")
        self._note("failed", link, reason)

    def link_finished(self, link: LinkId) -> None:
        """Note it."""
        if self.count("finished", link):
            self._fault(f"link {link} told the end of the other direction twice")
        self._note("finished", link)

    def link_closed(self, link: LinkId, reason: str) -> None:
        """Note it."""
        self._note("closed", link, reason)

    def link_drained(self, link: LinkId) -> None:
        """Note it."""
        self._note("drained", link)

    def link_relieved(self, link: LinkId) -> None:
        """Note it."""
        self._note("relieved", link)

    def link_gone(self, link: LinkId) -> None:
        """Note it."""
        held = self.held.get(link)
        if held is not None and not held.is_closed:
            self._fault(f"link {link} told link_gone although the host did not close it")
        self._note("gone", link)

    # ---- what a test asks

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at after every event."""
        self.check()
        while not condition():
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed
            self.check()

    def check(self) -> None:
        """Raise the first fault, if there is one."""
        if self.faults:
            raise AssertionError(self.faults[0])

    async def told(self, what: str, link: LinkId) -> str:
        """Wait for one event of a link; return its reason.  A link that has said its last word says no other."""
        await self.until(lambda: self.count(what, link) > 0 or self.is_over(link))
        if not self.count(what, link):
            said = [(kind, reason) for kind, number, reason in self.events if number == link]
            raise AssertionError(f"link {link} was to tell {what}, and told {said}")
        return next(reason for kind, number, reason in self.events if (kind, number) == (what, link))

    async def told_one_of(self, link: LinkId, *kinds: str) -> str:
        """Wait for one of these events of a link; return which it was."""
        await self.until(lambda: any(self.count(kind, link) for kind in kinds))
        return next(kind for kind in kinds if self.count(kind, link))

    def count(self, what: str, link: LinkId) -> int:
        """How often the link told this."""
        return sum(event[:2] == (what, link) for event in self.events)

    def is_over(self, link: LinkId) -> bool:
        """Whether the link has said its last word: that it failed, was closed by the other side, or is gone."""
        return link in self._over

    def forget(self) -> None:
        """Throw the notes away, where thousands of links would make them long."""
        self.events.clear()
        self.received.clear()
        self.packets.clear()
        self.datagrams.clear()
        self.accepted.clear()
        self.held.clear()
        self._over.clear()

    # ---- rules

    def _note(self, what: str, link: LinkId, reason: str = "") -> None:
        if self.inside:
            self._fault(f"{what} was told from inside a call of the host")
        self._check_order(what, link)
        if what in {"failed", "closed"} and not reason.strip():
            self._fault(f"link {link} told {what} without a reason")
        if what != "bytes":
            self.events.append((what, link, reason))
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def _check_reading(self, link: LinkId, count: int) -> None:
        held = self.held.get(link)
        if held is not None and not held.is_reading:
            self._fault(f"link {link} told {count} bytes while the host did not read")

    def _check_order(self, what: str, link: LinkId) -> None:
        over = self._over.get(link)
        if over is not None:
            self._fault(f"link {link} told {what} after {over}")
        if what in _LAST_WORDS:
            self._over[link] = what
        held = self.held.get(link)
        if held is not None and held.is_closed and what != "gone":
            self._fault(f"link {link} told {what} after the host had closed it")

    def _fault(self, text: str) -> None:
        """A fault is raised into the adapter, which may swallow it, and kept for whoever waits."""
        self.faults.append(text)
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        raise AssertionError(text)
