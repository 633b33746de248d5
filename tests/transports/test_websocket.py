"""WebSocket: handshakes, frames, back-pressure, pings, ends, and what a client may not do."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from ockam_ref.testing.contract import HeldLink, NotingHost
from ockam_transports import stream_socket, websocket, websocket_link
from ockam_transports.websocket_link import MAX_PACKET_BYTES, MAX_UNREAD_PONGS
from ockam_transports.websocket_transport import WebSocketListener, WebSocketTransport
from tests.transports.conftest import Client, Run
from tests.transports.websocket_ends import RawWebSocket, reverse_proxy


@asynccontextmanager
async def listening(host: NotingHost, address: str = "127.0.0.1:0") -> AsyncIterator[WebSocketListener]:
    listener = await WebSocketTransport(host).listen(address, host.accept)
    try:
        yield listener
    finally:
        listener.close()
        for link in host.accepted:
            link.abort()
        await asyncio.sleep(0)


async def accepted(host: NotingHost) -> HeldLink:
    """The link of the one client there is."""
    await host.until(lambda: len(host.accepted) == 1)
    return HeldLink(host, host.accepted[0])


def open_link(host: NotingHost, target: str) -> HeldLink:
    with host.calling():
        link = WebSocketTransport(host).open(host.new_link(), target)
    return HeldLink(host, link)


def packets(host: NotingHost, link: HeldLink, count: int) -> Any:
    return host.until(lambda: len(host.packets[link.id]) == count)


# ---- with the library at the other end, which is what most others use


@pytest.mark.spec("WS-1", "WS-11")
def test_a_client_of_another_make(run: Run, host: Any) -> None:
    async def main() -> None:
        async with listening(host) as listener, connect(f"ws://{listener.address}/any/path?and=query") as other:
            link = await accepted(host)
            link.start_reading()
            assert other.response is not None
            assert "Sec-WebSocket-Extensions" not in other.response.headers
            await other.send(b"binary")
            await other.send("text \u2603")
            await other.send([b"in ", b"three ", b"frames"])
            await other.send(b"")
            await packets(host, link, 4)
            assert host.packets[link.id] == [b"binary", "text \u2603".encode(), b"in three frames", b""]
            link.write(b"back", memoryview(b" again"))
            assert await other.recv() == b"back again"
            link.close()
            await other.wait_closed()
            assert other.close_code == 1000
            await host.told("gone", link.id)

    run(main())


@pytest.mark.spec("WS-1", "WS-11")
def test_a_server_of_another_make(run: Run, host: Any) -> None:
    seen: list[str] = []

    async def echo(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.path)
        seen.append(connection.request.headers.get("Sec-WebSocket-Extensions", "none"))
        async for message in connection:
            await connection.send(message)

    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            for target, path in ((f"127.0.0.1:{port}", "/"), (f"ws://localhost:{port}/a/b?c", "/a/b?c")):
                link = open_link(host, target)
                await host.told("opened", link.id)
                link.start_reading()
                for size in (0, 125, 126, 65_535, 65_536, MAX_PACKET_BYTES):
                    link.write(bytes(size))
                await packets(host, link, 6)
                assert [len(packet) for packet in host.packets[link.id]] == [
                    0,
                    125,
                    126,
                    65_535,
                    65_536,
                    MAX_PACKET_BYTES,
                ]
                assert seen[-2:] == [path, "none"]
                link.close()
                await host.told("gone", link.id)

    run(main())


# ---- handshakes


@pytest.mark.spec("WS-12")
@pytest.mark.parametrize(("asked", "answered"), [("/node", True), ("/node?x=1", True), ("/", False), ("/node/", False)])
def test_a_listener_with_a_path_answers_to_that_path(run: Run, host: Any, asked: str, answered: bool) -> None:  # noqa: FBT001
    async def main() -> None:
        async with listening(host, "127.0.0.1:0/node") as listener:
            assert listener.address.endswith("/node")
            base = listener.address.removesuffix("/node")
            link = open_link(host, base + asked)
            if answered:
                await host.told("opened", link.id)
                link.abort()
            else:
                reason = await host.told("failed", link.id)
                assert reason.endswith("the server answers 404 Not Found instead of opening a WebSocket")
                assert not host.accepted

    run(main())


@pytest.mark.spec("WS-12")
def test_behind_a_reverse_proxy(run: Run, host: Any) -> None:
    async def main() -> None:
        async with (
            listening(host, "127.0.0.1:0/node") as listener,
            reverse_proxy("/inside", listener.address.removesuffix("/node")) as (proxy, asked),
        ):
            link = open_link(host, f"ws://{proxy}/inside/node")
            await host.told("opened", link.id)
            far = await accepted(host)
            far.start_reading()
            link.write(b"through")
            await packets(host, far, 1)
            link.close()
            await host.told("gone", link.id)
            elsewhere = open_link(host, f"ws://{proxy}/outside/node")
            assert "502 Bad Gateway" in await host.told("failed", elsewhere.id)
            assert asked == ["/inside/node", "/outside/node"]

    run(main())


@pytest.mark.spec("WS-13")
def test_web_pages_are_turned_away(run: Run, host: Any) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            page = await RawWebSocket.connect(listener.address, Origin="https://example.com")
            assert "403" in str(page.protocol.handshake_exc)
            page.client.close()
            program = await RawWebSocket.connect(listener.address)
            assert program.protocol.state is State.OPEN
            assert len(host.accepted) == 1
            program.client.close()

    run(main())


@pytest.mark.spec("WS-14")
@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 426"),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 40"),
        (b"nonsense\r\n\r\n", b""),
        (b"GET /" + b"x" * 9000, b"HTTP/1.1 4"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b""),
    ],
    ids=["http", "post", "nonsense", "endless", "tls"],
)
def test_who_does_not_ask_for_a_websocket_gets_an_answer_or_the_end_and_no_link(
    run: Run, host: Any, request_bytes: bytes, answer: bytes
) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            client = await Client.connect(listener.address)
            await client.send(request_bytes)
            assert (await client.read_all()).startswith(answer)
            client.close()
            assert not host.accepted

    run(main())


@pytest.mark.spec("WS-14")
def test_a_silent_client_is_given_up(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_link, "OPEN_TIMEOUT_S", 0.05)

    async def main() -> None:
        async with listening(host) as listener:
            client = await Client.connect(listener.address)
            assert await client.read_all() == b""
            client.close()
            assert not host.accepted

    run(main())


@pytest.mark.spec("WS-14")
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "no WebSocket handshake within 0.05 s"),
        (b"", "the other side hung up"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "did not receive a valid HTTP response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "answers 200 OK instead"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "Accept"),
        (b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "Upgrade"),
    ],
    ids=["silence", "end", "ssh", "http", "wrong key", "wrong upgrade"],
)
def test_a_server_that_is_none(
    run: Run, host: Any, monkeypatch: pytest.MonkeyPatch, answer: bytes | None, why: str
) -> None:
    monkeypatch.setattr(websocket_link, "OPEN_TIMEOUT_S", 0.05)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            target = f"127.0.0.1:{listening.getsockname()[1]}"
            link = open_link(host, target)
            sock, _ = await loop.sock_accept(listening)
            await loop.sock_recv(sock, 4096)
            if answer is not None:
                await loop.sock_sendall(sock, answer)
                sock.shutdown(socket.SHUT_WR)
            reason = await host.told("failed", link.id)
            assert reason.startswith(f"cannot connect to '{target}' over ws: ")
            assert why in reason
            sock.close()

    run(main())


@pytest.mark.spec("WS-14")
def test_closing_a_listener_ends_those_who_have_not_shaken_hands(run: Run, host: Any) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            client = await Client.connect(listener.address)
            await client.send(b"GET / HTTP/1.1\r\n")
            other = await RawWebSocket.connect(listener.address)
            listener.close()
            with pytest.raises(ConnectionResetError):
                await client.read_all()
            client.close()
            link = await accepted(host)
            link.start_reading()
            await other.send(Frame(Opcode.BINARY, b"alive"))
            await packets(host, link, 1)
            other.client.close()

    run(main())


def test_the_package_that_is_missing_is_named(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ockam_transports.websocket_transport", None)
    with pytest.raises(Exception, match=r"pip install 'ockam-ref\[ws\]'"):
        websocket.PLUGIN.create(host)


# ---- frames


@pytest.mark.spec("WS-15")
@pytest.mark.parametrize(
    ("frames", "code", "why"),
    [
        ([b"\x82\x05hello"], 1002, "incorrect masking"),
        ([b"\xc2\x80\0\0\0\0"], 1002, "reserved bits"),
        ([b"\x83\x80\0\0\0\0"], 1002, "invalid opcode"),
        ([b"\x80\x80\0\0\0\0"], 1002, "unexpected continuation frame"),
        ([b"\x89\xfe\x00\x7e\0\0\0\0" + bytes(126)], 1002, "control frame too long"),
        ([b"\x02\x80\0\0\0\0", b"\x82\x80\0\0\0\0"], 1002, "expected a continuation frame"),
        ([b"\x82\xff" + (MAX_PACKET_BYTES + 1).to_bytes(8, "big")], 1009, "too long; 16777216 bytes are the limit"),
        ([b"\x82\xff" + b"\xff" * 8], 1009, "too long"),
        ([b"\x02\x81\0\0\0\0x", b"\x80\xff" + MAX_PACKET_BYTES.to_bytes(8, "big")], 1009, "too long"),
    ],
)
def test_broken_frames_end_the_link_with_a_code(run: Run, host: Any, frames: list[bytes], code: int, why: str) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.start_reading()
            await raw.send(Frame(Opcode.BINARY, b"good"))
            for frame in frames:
                await raw.client.send(frame)
            assert why in await host.told("closed", link.id)
            assert host.packets[link.id] == [b"good"]
            assert await raw.close_code() == code
            raw.client.close()

    run(main())


@pytest.mark.spec("WS-15")
def test_a_message_in_a_million_frames_costs_its_bytes(run: Run, host: Any) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.start_reading()
            await raw.send(
                Frame(Opcode.BINARY, b"a", fin=False),
                *[Frame(Opcode.CONT, b"", fin=False)] * 3000,
                Frame(Opcode.PING, b"in between"),
                *[Frame(Opcode.CONT, b"b", fin=False)] * 3000,
                Frame(Opcode.CONT, b"c"),
            )
            await packets(host, link, 1)
            assert host.packets[link.id] == [b"a" + b"b" * 3000 + b"c"]
            assert (await raw.next_frame()).opcode is Opcode.PONG
            raw.client.close()

    run(main())


@pytest.mark.spec("WS-2")
def test_a_packet_above_the_limit_is_not_written(run: Run, host: Any) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.write(bytes(MAX_PACKET_BYTES), b"!")
            link.write(b"next")
            assert (await raw.next_frame()).data == b"next"
            raw.client.close()

    run(main())


# ---- back-pressure


@pytest.mark.spec("WS-16")
def test_what_was_read_before_stop_reading_is_held(run: Run, host: Any) -> None:
    """Many messages come in one read of the socket; the host may stop after any."""

    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            host.on_bytes = lambda _: link.stop_reading()
            await raw.send(*(Frame(Opcode.BINARY, bytes([number])) for number in range(5)))
            for count in range(1, 6):
                link.start_reading()
                link.start_reading()
                await packets(host, link, count)
                await asyncio.sleep(0)
            assert host.received[link.id] == bytes(range(5))
            raw.client.close()

    run(main())


@pytest.mark.spec("WS-16", "WS-17")
@pytest.mark.parametrize("orderly", [True, False])
def test_an_end_behind_held_messages_waits_for_them(run: Run, host: Any, orderly: bool) -> None:  # noqa: FBT001
    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            host.on_bytes = lambda _: link.stop_reading()
            link.start_reading()
            last = Frame(Opcode.CLOSE, (1000 if orderly else 1011).to_bytes(2, "big"))
            await raw.send(Frame(Opcode.BINARY, b"one"), Frame(Opcode.BINARY, b"two"), last)
            await packets(host, link, 1)
            for _ in range(20):
                await asyncio.sleep(0)
            assert host.count("finished", link.id) == host.count("closed", link.id) == 0
            link.start_reading()
            await packets(host, link, 2)
            link.start_reading()
            await host.told("finished" if orderly else "closed", link.id)
            raw.client.close()

    run(main())


@pytest.mark.spec("WS-16")
@pytest.mark.parametrize("how", ["close", "abort"])
def test_held_messages_die_with_the_link(run: Run, host: Any, how: str) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            host.on_bytes = lambda _: link.stop_reading()
            link.start_reading()
            await raw.send(Frame(Opcode.BINARY, b"one"), Frame(Opcode.BINARY, b"two"), Frame(Opcode.CLOSE, b"\x03\xf3"))
            await packets(host, link, 1)
            for _ in range(20):
                await asyncio.sleep(0)
            link.start_reading()
            getattr(link, how)()
            await host.told("gone", link.id)
            assert host.packets[link.id] == [b"one"]
            raw.client.close()

    run(main())


# ---- pings


@pytest.mark.spec("WS-18")
def test_pings_are_sent_and_answered(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_link, "PING_EVERY_S", 0.02)

    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.start_reading()
            for _ in range(websocket_link.MAX_SILENT_PINGS + 3):
                assert (await raw.next_frame()).opcode is Opcode.PING
                await raw.flush()  # the library has prepared the answer
            await raw.send(Frame(Opcode.PING, b"you"))
            while (frame := await raw.next_frame()).opcode is Opcode.PING:
                pass
            assert (frame.opcode, frame.data) == (Opcode.PONG, b"you")
            assert host.count("closed", link.id) == 0
            raw.client.close()

    run(main())


@pytest.mark.spec("WS-18")
def test_a_peer_that_answers_nothing_is_dead(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_link, "PING_EVERY_S", 0.02)

    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.start_reading()
            assert await host.told("closed", link.id) == "the other side has not answered for 0.04 s"
            raw.client.close()

    run(main())


@pytest.mark.spec("WS-18")
@pytest.mark.parametrize("why", ["we do not read", "it does not read"])
def test_silence_that_means_no_harm_is_forgiven(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    monkeypatch.setattr(websocket_link, "PING_EVERY_S", 0.005)

    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            if why == "it does not read":
                link.start_reading()
                link.write(bytes(MAX_PACKET_BYTES))
            pings, enough = 0, asyncio.Event()
            ping = websocket_link.WebSocketLink._ping

            def counted(one: websocket_link.WebSocketLink) -> None:
                nonlocal pings
                pings += 1
                if pings == 3 * websocket_link.MAX_SILENT_PINGS:
                    enough.set()
                ping(one)

            monkeypatch.setattr(websocket_link.WebSocketLink, "_ping", counted)
            await enough.wait()
            assert host.count("closed", link.id) == 0
            raw.client.close()

    run(main())


@pytest.mark.spec("WS-18")
def test_a_flood_of_pings_is_bounded(run: Run, host: Any) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.start_reading()
            link.write(bytes(MAX_PACKET_BYTES))
            assert link.buffered > 0
            await raw.send(*[Frame(Opcode.PING, b"")] * (MAX_UNREAD_PONGS + 1))
            reason = "the other side sends pings and does not read the answers"
            assert await host.told("closed", link.id) == reason
            raw.client.close()

    run(main())


# ---- ends


@pytest.mark.spec("WS-17")
@pytest.mark.parametrize("code", [1000, 1001, None])
def test_an_orderly_end(run: Run, host: Any, code: int | None) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.start_reading()
            await raw.send(
                Frame(Opcode.BINARY, b"last"), Frame(Opcode.CLOSE, b"" if code is None else code.to_bytes(2))
            )
            await host.told("finished", link.id)
            assert host.packets[link.id] == [b"last"]
            link.write(b"too late")
            link.close()
            await host.told("gone", link.id)
            assert await raw.close_code() == (code or 1005)
            raw.client.close()

    run(main())


@pytest.mark.spec("WS-17")
def test_an_end_with_an_error_and_an_end_without_a_word(run: Run, host: Any) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.start_reading()
            await raw.send(Frame(Opcode.CLOSE, (1011).to_bytes(2) + b"out of order"))
            reason = await host.told("closed", link.id)
            assert reason.startswith("the other side closed the connection with an error: 1011")
            assert "out of order" in reason
            raw.client.close()
            host.accepted.clear()
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.start_reading()
            raw.client.finish()
            assert await host.told("closed", link.id) == "the other side hung up"
            raw.client.close()

    run(main())


@pytest.mark.spec("WS-17")
def test_close_does_not_wait_for_ever(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side reads and never answers the closing frame."""
    monkeypatch.setattr(websocket_link, "CLOSE_TIMEOUT_S", 0.02)

    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.close()
            assert await raw.close_code() == 1000
            raw.client.close()
            await host.told("gone", link.id)

    run(main())


