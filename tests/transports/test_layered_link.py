"""What all links over a stream promise, with a protocol that changes nothing."""

import asyncio
from typing import Any, cast

from ockam_ref.machine import LinkId
from ockam_transports.base import LinkHost
from ockam_transports.layered_link import LayeredLink, Phase
from ockam_transports.stream_socket import StreamSocketLink


class Told:
    """A host, or a stream, that remembers what it was told."""

    buffered = 0

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, *arguments))


class Plain(LayeredLink):
    def begin(self) -> None:
        self._opened()

    def stream_received(self, data: bytes) -> None:
        self._deliver(data)

    def stream_finished(self) -> None:
        self._peer_finished = True
        self._end_when_read(lambda: self._host.link_finished(self.id))

    def _send(self, data: bytes) -> None:
        assert self._stream is not None
        self._stream.write((data,))

    def _pump(self) -> None:
        pass

    def _break(self) -> None:
        if self._stream is not None:
            self._stream.close()


async def opened(*, begin: bool = True) -> tuple[Plain, Told, Told]:
    host, stream = Told(), Told()
    link = Plain(
        LinkId(1),
        cast("LinkHost", host),
        loop=asyncio.get_running_loop(),
        on_open=lambda link: host.calls.append(("open", link.id)),
        on_fail=lambda reason: host.calls.append(("failed", reason)),
    )
    link.attach(cast("StreamSocketLink", stream))
    if begin:
        link.begin()
        host.calls.clear()
        stream.calls.clear()
    return link, host, stream


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_what_came_in_before_a_break_is_not_lost_and_the_break_is_told() -> None:
    async def main() -> None:
        link, host, _ = await opened()
        link.stream_received(b"one")
        link.stream_received(b"two")
        link.stream_closed("reset")
        assert host.calls == []
        link.start_reading()
        await turn()
        assert host.calls == [("bytes_received", 1, b"one"), ("bytes_received", 1, b"two"), ("link_closed", 1, "reset")]

    asyncio.run(main())


def test_a_break_without_anything_to_read_is_told_at_once() -> None:
    async def main() -> None:
        link, host, _ = await opened()
        link.stream_closed("reset")
        assert host.calls == [("link_closed", 1, "reset")]
        link.abort()
        await turn()
        assert host.calls == [("link_closed", 1, "reset")]

    asyncio.run(main())


def test_what_is_written_and_asked_early_has_its_turn_in_order() -> None:
    async def main() -> None:
        link, host, stream = await opened(begin=False)
        link.write((b"a", b"b"))
        link.report_drained()
        link.report_relieved()
        assert (link.buffered, stream.calls) == (2, [])
        link.begin()
        assert stream.calls == [
            ("stop_reading",),
            ("write", (b"ab",)),
            ("report_drained",),
            ("report_relieved",),
            ("watch",),
        ]
        assert host.calls == [("open", 1)]
        assert link.buffered == 0

    asyncio.run(main())


def test_an_end_waits_for_a_host_that_does_not_read_and_a_closed_link_says_nothing() -> None:
    async def main() -> None:
        link, host, _ = await opened()
        link.stream_received(b"last")
        link.stream_finished()
        link.start_reading()
        link.stop_reading()
        await turn()
        assert host.calls == []
        link.start_reading()
        await turn()
        assert host.calls == [("bytes_received", 1, b"last"), ("link_finished", 1)]
        link.abort()
        link.stream_received(b"late")
        link.stream_closed("reset")
        assert host.calls[2:] == [("link_gone", 1)]
        assert link._phase is Phase.ENDED

    asyncio.run(main())
