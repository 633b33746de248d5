"""Streams of observations, and the lives of workers."""

import asyncio
import gc

from ockam_ref.asyncio import watching
from ockam_ref.asyncio.watching import Stream, Watching
from ockam_ref.observations import ChannelClosed, ChannelOpened, LinkLost, MessageDropped
from ockam_ref.wire.address import local

DROP = MessageDropped("rule", "detail", local("a"), (), ())
OPENED = ChannelOpened(local("w"), local("e"), bytes(32), initiator=True)
CLOSED = ChannelClosed(local("w"), local("e"), "over")


def test_a_stream_gives_what_was_put_in_order_and_ends() -> None:
    async def main() -> None:
        stream: Stream[int] = Stream()
        stream.put(1)
        stream.put(2)
        assert await anext(stream) == 1
        reading = asyncio.ensure_future(anext(stream))
        assert await reading == 2
        late = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        stream.put(3)
        stream.put(4)
        assert await late == 3
        stream.end()
        assert [item async for item in stream] == [4]
        assert [item async for item in stream] == []

    asyncio.run(main())


def test_a_reader_that_is_cancelled_may_read_again() -> None:
    async def main() -> None:
        stream: Stream[int] = Stream()
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        stream.put(1)
        assert await anext(stream) == 1

    asyncio.run(main())


def test_a_slow_reader_costs_a_bounded_amount() -> None:
    async def main() -> None:
        stream: Stream[int] = Stream()
        for number in range(watching.MAX_WAITING_OBSERVATIONS + 5):
            stream.put(number)
        assert await anext(stream) == 5

    asyncio.run(main())


def test_every_reader_hears_everything_until_nobody_holds_it() -> None:
    async def main() -> None:
        watch = Watching()
        first, second = watch.observe(), watch.observe()
        watch.report(DROP)
        assert await anext(first) is DROP
        assert await anext(second) is DROP
        del second
        gc.collect()
        assert len(watch._readers) == 1

    asyncio.run(main())


def test_a_life_begins_and_ends_with_what_its_worker_reports() -> None:
    async def main() -> None:
        watch = Watching()
        life = watch.follow(local("w"))
        watch.report(LinkLost(local("other"), 1, "not ours"))  # type: ignore[arg-type]
        watch.report(DROP)
        assert not life.begun.done()
        watch.report(OPENED)
        watch.report(OPENED)
        assert life.begun.result() is OPENED
        assert not life.ended.done()
        watch.report(CLOSED)
        assert life.ended.result() == "over"
        watch.end(local("w"), "too late")
        assert life.ended.result() == "over"
        assert watch._lives == {}

    asyncio.run(main())


def test_the_end_of_the_node_ends_everything() -> None:
    async def main() -> None:
        watch = Watching()
        life, stream = watch.follow(local("w")), watch.observe()
        watch.end_all("the node stopped")
        assert life.ended.result() == "the node stopped"
        assert [item async for item in stream] == []
        watch.end(local("w"), "again")

    asyncio.run(main())
