"""UDP sockets: batches with and without the help of the kernel, names, losses that are told, pauses, every way to end."""

import asyncio
import errno
import random
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.testing.contract import NotingHost
from ockam_transports import datagram_sink, udp
from ockam_transports.base import LOW_WATER_BYTES
from ockam_transports.datagram_socket import MAX_DATAGRAM_BYTES, DatagramSocket
from ockam_transports.udp import UdpLink, UdpSocketEndpoint, UdpTransport, resolve
from tests.transports.conftest import Run

ANY = "127.0.0.1:0"


@pytest.fixture(params=[True, False], ids=["offload", "plain"])
def offload(request: pytest.FixtureRequest) -> bool:
    """With and without the batches of the kernel."""
    return bool(request.param)


class Sockets:
    """Endpoints and links of one noting host."""

    def __init__(self, host: NotingHost, *, offload: bool = True) -> None:
        self.host = host
        self.transport = UdpTransport(host, offload=offload)
        self.made: list[UdpSocketEndpoint | UdpLink] = []

    async def bind(self, address: str = ANY, *, reading: bool = True) -> UdpSocketEndpoint:
        endpoint = await self.transport.bind(self.host.new_link(), address)
        self.made.append(endpoint)
        if reading:
            endpoint.start_reading()
        return endpoint

    async def open(self, target: str, *, reading: bool = True) -> UdpLink:
        link = self.transport.open(self.host.new_link(), target)
        self.made.append(link)
        await self.host.told("opened", link.id)
        if reading:
            link.start_reading()
        return link

    def send(self, endpoint: UdpSocketEndpoint, target: str, *datagrams: bytes) -> None:
        with self.host.calling():
            endpoint.send(target, datagrams)
            endpoint.flush()

    def write(self, link: UdpLink, *datagrams: bytes) -> None:
        with self.host.calling():
            for datagram in datagrams:
                link.write((datagram[:3], datagram[3:]))
            link.flush()

    def got(self, endpoint: UdpSocketEndpoint) -> list[bytes]:
        return [datagram for _, datagram in self.host.datagrams[endpoint.id]]

    async def until_got(self, endpoint: UdpSocketEndpoint, expected: Sequence[bytes]) -> None:
        await self.host.until(lambda: len(self.got(endpoint)) >= len(expected))
        assert self.got(endpoint) == list(expected)


@asynccontextmanager
async def sockets(host: NotingHost, *, offload: bool = True) -> AsyncIterator[Sockets]:
    found = Sockets(host, offload=offload)
    try:
        yield found
    finally:
        for one in found.made:
            one.abort()
        await asyncio.sleep(0)
        host.check()


def mixed(seed: int) -> list[bytes]:
    """Datagrams in runs of one size and in no order at all, an empty one among them."""
    dice = random.Random(seed)
    sizes = [503] * 70 + [280] + [508] * 3 + [dice.randrange(1, 1200) for _ in range(20)] + [9, 0, 9, 9, 0] + [700] * 5
    return [dice.randbytes(size) for size in sizes]


# ---- datagrams


def test_datagrams_arrive_whole_and_in_order_both_ways(run: Run, host: NotingHost, *, offload: bool) -> None:
    async def main() -> None:
        async with sockets(host, offload=offload) as made:
            near, far = await made.bind(), await made.bind()
            there, back = mixed(1), mixed(2)
            made.send(near, far.address, *there)
            await made.until_got(far, there)
            made.send(far, near.address, *back)
            await made.until_got(near, back)
            assert {source for source, _ in host.datagrams[far.id]} == {near.address}
            assert near.buffered == far.buffered == 0

    run(main())


def test_both_ways_to_use_the_kernel_give_the_same(run: Run, host: NotingHost) -> None:
    async def main() -> None:
        found = {}
        for sending in (True, False):
            for receiving in (True, False):
                async with sockets(host, offload=sending) as senders, sockets(host, offload=receiving) as receivers:
                    near, far = await senders.bind(), await receivers.bind()
                    senders.send(near, far.address, *mixed(3))
                    await receivers.until_got(far, mixed(3))
                    found[sending, receiving] = receivers.got(far)
        assert len(found) == 4

    run(main())


