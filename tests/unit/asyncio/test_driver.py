"""The driver without a socket: links of the test's own show what it asks for and when."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest

from ockam_ref.asyncio.driver import Driver, now
from ockam_ref.effects import (
    ArmTimer,
    BindEndpoint,
    CloseLink,
    Deliver,
    DisarmTimer,
    FinishSending,
    OpenLink,
    ReportDrained,
    SendBytes,
    StartReading,
    StopReading,
)
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.events import LinkClosed, LinkDrained, LinkFailed, LinkFinished, LinkOpened, TimerFired
from ockam_ref.machine import LinkId
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage
from ockam_transports.base import HIGH_WATER_BYTES

A, B = LinkId(101), LinkId(102)
WORKER = local("w")


class FakeLink:
    """Notes what is asked of it; ``buffered`` is what the test says."""

    def __init__(self, number: LinkId) -> None:
        self.id = number
        self.buffered = 0
        self.mtu = None
        self.asked: list[str] = []

    def write(self, chunks: Iterable[Any]) -> None:
        self.asked.append("write " + b"".join(chunks).decode())

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda: self.asked.append(name)


class FakeTransport:
    """Opens fake links."""

    def __init__(self) -> None:
        self.opened: list[tuple[LinkId, str]] = []
        self.link = FakeLink(LinkId(0))

    def open(self, link: LinkId, target: str) -> FakeLink:
        self.opened.append((link, target))
        self.link = FakeLink(link)
        return self.link


class Scene:
    """A driver, two links, and a core that only notes events and answers with the effects it is given."""

    def __init__(self) -> None:
        self.driver = Driver()
        self.a, self.b = FakeLink(A), FakeLink(B)
        self.driver._links = {A: self.a, B: self.b}
        self.transport = FakeTransport()
        self.driver.transports._made["tcp"] = self.transport  # type: ignore[assignment]
        self.events: list[Any] = []
        self.answers: list[Any] = []
        core: Any = self.driver.core
        core.receive = self._answer
        core.tell = lambda _, event: self._answer(event)
        core.forward = lambda *_: self._answer("forward")

    def _answer(self, event: Any) -> list[Any]:
        self.events.append(event)
        answers, self.answers = self.answers, []
        return answers

    def on(self, link: LinkId, *effects: Any) -> None:
        """Let bytes of a link cause effects."""
        self.answers = list(effects)
        self.driver.bytes_received(link, b"in")


def scene(test: Callable[[Scene], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on an event loop with a fresh scene."""

    def run() -> None:
        async def main() -> None:
            await test(Scene())

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


@scene
async def test_effects_are_done_in_order_and_flushed_once(it: Scene) -> None:
    it.on(A, SendBytes(B, (b"x", b"y")), SendBytes(B, (b"z",)), FinishSending(B), ReportDrained(B))
    assert it.b.asked == ["write xy", "write z", "finish_sending", "report_drained", "flush"]
    assert it.a.asked == []


@scene
async def test_effects_for_links_that_are_gone_are_ignored(it: Scene) -> None:
    gone = LinkId(999)
    it.on(A, SendBytes(gone, (b"x",)), StartReading(gone), StopReading(gone), FinishSending(gone), CloseLink(gone, ""))
    it.on(A, ReportDrained(gone))
    assert it.a.asked == it.b.asked == []


@pytest.mark.spec("HOST-10")
@scene
async def test_a_full_sink_stops_its_source_until_it_is_relieved(it: Scene) -> None:
    it.on(A, StartReading(A))
    it.b.buffered = HIGH_WATER_BYTES + 1
    it.on(A, SendBytes(B, (b"x",)))
    it.on(A, SendBytes(B, (b"y",)))
    assert it.a.asked == ["start_reading", "stop_reading"]
    assert it.b.asked.count("report_relieved") == 2
    it.driver.link_relieved(B)
    assert it.a.asked == ["start_reading", "stop_reading", "start_reading"]


@pytest.mark.spec("HOST-11")
@scene
async def test_a_full_sink_leaves_other_sources_alone(it: Scene) -> None:
    it.on(A, StartReading(A))
    it.on(B, StartReading(B))
    it.b.buffered = HIGH_WATER_BYTES + 1
    it.on(A, SendBytes(B, (b"x",)))
    it.on(B)
    assert it.b.asked == ["start_reading", "write x", "flush", "report_relieved"]


@pytest.mark.spec("HOST-12")
@scene
async def test_the_core_and_back_pressure_are_independent(it: Scene) -> None:
    it.b.buffered = HIGH_WATER_BYTES + 1
    it.on(A, SendBytes(B, (b"x",)))
    it.on(A, StartReading(A))
    assert it.a.asked == []  # the core wants to read, the sink is full
    it.on(B, StopReading(A))
    it.driver.link_relieved(B)
    assert it.a.asked == ["stop_reading"]  # the sink is free, the core does not want to
    it.on(B, StartReading(A))
    assert it.a.asked == ["stop_reading", "start_reading"]


