"""A TCP link on real sockets: order, silence before ``start_reading``, back-pressure, and every way to end."""

import asyncio
import socket
from typing import Any

import pytest

from ockam_transports import stream_socket, tcp
from ockam_transports.base import LOW_WATER_BYTES
from ockam_transports.stream_socket import StreamSocketLink
from tests.transports.conftest import BIG, Run, Scene


def kernel_holds(link: StreamSocketLink) -> bytes:
    """What waits in the kernel for the link."""
    assert link._sock is not None
    try:
        return link._sock.recv(1 << 20, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


# ---- bytes


def test_bytes_arrive_in_order_both_ways(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link.start_reading()
            there, back = bytes(range(256)) * 20_000, bytes(reversed(range(256))) * 20_000
            scene.write(link, back[:10], b"", memoryview(back)[10:])
            _, got = await asyncio.gather(client.send(there), client.read(len(back)))
            await host.until(lambda: len(host.received[link.id]) == len(there))
            assert got == back
            assert host.received[link.id] == there
            assert link.buffered == 0

    run(main())


def test_more_chunks_than_one_write_takes(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            chunks = [bytes([n % 256]) * (n % 7) for n in range(3 * stream_socket.MAX_CHUNKS_PER_WRITE)]
            scene.write(link, *chunks)
            scene.write(link, b"end")
            expected = b"".join(chunks) + b"end"
            assert await client.read(len(expected)) == expected

    run(main())


def test_an_opened_link_carries_bytes(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            number = host.new_link()
            link = scene.transport.open(number, scene.listener.address)
            await host.told("opened", number)
            await host.until(lambda: len(host.accepted) == 1)
            (accepted,) = host.accepted
            link.start_reading()
            accepted.start_reading()
            scene.write(link, b"ping")
            await host.until(lambda: host.received[accepted.id] == b"ping")
            scene.write(accepted, b"pong")
            await host.until(lambda: host.received[number] == b"pong")
            link.abort()

    run(main())


def test_what_was_written_while_opening_is_sent(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link = scene.transport.open(host.new_link(), scene.listener.address)
            scene.write(link, b"early")
            await host.until(lambda: len(host.accepted) == 1)
            host.accepted[0].start_reading()
            await host.until(lambda: host.received[host.accepted[0].id] == b"early")
            link.abort()

    run(main())


def test_relief_is_told_for_what_waited_for_the_opening(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link = scene.transport.open(host.new_link(), scene.listener.address)
            scene.write(link, b"early")
            with host.calling():
                link.report_relieved()
            await host.told("relieved", link.id)
            link.abort()

    run(main())


@pytest.mark.spec("HOST-7")
def test_both_ends_send_without_delay(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link = scene.transport.open(host.new_link(), scene.listener.address)
            await host.told("opened", link.id)
            await host.until(lambda: len(host.accepted) == 1)
            for end in (link, host.accepted[0]):
                assert end._sock is not None
                assert end._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
                assert end._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            link.abort()

    run(main())


# ---- reading begins when the host says so


@pytest.mark.spec("HOST-1")
def test_nothing_is_read_before_start_reading(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            await client.send(b"early bird")
            await scene.barrier()
            assert host.received[link.id] == b""
            assert kernel_holds(link) == b"early bird"
            link.start_reading()
            await host.until(lambda: host.received[link.id] == b"early bird")

    run(main())


@pytest.mark.spec("HOST-1")
def test_an_opened_link_is_not_read_before_start_reading(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link = scene.transport.open(host.new_link(), scene.listener.address)
            await host.told("opened", link.id)
            await host.until(lambda: len(host.accepted) == 1)
            scene.write(host.accepted[0], b"banner")
            await scene.barrier()
            assert host.received[link.id] == b""
            assert kernel_holds(link) == b"banner"
            link.start_reading()
            await host.until(lambda: host.received[link.id] == b"banner")
            link.abort()

    run(main())


@pytest.mark.spec("HOST-1", "HOST-12")
def test_stop_reading_leaves_the_rest_in_the_kernel(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            host.on_bytes = lambda number: link.stop_reading() if number == link.id else None
            link.start_reading()
            link.start_reading()
            await client.send(b"one")
            await host.until(lambda: host.received[link.id] == b"one")
            await client.send(b"two")
            await scene.barrier()
            assert host.received[link.id] == b"one"
            link.stop_reading()
            host.on_bytes = lambda _: None
            link.start_reading()
            await host.until(lambda: host.received[link.id] == b"onetwo")

    run(main())


@pytest.mark.spec("HOST-2")
def test_a_client_that_hangs_up_unread_is_noticed(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "WATCH_AFTER_S", 0)
    monkeypatch.setattr(stream_socket, "HANGUP_GRACE_S", 0.02)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            client.close()
            assert await host.told("closed", link.id) == "the other side hung up"

    run(main())


@pytest.mark.spec("HOST-2")
def test_a_client_that_sent_something_and_finished_is_kept(
    run: Run, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_socket, "WATCH_AFTER_S", 0)
    monkeypatch.setattr(stream_socket, "HANGUP_GRACE_S", 0)

    async def main() -> None:
        async with Scene(host) as scene:
            kept, client = await scene.pair()
            await client.send(b"request")
            client.finish()
            silent, other = await scene.pair()
            other.close()
            await host.told("closed", silent.id)
            assert host.count("closed", kept.id) == 0
            kept.start_reading()
            await host.told("finished", kept.id)
            assert host.received[kept.id] == b"request"

    run(main())


def test_the_grace_ends_when_reading_begins(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "WATCH_AFTER_S", 0)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            client.finish()
            await scene.barrier()
            link.start_reading()
            await host.told("finished", link.id)
            scene.write(link, b"answer")
            assert await client.read(6) == b"answer"
            assert host.count("closed", link.id) == 0

    run(main())


@pytest.mark.spec("HOST-2")
def test_a_reset_is_noticed_before_reading(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "WATCH_AFTER_S", 0)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            client.reset()
            assert "reset" in await host.told("closed", link.id)

    run(main())


# ---- ends


@pytest.mark.spec("HOST-3")
def test_end_of_file_leaves_our_direction_open(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link.start_reading()
            await client.send(b"question")
            client.finish()
            await host.told("finished", link.id)
            assert host.received[link.id] == b"question"
            answer = b"a" * BIG
            scene.write(link, answer)
            scene.do(link, link.finish_sending)
            assert await client.read_all() == answer
            assert host.count("closed", link.id) == 0

    run(main())


@pytest.mark.spec("HOST-3")
def test_finish_sending_leaves_reading_open(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link.start_reading()
            scene.do(link, lambda: link.write((b"bye",)), link.finish_sending)
            assert await client.read_all() == b"bye"
            await client.send(b"still here")
            await host.until(lambda: host.received[link.id] == b"still here")

    run(main())


@pytest.mark.spec("HOST-4")
def test_close_destroys_nothing_on_its_way(run: Run, host: Any) -> None:
    """Unread input makes a bare ``close`` send a reset, which would throw away what the client has not read yet."""

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            await client.send(b"nobody will read this")
            await scene.barrier()
            answer = bytes(range(256)) * (BIG // 256)
            scene.do(link, lambda: link.write((answer,)), link.close)
            await client.send(bytes(BIG))  # nor this; a client that sends first and reads later must get through
            assert await client.read_all() == answer
            client.close()
            await host.told("gone", link.id)
            assert host.received[link.id] == b""
            assert host.count("closed", link.id) == host.count("finished", link.id) == 0

    run(main())


@pytest.mark.spec("HOST-5")
def test_close_waits_for_a_silent_other_side_only_so_long(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "LINGER_S", 0.02)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, link.close, link.close)
            await host.told("gone", link.id)
            assert await client.read_all() == b""
            assert host.count("gone", link.id) == 1

    run(main())


@pytest.mark.spec("HOST-5")
def test_close_gives_up_on_a_side_that_takes_nothing(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "FLUSH_STALL_S", 0.02)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, lambda: link.write((bytes(BIG),)), link.close)
            await host.told("gone", link.id)
            assert link.buffered == 0
            with pytest.raises(ConnectionResetError):  # bytes are missing: no orderly end
                await client.read_all()

    run(main())


@pytest.mark.spec("HOST-4")
def test_close_after_the_other_side_ended_is_immediate(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link.start_reading()
            client.finish()
            await host.told("finished", link.id)
            scene.do(link, lambda: link.write((b"last",)), link.close)
            assert link._sock is None
            assert await client.read_all() == b"last"

    run(main())


def test_close_before_anything_was_read(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, link.close)
            assert await client.read_all() == b""
            client.close()
            await host.told("gone", link.id)

    run(main())


@pytest.mark.spec("HOST-6")
def test_a_reset_while_reading_is_told_once(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link.start_reading()
            client.reset()
            assert "reset" in await host.told("closed", link.id)
            scene.write(link, b"nobody there")
            link.stop_reading()
            link.start_reading()
            scene.do(link, link.close)
            link.abort()
            await scene.barrier()
            assert [event for event in host.events if event[1] == link.id] == [
                ("accepted", link.id, ""),
                ("closed", link.id, "the other side reset the connection"),
            ]

    run(main())


@pytest.mark.spec("HOST-6")
def test_a_reset_behind_more_than_one_read_takes(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "READ_BYTES", 1000)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            await client.send(bytes(10_500))
            client.reset()
            await scene.barrier()
            link.start_reading()
            assert "reset" in await host.told("closed", link.id)
            assert len(host.received[link.id]) == 10_500
            await scene.barrier()
            assert host.count("closed", link.id) == 1
            assert link.buffered == 0

    run(main())


@pytest.mark.spec("HOST-6")
def test_a_broken_write_is_told_after_what_came_before_it(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            await client.send(b"413 too large")
            client.close()
            await scene.barrier()
            with host.calling():
                link.start_reading()
                for _ in range(3):  # the first write after the other side's close provokes the reset
                    link.write((b"x" * 1000,))
                    link.flush()
            await host.told("closed", link.id)
            assert host.received[link.id] == b"413 too large"
            assert host.count("closed", link.id) == 1

    run(main())


def test_a_stalled_write_that_breaks_is_told(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.write(link, bytes(BIG))
            assert link.buffered > 0
            client.reset()
            await host.told("closed", link.id)
            assert link.buffered == 0

    run(main())


def test_abort_is_silent_and_resets(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.write(link, bytes(BIG))
            with host.calling():
                link.abort()
                link.abort()
            await host.told("gone", link.id)
            with pytest.raises(ConnectionResetError):
                await client.read_all()
            assert host.count("gone", link.id) == 1

    run(main())


def test_abort_behind_an_orderly_end_resets_nothing(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, lambda: link.write((b"all of it",)), link.close, link.abort)
            await host.told("gone", link.id)
            assert client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            assert await client.read_all() == b"all of it"

    run(main())


# ---- back-pressure


def test_drained_is_told_when_everything_has_left(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, link.report_drained)
            await host.told("drained", link.id)
            scene.do(link, lambda: link.write((bytes(BIG),)), link.report_drained, link.report_drained)
            await client.read(BIG // 8)
            await scene.barrier()
            assert link.buffered > 0
            assert host.count("drained", link.id) == 1
            await client.read(BIG - BIG // 8)
            await host.until(lambda: host.count("drained", link.id) == 2)
            await scene.barrier()
            assert host.count("drained", link.id) == 2

    run(main())


def test_drained_answers_for_what_was_written_before_it_was_asked(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, lambda: link.write((bytes(BIG),)), link.report_drained)
            scene.write(link, bytes(BIG))
            await client.read(BIG)
            await host.told("drained", link.id)
            assert link.buffered > 0

    run(main())


def test_relieved_is_told_at_the_low_water_mark(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.write(link, bytes(BIG))
            with host.calling():
                link.report_relieved()
            await client.read(BIG // 8)
            await scene.barrier()
            assert link.buffered > LOW_WATER_BYTES
            assert host.count("relieved", link.id) == 0
            await client.read(BIG - BIG // 8)
            await host.told("relieved", link.id)
            assert link.buffered <= LOW_WATER_BYTES
            assert host.count("relieved", link.id) == 1

    run(main())


def test_a_waiting_view_does_not_keep_its_buffer(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            large = memoryview(bytes(BIG))
            scene.write(link, bytes(BIG), large[:100], large[: BIG // 2])
            scene.write(link, large[:200])
            views = [chunk for chunk in link._out if isinstance(chunk, memoryview) and chunk.obj is large.obj]
            assert [len(view) for view in views] == [BIG // 2]
            assert len(await client.read(BIG + 300 + BIG // 2)) == BIG + 300 + BIG // 2

    run(main())


def test_readiness_without_anything_to_read_is_no_event(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link._readable()
            link._peek()
            scene.do(link, link.close)
            link._discard()
            client.close()
            await host.told("gone", link.id)
            for late in (link._readable, link._peek, link._discard, link._writable):
                late()
            assert [event[0] for event in host.events] == ["accepted", "gone"]

    run(main())


def test_a_reset_while_closing_is_the_end(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, link.close)
            client.reset()
            await host.told("gone", link.id)
            flushing, client = await scene.pair()
            scene.do(flushing, lambda: flushing.write((bytes(BIG),)), flushing.close)
            client.reset()
            await host.told("gone", flushing.id)
            assert host.count("closed", link.id) == host.count("closed", flushing.id) == 0

    run(main())


def test_close_of_a_broken_link_is_silent(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            client.reset()
            await scene.barrier()
            scene.write(link, b"nobody there")
            scene.do(link, link.close)
            await host.told("gone", link.id)
            assert host.count("closed", link.id) == 0

    run(main())


def test_the_end_of_a_reset_socket_cannot_be_sent(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            client.reset()
            await scene.barrier()
            scene.do(link, link.finish_sending)
            await host.told("closed", link.id)

    run(main())


@pytest.mark.spec("HOST-4")
def test_a_slow_side_that_takes_a_little_is_waited_for(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "FLUSH_STALL_S", 0.05)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, lambda: link.write((bytes(BIG),)), link.close)
            taken = 0
            while taken < BIG:
                taken += len(await client.read(min(BIG - taken, 1024 * 1024)))
                await asyncio.sleep(0.01)
            assert await client.read_all() == b""
            client.close()
            await host.told("gone", link.id)

    run(main())