def test_several_sources_are_told_apart(run: Run, host: NotingHost, *, offload: bool) -> None:
    async def main() -> None:
        async with sockets(host, offload=offload) as made:
            far = await made.bind(reading=False)
            nears = [await made.bind() for _ in range(5)]
            for turn in range(10):
                for near in nears:
                    made.send(near, far.address, b"%d" % turn)
            far.start_reading()
            await host.until(lambda: len(host.datagrams[far.id]) == 50)
            for near in nears:
                assert [data for source, data in host.datagrams[far.id] if source == near.address] == [
                    b"%d" % turn for turn in range(10)
                ]

    run(main())


def test_nothing_is_read_before_and_after_it_was_asked_for(run: Run, host: NotingHost) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            near, far = await made.bind(), await made.bind(reading=False)
            made.send(near, far.address, b"1")
            await asyncio.sleep(0.02)
            assert made.got(far) == []
            far.start_reading()
            far.start_reading()
            await made.until_got(far, [b"1"])
            far.stop_reading()
            far.stop_reading()
            made.send(near, far.address, b"2")
            await asyncio.sleep(0.02)
            assert made.got(far) == [b"1"]
            far.start_reading()
            await made.until_got(far, [b"1", b"2"])

    run(main())


def test_ipv6_and_its_text(run: Run, host: NotingHost) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            near, far = await made.bind("[::1]:0"), await made.bind("[::1]:0")
            assert far.address.startswith("[::1]:")
            made.send(near, far.address, b"six")
            await made.until_got(far, [b"six"])
            assert host.datagrams[far.id][0][0] == near.address
            assert await resolve("[0:0::1]:9", beside="[::1]:0") == "[::1]:9"

    run(main())


def test_a_link_local_source_is_answered_through_its_interface(run: Run, host: NotingHost) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            endpoint = await made.bind("[::1]:0")
            where = ("fe80::1%lo", 4000, 0, 7)
            with host.calling():
                host.inside = False
                endpoint._received(where, [b"x"])
            assert host.datagrams[endpoint.id] == [("[fe80::1]:4000", b"x")]
            assert endpoint._known["[fe80::1]:4000"][0] == where

    run(main())


# ---- names and addresses


def test_a_name_is_looked_up_once_and_what_came_meanwhile_keeps_its_order(run: Run, host: NotingHost) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            near, far = await made.bind(), await made.bind()
            target = far.address.replace("127.0.0.1", "localhost")
            made.send(near, target, b"1")
            made.send(near, target, b"2", b"3")
            assert near.buffered == 3
            await made.until_got(far, [b"1", b"2", b"3"])
            made.send(near, target, b"4")
            await made.until_got(far, [b"1", b"2", b"3", b"4"])

    run(main())


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("", "no socket address"),
        ("nonsense", "not a socket address"),
        ("127.0.0.1:70000", "not a socket address"),
        ("[::1]:9", "bound to an IPv4 address"),
        ("no-such-host.invalid:9", "not known"),
    ],
)
def test_what_cannot_be_sent_is_told_and_harms_nothing_else(
    run: Run, host: NotingHost, target: str, reason: str
) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            near, far = await made.bind(), await made.bind()
            made.send(near, target, b"1", b"2")
            told = await host.told("lost", near.id)
            assert told.startswith(f"2 to {target}: ")
            assert reason.removeprefix("no ") in told
            assert near.buffered == 0
            made.send(near, far.address, b"3")
            await made.until_got(far, [b"3"])

    run(main())


