"""Opening TCP links and listening for them: names, deadlines, refusals, limits."""

import asyncio
import errno
import socket
from time import perf_counter
from typing import Any

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_transports import connecting, stream_listener
from ockam_transports.tcp import KeepAlive, TcpTransport
from tests.transports.conftest import Client, Run, Scene

# ---- opening


def test_a_closed_port_refuses(run: Run, host: Any) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        async with Scene(host) as scene:
            number = host.new_link()
            with host.calling():
                scene.transport.open(number, f"127.0.0.1:{port}")
            reason = await host.told("failed", number)
            assert reason == f"cannot connect to 127.0.0.1:{port} over TCP: nothing listens there (connection refused)"

    run(main())


@pytest.mark.parametrize("target", ["", "nonsense", "host:70000", "[::1", "bad host:80"])
def test_a_target_that_cannot_be_read_fails(run: Run, host: Any, target: str) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            number = host.new_link()
            with host.calling():
                scene.transport.open(number, target)
            assert "is not a socket address" in await host.told("failed", number)

    run(main())


def test_an_unknown_name_fails(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            number = host.new_link()
            with host.calling():
                scene.transport.open(number, "no-such-host.invalid:80")
            assert "the host name is not known" in await host.told("failed", number)

    run(main())


@pytest.mark.spec("HOST-8")
def test_a_name_is_tried_on_all_its_addresses(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            port = int(scene.listener.address.rpartition(":")[2])
            with socket.create_server(("127.0.0.2", 0)) as taken:
                closed = taken.getsockname()[1]
            addresses = [
                (socket.AF_INET, ("127.0.0.2", closed)),
                (socket.AF_INET6, ("no address", 1, 0, 0)),
                (socket.AF_INET6, ("::ffff:240.0.0.1", 1, 0, 0)),
                (77, ("no family", 1)),
                (socket.AF_INET, ("127.0.0.1", port)),
            ]
            scene.transport._loop = _WithLookup(addresses)  # type: ignore[assignment]
            number = host.new_link()
            link = scene.transport.open(number, "many-addresses.test:1")
            await host.told("opened", number)
            link.abort()

    run(main())


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [([], "the name has no address"), ([(77, ("x", 1))], "address family not supported by protocol")],
)
def test_a_name_without_a_usable_address_fails(run: Run, host: Any, addresses: list[Any], reason: str) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            scene.transport._loop = _WithLookup(addresses)  # type: ignore[assignment]
            number = host.new_link()
            with host.calling():
                scene.transport.open(number, "no-address.test:1")
            assert await host.told("failed", number) == f"cannot connect to no-address.test:1 over TCP: {reason}"

    run(main())


class _WithLookup:
    """The running loop with a resolver that knows one answer."""

    def __init__(self, addresses: list[Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._addresses = addresses

    async def getaddrinfo(self, *_: object, **__: object) -> list[Any]:
        return [(family, socket.SOCK_STREAM, 6, "", where) for family, where in self._addresses]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


@pytest.mark.spec("HOST-8")
def test_an_address_that_is_silent_does_not_hold_up_the_next(
    run: Run, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "NEXT_ADDRESS_AFTER_S", 0.02)

    async def main() -> None:
        async with Scene(host) as scene:
            with _full_listener() as (silent_port, _):
                port = int(scene.listener.address.rpartition(":")[2])

                addresses = [(socket.AF_INET, ("127.0.0.1", silent_port)), (socket.AF_INET, ("127.0.0.1", port))]
                scene.transport._loop = _WithLookup(addresses)  # type: ignore[assignment]
                number = host.new_link()
                link = scene.transport.open(number, "slow-and-quick.test:1")
                await host.told("opened", number)
                link.abort()

    run(main())


class _full_listener:  # noqa: N801  # reads as a function
    """A listening socket whose queue is full, so that the kernel ignores whoever knocks."""

    def __enter__(self) -> tuple[int, list[socket.socket]]:
        self.sockets = [socket.socket()]
        self.sockets[0].bind(("127.0.0.1", 0))
        self.sockets[0].listen(0)
        where = self.sockets[0].getsockname()
        for _ in range(3):
            knocking = socket.socket()
            knocking.setblocking(False)
            knocking.connect_ex(where)
            self.sockets.append(knocking)
        return where[1], self.sockets

    def __exit__(self, *_: object) -> None:
        for sock in self.sockets:
            sock.close()


@pytest.mark.spec("HOST-8")
def test_connecting_has_a_deadline(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TIMEOUT_S", 0.05)

    async def main() -> None:
        async with Scene(host) as scene:
            with _full_listener() as (port, _):
                number = host.new_link()
                scene.transport.open(number, f"127.0.0.1:{port}")
                assert await host.told("failed", number) == f"no answer from 127.0.0.1:{port} over TCP within 0.05 s"

    run(main())


@pytest.mark.parametrize("target", ["127.0.0.1", "localhost"])
def test_close_while_opening_is_silent(run: Run, host: Any, target: str) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            port = scene.listener.address.rpartition(":")[2]
            number = host.new_link()
            link = scene.transport.open(number, f"{target}:{port}")
            with host.calling():
                link.close()
            await host.told("gone", number)
            await scene.barrier()
            assert host.count("opened", number) == host.count("failed", number) == 0

    run(main())


@pytest.mark.spec("HOST-8")
def test_a_socket_connected_to_itself_is_told_apart() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert connecting._is_connected_to_itself(sock)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        assert not connecting._is_connected_to_itself(sock)


def test_families_take_turns() -> None:
    addresses = [(6, ("a",)), (6, ("b",)), (4, ("c",)), (6, ("d",))]
    assert [where[0] for _, where in connecting._alternate(addresses)] == ["a", "c", "b", "d"]
    assert connecting._alternate([]) == []


# ---- listening


def test_a_listener_names_its_port(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            name, _, port = scene.listener.address.rpartition(":")
            assert name == "127.0.0.1"
            assert int(port) > 0
            with pytest.raises(OckamError, match="the port is taken") as caught:
                await scene.listen(scene.listener.address)
            assert caught.value.code is ErrorCode.LINK_FAILED
            with pytest.raises(MisuseError, match="is not a socket address"):
                await scene.listen("nonsense")
            with pytest.raises(OckamError, match="does not have that address"):
                await scene.listen("192.0.2.1:0")

    run(main())


def has_ipv6() -> bool:
    """Ask the machine, not the code under test: that may not excuse itself."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_ipv6(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            listener = await scene.listen("[::1]:0")
            link = scene.transport.open(host.new_link(), listener.address)
            await host.told("opened", link.id)
            assert listener.address.startswith("[::1]:")
            link.abort()

    run(main())


@pytest.mark.spec("HOST-24")
def test_a_name_with_several_addresses_is_bound_at_each(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(*_: Any, **__: Any) -> list[Any]:
        hosts = ("127.0.0.1", "127.0.0.2", "127.0.0.1", "192.0.2.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (one, 0)) for one in hosts]

    async def main() -> None:
        async with Scene(host) as scene:
            monkeypatch.setattr(scene.transport, "_loop", Looking(asyncio.get_running_loop(), look_up))
            listener = await scene.listen("several.test:0")
            hosts, ports = zip(*(address.split(":") for address in listener.addresses), strict=True)
            assert hosts == ("127.0.0.1", "127.0.0.2")
            assert len(set(ports)) == 1
            assert listener.address == listener.addresses[0]
            for address in listener.addresses:
                before = len(host.accepted)
                scene.clients.append(await Client.connect(address))
                await host.until(lambda before=before: len(host.accepted) > before)
            with pytest.raises(OckamError, match="the port is taken"):
                await scene.listen(f"several.test:{ports[0]}")

    run(main())


class Looking:
    """An event loop that finds other addresses."""

    def __init__(self, loop: asyncio.AbstractEventLoop, getaddrinfo: Any) -> None:
        self._loop = loop
        self.getaddrinfo = getaddrinfo

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


@pytest.mark.spec("HOST-24")
@pytest.mark.parametrize(("keep_alive", "on"), [(None, 0), (KeepAlive(40, 5, 3), 1)])
def test_keep_alive_is_optional(run: Run, host: Any, keep_alive: KeepAlive | None, on: int) -> None:
    async def main() -> None:
        async with Scene(host, TcpTransport(host, keep_alive=keep_alive)) as scene:
            link, _ = await scene.pair()
            assert link._sock is not None
            assert link._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == on
            if keep_alive is not None:
                assert link._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == keep_alive.idle_s

    run(main())


def test_a_closed_listener_takes_nobody_and_leaves_its_links(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.listener.close()
            scene.listener.close()
            number = host.new_link()
            scene.transport.open(number, scene.listener.address)
            await host.told("failed", number)
            scene.write(link, b"alive")
            assert await client.read(5) == b"alive"

    run(main())


@pytest.mark.spec("HOST-9")
def test_clients_beyond_the_limit_are_closed_at_once(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host, TcpTransport(host, max_accepted=2)) as scene:
            (first, _), _ = await scene.pair(), await scene.pair()
            third = await Client.connect(scene.listener.address)
            assert await third.read_all() == b""
            third.close()
            assert scene.listener.turned_away == 1
            first.abort()
            fourth, client = await scene.pair()
            scene.write(fourth, b"room again")
            assert await client.read(10) == b"room again"

    run(main())


@pytest.mark.spec("HOST-9")
def test_running_out_of_descriptors_pauses_accepting(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_listener, "ACCEPT_PAUSE_S", 0.02)

    class Exhausted:
        """A listening socket in a process without free descriptors."""

        def __init__(self, sock: socket.socket) -> None:
            self.sock = sock
            self.tries = 0

        def accept(self) -> tuple[socket.socket, Any]:
            self.tries += 1
            if self.tries < 4:
                raise OSError(errno.EMFILE, "Too many open files")
            return self.sock.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.sock, name)

    async def main() -> None:
        async with Scene(host) as scene:
            (listening,) = scene.listener._sockets
            exhausted = Exhausted(listening._sock)
            listening._sock = exhausted  # type: ignore[assignment]
            begun = perf_counter()
            link, client = await scene.pair()
            assert perf_counter() - begun >= 3 * 0.02 / 2  # the clock of a busy loop lags behind this one
            scene.write(link, b"late")
            assert await client.read(4) == b"late"
            assert exhausted.tries <= 6  # three failures, the client, nobody else: no busy loop

    run(main())


def test_closing_while_accepting_is_paused(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            (listening,) = scene.listener._sockets
            listening._stop_accepting()
            listening._pause = asyncio.get_running_loop().call_later(0, listening._accept_again)
            scene.listener.close()
            await asyncio.sleep(0)
            assert listening._pause is None

    run(main())


def test_many_clients_at_once(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            clients = await asyncio.gather(*(Client.connect(scene.listener.address) for _ in range(200)))
            scene.clients.extend(clients)
            await host.until(lambda: len(host.accepted) == 200)
            for link in host.accepted:
                scene.write(link, b"hello")
            assert await asyncio.gather(*(client.read(5) for client in clients)) == [b"hello"] * 200

    run(main())