@pytest.mark.spec("HOST-10")
@scene
async def test_a_sink_that_is_gone_frees_its_sources(it: Scene) -> None:
    ends: list[Callable[[], None]] = [lambda: it.driver.link_closed(B, "reset"), lambda: it.on(A, CloseLink(B, "over"))]
    for end in ends:
        it.driver._links = {A: it.a, B: it.b}
        it.a.asked.clear()
        it.on(A, StartReading(A))
        it.b.buffered = HIGH_WATER_BYTES + 1
        it.on(A, SendBytes(B, (b"x",)))
        end()
        assert it.a.asked == ["start_reading", "stop_reading", "start_reading"]
        assert not it.driver._pressure._sources_of


@scene
async def test_a_link_that_closes_in_its_own_event_holds_nothing(it: Scene) -> None:
    it.b.buffered = HIGH_WATER_BYTES + 1
    it.on(A, SendBytes(B, (b"x",)), CloseLink(B, "over"))
    it.on(A, CloseLink(A, "over"))
    assert it.b.asked == ["write x", "close", "flush"]
    assert not it.driver._pressure._sinks_of
    it.driver._links[B] = it.b
    it.on(A, SendBytes(B, (b"x",)))
    assert not it.driver._pressure._sinks_of


@pytest.mark.spec("HOST-13")
@scene
async def test_a_caller_waits_for_a_full_sink(it: Scene) -> None:
    it.b.buffered = HIGH_WATER_BYTES + 1
    it.answers = [SendBytes(B, (b"x",))]
    sending = asyncio.ensure_future(it.driver.send(WORKER, LocalMessage((), (), b"")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not sending.done()
    it.driver.link_relieved(B)
    await sending
    it.b.buffered = HIGH_WATER_BYTES
    it.answers = [SendBytes(B, (b"x",))]
    await it.driver.send(WORKER, LocalMessage((), (), b""))


@scene
async def test_timers_and_answers_of_links_hold_nothing(it: Scene) -> None:
    it.b.buffered = HIGH_WATER_BYTES + 1
    it.answers = [SendBytes(B, (b"x",))]
    it.driver.link_drained(A)
    assert not it.driver._pressure._sinks_of
    assert isinstance(it.events[-1], LinkDrained)


@scene
async def test_a_full_mailbox_stops_its_source(it: Scene) -> None:
    class Full:
        def deliver(self, _: Deliver) -> bool:
            return True

    it.driver.receivers[WORKER] = Full()
    it.on(A, StartReading(A))
    it.on(A, Deliver(WORKER, WORKER, LocalMessage((), (), b"")))
    assert it.a.asked == ["start_reading", "stop_reading"]
    it.driver.relieved(WORKER)
    assert it.a.asked == ["start_reading", "stop_reading", "start_reading"]


@scene
async def test_opening_is_answered_to_who_asked(it: Scene) -> None:
    it.on(A, OpenLink(LinkId(7), "host:1"))
    assert it.transport.opened == [(LinkId(7), "host:1")]
    it.driver.link_opened(LinkId(7))
    it.driver.link_failed(LinkId(7), "refused")
    assert [type(event) for event in it.events[1:]] == [LinkOpened, LinkFailed]
    assert LinkId(7) not in it.driver._links

    opening = asyncio.ensure_future(it.driver.open("host:2", 1))
    await asyncio.sleep(0)
    number = it.transport.opened[-1][0]
    it.driver.link_opened(number)
    it.driver.link_opened(number)
    assert (await opening).id == number

    failing = asyncio.ensure_future(it.driver.open("host:3", 1))
    await asyncio.sleep(0)
    number = it.transport.opened[-1][0]
    it.driver.link_failed(number, "refused")
    it.driver.link_failed(number, "refused")
    with pytest.raises(OckamError, match="refused"):
        await failing
    assert number not in it.driver._links


@scene
async def test_a_link_that_opens_and_breaks_at_once_is_a_failure(it: Scene) -> None:
    opening = asyncio.ensure_future(it.driver.open("host:2", 1))
    await asyncio.sleep(0)
    number = it.transport.opened[-1][0]
    it.driver.link_opened(number)
    it.driver.link_closed(number, "reset")
    with pytest.raises(OckamError, match="host:2 closed the connection at once"):
        await opening


@scene
async def test_giving_up_counts_also_when_the_link_opens_at_that_moment(it: Scene) -> None:
    opening = asyncio.ensure_future(it.driver.open("host:2", 1))
    await asyncio.sleep(0)
    it.driver.link_opened(it.transport.opened[-1][0])
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert "close" in it.transport.link.asked
    assert set(it.driver._links) == {A, B}


@scene
async def test_opening_that_is_given_up_closes_the_link(it: Scene) -> None:
    opening = asyncio.ensure_future(it.driver.open("host:2", 1))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert it.transport.link.asked == ["close"]
    assert it.driver._opening == {}


class FakeDatagrams:
    """Binds fake endpoints when the test lets it."""

    def __init__(self) -> None:
        self.may_bind = asyncio.Event()
        self.refusal: str | None = None
        self.endpoint = FakeLink(A)

    async def bind(self, link: LinkId, address: str) -> FakeLink:
        await self.may_bind.wait()
        if self.refusal is not None:
            raise OckamError(ErrorCode.LINK_FAILED, f"{self.refusal} {address}")
        self.endpoint = FakeLink(link)
        return self.endpoint


@pytest.mark.spec("PUN-20")
@scene
async def test_an_endpoint_that_a_machine_asks_for(it: Scene) -> None:
    udp = FakeDatagrams()
    it.driver.transports._made["udp"] = udp  # type: ignore[assignment]
    links = [LinkId(number) for number in range(103, 107)]

    async def told() -> list[Any]:
        await asyncio.wait(it.driver._tasks)
        events = [event for event in it.events if isinstance(event, LinkOpened | LinkFailed)]
        it.events.clear()
        return events

    it.on(A, BindEndpoint(links[0], "127.0.0.1:0"))
    udp.may_bind.set()
    assert [type(event) for event in await told()] == [LinkOpened]
    assert it.driver._links[links[0]] is udp.endpoint

    udp.refusal = "no"
    it.on(A, BindEndpoint(links[1], "127.0.0.1:1"))
    assert [event.reason for event in await told()] == ["no 127.0.0.1:1"]
    it.on(A, BindEndpoint(links[2], "127.0.0.1:1"), CloseLink(links[2], "changed my mind"))
    assert not await told()

    udp.refusal = None
    it.on(A, BindEndpoint(links[2], "127.0.0.1:0"), CloseLink(links[2], "changed my mind"))
    assert not await told()
    assert udp.endpoint.asked == ["abort"]

    it.on(A, BindEndpoint(links[3], "x", transport="tcp"))
    assert [event.reason for event in await told()] == ["tcp has no datagrams: listen or connect instead"]


@scene
async def test_a_broken_stream_is_cut(it: Scene) -> None:
    it.on(A, CloseLink(B, "bytes are missing", broken=True))
    assert it.b.asked == ["abort"]
    assert B not in it.driver._links


@scene
async def test_ends_are_passed_on(it: Scene) -> None:
    it.driver.link_finished(A)
    it.driver.link_closed(A, "reset")
    assert [type(event) for event in it.events] == [LinkFinished, LinkClosed]
    assert it.events[1].reason == "reset"
    assert A not in it.driver._links


@scene
async def test_timers(it: Scene) -> None:
    it.on(A, ArmTimer(WORKER, "late", now().monotonic + 60), ArmTimer(WORKER, "soon", now().monotonic - 1))
    it.on(A, ArmTimer(WORKER, "gone", now().monotonic), DisarmTimer(WORKER, "gone"), DisarmTimer(WORKER, "never"))
    at = now().monotonic + 0.02
    it.on(A, ArmTimer(WORKER, "moved", now().monotonic), ArmTimer(WORKER, "moved", at))
    async with asyncio.timeout(5):
        while len(it.events) < 5:  # noqa: ASYNC110  # what is waited for is the loop itself
            await asyncio.sleep(0.001)
    fired = [event for event in it.events if isinstance(event, TimerFired)]
    assert [event.name for event in fired] == ["soon", "moved"]
    assert fired[1].now.monotonic >= at
    assert list(it.driver._timers) == [(WORKER, "late")]


@scene
async def test_shutting_down_cuts_what_does_not_end(it: Scene) -> None:
    it.on(A, ArmTimer(WORKER, "late", now().monotonic + 60))
    await it.driver.shut_down()
    assert it.a.asked == ["close", "abort"]
    assert it.driver._timers == {}
    with pytest.raises(OckamError):
        it.driver.start(None)


@scene
async def test_shutting_down_waits_for_links_that_end(it: Scene) -> None:
    shutting = asyncio.ensure_future(it.driver.shut_down())
    await asyncio.sleep(0)
    it.driver.link_gone(A)
    it.driver.link_gone(B)
    await shutting
    assert it.a.asked == ["close"]