def test_a_datagram_that_is_too_long_is_lost_alone(run: Run, host: NotingHost, *, offload: bool) -> None:
    async def main() -> None:
        async with sockets(host, offload=offload) as made:
            near, far = await made.bind(), await made.bind()
            longest = bytes(MAX_DATAGRAM_BYTES)
            made.send(near, far.address, longest, longest + b"x", b"3")
            await made.until_got(far, [longest, b"3"])
            assert "1 to" in await host.told("lost", near.id)

    run(main())


def test_many_names_at_once_are_bounded(run: Run, host: NotingHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(udp, "MAX_LOOKUPS", 1)
        async with sockets(host) as made:
            near = await made.bind()
            made.send(near, "no-such-host.invalid:1", b"x")
            made.send(near, "no-such-host.invalid:2", b"x")
            assert "too many names" in await host.told("lost", near.id)
            assert near.buffered == 1

    run(main())


def test_targets_and_sources_that_are_remembered_are_bounded(
    run: Run, host: NotingHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        monkeypatch.setattr(udp, "MAX_KNOWN_TARGETS", 3)
        async with sockets(host) as made:
            far = await made.bind()
            nears = [await made.bind() for _ in range(5)]
            for near in nears:
                made.send(near, far.address, b"there")
                made.send(far, near.address, b"back")
            await host.until(lambda: len(host.datagrams[far.id]) == 5)
            await host.until(lambda: all(host.datagrams[near.id] for near in nears))
            assert len(far._known) <= 3
            assert len(far._texts) <= 3

    run(main())


def test_what_cannot_be_bound_says_why(run: Run, host: NotingHost) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            taken = await made.bind()
            for address, reason in (
                (taken.address, "the port is taken"),
                ("192.0.2.1:0", "does not have that address"),
                ("no-such-host.invalid:0", "not known"),
            ):
                with pytest.raises(OckamError, match=reason) as caught:
                    await made.transport.bind(host.new_link(), address)
                assert caught.value.code is ErrorCode.LINK_FAILED
            with pytest.raises(MisuseError):
                await made.transport.bind(host.new_link(), "nonsense")
            with pytest.raises(OckamError, match="not known"):
                await resolve("no-such-host.invalid:1", beside=ANY)

    run(main())


# ---- links to one other


def test_a_link_carries_datagrams_of_its_target_only(run: Run, host: NotingHost, *, offload: bool) -> None:
    async def main() -> None:
        async with sockets(host, offload=offload) as made:
            far, stranger = await made.bind(), await made.bind()
            link = await made.open(far.address.replace("127.0.0.1", "localhost"))
            made.write(link, *mixed(4))
            await made.until_got(far, mixed(4))
            address = host.datagrams[far.id][0][0]
            made.send(stranger, address, b"no")
            made.send(far, address, b"yes", b"", b"yes again")
            await host.until(lambda: len(host.packets[link.id]) == 3)
            assert host.packets[link.id] == [b"yes", b"", b"yes again"]
            with host.calling():
                link.finish_sending()
                link.report_drained()
                link.flush()
            await host.told("drained", link.id)

    run(main())


@pytest.mark.parametrize("target", ["nonsense", "no-such-host.invalid:9", "255.255.255.255:9"])
def test_a_link_that_cannot_be_opened_fails(run: Run, host: NotingHost, target: str) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            with host.calling():
                link = made.transport.open(host.new_link(), target)
                made.made.append(link)
            assert await host.told("failed", link.id)

    run(main())


def test_a_link_that_is_closed_while_it_opens_says_nothing(run: Run, host: NotingHost) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            for target in ("nonsense", "localhost:9"):
                link = made.transport.open(host.new_link(), target)
                link.close()
                link.close()
                await host.told("gone", link.id)
                assert host.count("failed", link.id) == host.count("opened", link.id) == 0

    run(main())


def test_nobody_at_the_other_end_never_breaks_a_socket(run: Run, host: NotingHost, *, offload: bool) -> None:
    """A machine says by ICMP that a port is closed; the next call fails with it."""

    async def main() -> None:
        async with sockets(host, offload=offload) as made:
            gone = await made.bind()
            address = gone.address
            gone.abort()
            link, endpoint = await made.open(address), await made.bind()
            for _ in range(5):
                made.write(link, b"1", b"2")
                made.send(endpoint, address, b"1")
                await asyncio.sleep(0.01)
            back = await made.bind(address)
            made.write(link, b"3")
            await host.until(lambda: b"3" in made.got(back))
            made.send(back, host.datagrams[back.id][-1][0], b"4")
            await host.until(lambda: host.packets[link.id] == [b"4"])

    run(main())


# ---- writes that wait


class Stubborn:
    """Makes a ``DatagramSocket`` refuse to send for a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refusing = True
        sending = DatagramSocket.send

        def send(sock: DatagramSocket, *arguments: Any) -> int:
            if self.refusing:
                raise BlockingIOError
            return sending(sock, *arguments)

        monkeypatch.setattr(DatagramSocket, "send", send)


def test_what_the_socket_does_not_take_waits_and_relief_is_told(
    run: Run, host: NotingHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            stubborn = Stubborn(monkeypatch)
            near, far = await made.bind(), await made.bind()
            datagrams = [bytes(1000)] * 1100
            for start in range(0, 1100, 100):
                made.send(near, far.address, *datagrams[start : start + 100])
            assert near.buffered == 1_100_000 > LOW_WATER_BYTES
            with host.calling():
                near.report_relieved()
            await asyncio.sleep(0.02)
            assert host.count("relieved", near.id) == 0
            stubborn.refusing = False
            await host.told("relieved", near.id)
            await host.until(lambda: len(made.got(far)) == 1100)
            assert near.buffered == 0
            with host.calling():
                near.report_relieved()
            await host.until(lambda: host.count("relieved", near.id) == 2)

    run(main())


def test_what_waits_is_bounded(run: Run, host: NotingHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            Stubborn(monkeypatch)
            monkeypatch.setattr(udp, "MAX_QUEUED_BYTES", 2000)
            far = await made.bind()
            near, link = await made.bind(), await made.open(far.address)
            made.send(near, far.address, bytes(1500))
            made.send(near, far.address, bytes(1500))
            assert "wait to be sent already" in await host.told("lost", near.id)
            made.write(link, bytes(1500), bytes(1500))
            assert "wait to be sent already" in await host.told("lost", link.id)
            assert near.buffered == link.buffered == 1500

    run(main())


def test_a_long_message_has_pauses_in_which_others_go_on(run: Run, host: NotingHost) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            near, far, other = await made.bind(), await made.bind(), await made.bind()
            count = 10 * datagram_sink.DATAGRAMS_PER_PAUSE
            made.send(near, far.address, *[b"%d" % index for index in range(count)])
            made.send(near, far.address, b"after")
            assert near.buffered > 0
            made.send(near, other.address, b"at once")
            await made.until_got(other, [b"at once"])
            assert len(made.got(far)) < count
            await made.until_got(far, [*(b"%d" % index for index in range(count)), b"after"])

    run(main())


def test_what_the_core_has_paced_leaves_without_pauses(run: Run, host: NotingHost) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            near, far = await made.bind(), await made.bind()
            count = 2 * datagram_sink.LONG_MESSAGE_DATAGRAMS
            with host.calling():
                near.send(far.address, [b"%d" % index for index in range(count)], paced=True)
                near.flush()
            assert near.buffered == 0
            await made.until_got(far, [b"%d" % index for index in range(count)])

    run(main())


# ---- the kernel's help


class Kernel:
    """A socket that refuses runs of datagrams."""

    def __init__(self, sock: socket.socket, *refusals: int) -> None:
        self.sock = sock
        self.refusals = list(refusals)
        self.calls: list[int] = []

    def sendmsg(self, chunks: Iterable[bytes], ancillary: Sequence[Any], flags: int, where: Any) -> int:
        parts = list(chunks)
        self.calls.append(len(parts))
        if self.refusals:
            raise OSError(self.refusals.pop(0), "refused")
        return self.sock.sendmsg(parts, ancillary, flags, where)


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EIO, errno.EMSGSIZE])
def test_a_network_that_takes_no_runs_gets_single_datagrams(refusal: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw, socket.socket(type=socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        near = DatagramSocket(raw)
        kernel = Kernel(raw, refusal)
        near._socket = kernel  # type: ignore[assignment]
        datagrams = [bytes([n]) * 9 for n in range(4)]
        position = 0
        while position < 4:
            position += near.send(datagrams, position, far.getsockname(), 64)
        assert kernel.calls == ([4, 1, 1, 1, 1] if near._segments_below else [1, 1, 1, 1])
        assert [far.recv(99) for _ in range(4)] == datagrams
        assert near.send([bytes(5)] * 3, 0, far.getsockname(), 64) in {1, 3}


def test_news_of_an_earlier_datagram_costs_one_more_call() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw, socket.socket(type=socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        near = DatagramSocket(raw)
        kernel = Kernel(raw, errno.ECONNREFUSED)
        near._socket = kernel  # type: ignore[assignment]
        assert near.send([b"1"], 0, far.getsockname(), 64) == 1
        assert far.recv(9) == b"1"
        kernel.refusals = [errno.ECONNREFUSED, errno.EHOSTUNREACH]
        with pytest.raises(OSError, match="refused"):
            near.send([b"1"], 0, far.getsockname(), 64)


# ---- the end


def test_closing_sends_what_was_given_and_aborting_does_not(
    run: Run, host: NotingHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            far = await made.bind()
            closed, aborted, stuck = await made.bind(), await made.bind(), await made.bind()
            count = 5 * datagram_sink.DATAGRAMS_PER_PAUSE
            with host.calling():
                for near in (closed, aborted):
                    near.send(far.address, [b"%d" % index for index in range(count)])
                closed.close()
                closed.close()
                aborted.abort()
                aborted.abort()
                closed.send(far.address, [b"too late"])
                closed.start_reading()
            await host.told("gone", aborted.id)
            await host.told("gone", closed.id)
            await host.until(lambda: len(made.got(far)) == count)
            assert {source for source, _ in host.datagrams[far.id]} == {closed.address}
            Stubborn(monkeypatch)
            monkeypatch.setattr(datagram_sink, "FLUSH_S", 0.01)
            made.send(stuck, far.address, b"never")
            stuck.close()
            await host.told("gone", stuck.id)
            assert host.count("gone", closed.id) == host.count("gone", stuck.id) == 1

    run(main())


def test_a_socket_that_breaks_is_told_once(run: Run, host: NotingHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            near, far = await made.bind(), await made.bind()

            def broken(_: DatagramSocket) -> None:
                raise OSError(errno.ENOTCONN, "broken")

            monkeypatch.setattr(DatagramSocket, "receive", broken)
            made.send(near, far.address, b"x")
            assert await host.told("closed", far.id) == "broken"
            far.close()
            await asyncio.sleep(0.01)
            assert host.count("closed", far.id) == 1

    run(main())


def test_a_host_that_closes_while_it_is_told_hears_nothing_more(run: Run, host: NotingHost) -> None:
    async def main() -> None:
        async with sockets(host) as made:
            far = await made.bind(reading=False)
            nears = [await made.bind() for _ in range(3)]
            for near in nears:
                made.send(near, far.address, b"x")
            host.on_bytes = lambda _: far.close()
            far.start_reading()
            await host.told("gone", far.id)
            assert len(made.got(far)) == 1
            host.on_bytes = lambda _: link.close()
            other = await made.bind()
            link = await made.open(other.address, reading=False)
            made.write(link, b"?")
            await host.until(lambda: len(made.got(other)) == 1)

    run(main())