@pytest.mark.spec("WS-17")
def test_what_comes_in_after_close_is_forgotten(run: Run, host: Any) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            link.start_reading()
            link.close()
            await raw.send(Frame(Opcode.BINARY, b"crossed"), Frame(Opcode.PING, b""))
            assert await raw.close_code() == 1000
            await raw.send(Frame(Opcode.CLOSE, b"\x03\xe8"))
            raw.client.close()
            await host.told("gone", link.id)
            assert host.packets[link.id] == []

    run(main())


@pytest.mark.spec("WS-17")
def test_finish_sending_begins_to_close(run: Run, host: Any) -> None:
    async def main() -> None:
        async with listening(host) as listener:
            near = open_link(host, listener.address)
            near.write(b"early")
            near.finish_sending()
            await host.told("opened", near.id)
            far = await accepted(host)
            far.start_reading()
            near.start_reading()
            await host.told("finished", far.id)
            assert host.packets[far.id] == [b"early"]
            await host.told("finished", near.id)
            for link in (near, far):
                link.close()
                await host.told("gone", link.id)

    run(main())


@pytest.mark.spec("WS-17")
def test_a_client_that_hangs_up_unread_is_noticed(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "WATCH_AFTER_S", 0)
    monkeypatch.setattr(stream_socket, "HANGUP_GRACE_S", 0.02)

    async def main() -> None:
        async with listening(host) as listener:
            raw = await RawWebSocket.connect(listener.address)
            link = await accepted(host)
            raw.client.close()
            assert await host.told("closed", link.id) == "the other side hung up"

    run(main())
