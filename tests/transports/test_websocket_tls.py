"""WebSocket over TLS, with a certificate made on the spot."""

import asyncio
from typing import Any

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.errors import MisuseError, OckamError
from ockam_ref.testing.contract import HeldLink, NotingHost, PacketContract, RawPeer
from ockam_ref.testing.contract.nodes import NodesContract
from ockam_transports import websocket
from ockam_transports.websocket_transport import WebSocketTransport
from tests.transports.conftest import Client, Run
from tests.transports.test_websocket_contract import WebSocketRig
from tests.transports.websocket_ends import Tls, make_tls

BULK = 5_000_000


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


async def failure(host: NotingHost, transport: WebSocketTransport, target: str) -> str:
    with host.calling():
        link = transport.open(host.new_link(), target)
    return await host.told("failed", link.id)


@pytest.mark.spec("WS-19")
def test_nodes_over_tls(run: Run, tls: Tls) -> None:
    plugin = websocket.make_plugin(client_tls=tls.client, server_tls=tls.server)

    async def main() -> None:
        async with Node.create(transports=[plugin]) as server, Node.create(transports=[plugin]) as client:
            listener = await server.listen("ws", "wss://127.0.0.1:0/node")
            assert listener.address.startswith("wss://127.0.0.1:")
            await server.start_echo("echo", consumer_of=[listener])
            port = listener.address.rpartition(":")[2]
            for target in (listener.address, f"wss://localhost:{port}"):
                connection = await client.connect("ws", target)
                for size in (0, 1, 16_384, 100_000, BULK):
                    reply = await client.send_and_receive([connection, "echo"], bytes(size))
                    assert reply.body(bytes) == bytes(size)
                await connection.close()

    run(main())


@pytest.mark.spec("WS-19")
def test_the_system_decides_whom_to_trust_by_default(
    run: Run, host: Any, tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        listener = await WebSocketTransport(host, server_tls=tls.server).listen("wss://127.0.0.1:0", host.accept)
        reason = await failure(host, WebSocketTransport(host), listener.address)
        assert "the server's certificate is not trusted: self-signed certificate" in reason
        assert not host.accepted
        monkeypatch.setenv("SSL_CERT_FILE", str(tls.certificate))
        link = WebSocketTransport(host).open(host.new_link(), listener.address)
        await host.told("opened", link.id)
        link.abort()
        listener.close()
        await host.until(lambda: len(host.accepted) == 1)
        host.accepted[0].abort()

    run(main())


@pytest.mark.spec("WS-19")
def test_the_name_in_the_certificate_counts(run: Run, host: Any, tls: Tls) -> None:
    async def main() -> None:
        listener = await WebSocketTransport(host, server_tls=tls.server).listen("wss://127.0.0.2:0", host.accept)
        reason = await failure(host, WebSocketTransport(host, client_tls=tls.client), listener.address)
        assert "not trusted" in reason
        assert "127.0.0.2" in reason
        listener.close()

    run(main())


async def speak_first(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ready\r\n")
    writer.close()


@pytest.mark.spec("WS-19")
def test_tls_on_one_side_only_is_a_sentence(run: Run, host: Any, tls: Tls) -> None:
    async def main() -> None:
        transport = WebSocketTransport(host, client_tls=tls.client, server_tls=tls.server)
        plain = await transport.listen("127.0.0.1:0", host.accept)
        assert "the other side hung up" in await failure(host, transport, f"wss://{plain.address}")
        async with asyncio.timeout(5), await asyncio.start_server(speak_first, "127.0.0.1", 0) as other:
            port = other.sockets[0].getsockname()[1]
            assert "TLS failed: wrong version number" in await failure(host, transport, f"wss://127.0.0.1:{port}")
        secure = await transport.listen("wss://127.0.0.1:0", host.accept)
        reason = await failure(host, transport, secure.address.removeprefix("wss://"))
        assert "over ws: " in reason
        plain.close()
        secure.close()
        assert not host.accepted

    run(main())


@pytest.mark.spec("WS-19")
def test_a_server_needs_a_certificate(run: Run, host: Any) -> None:
    async def main() -> None:
        with pytest.raises(MisuseError, match="TLS needs a certificate"):
            await WebSocketTransport(host).listen("wss://127.0.0.1:0", host.accept)
        async with Node.create() as node:
            with pytest.raises(OckamError, match="TLS needs a certificate"):
                await node.listen("ws", "wss://127.0.0.1:0")

    run(main())


@pytest.mark.spec("WS-19")
def test_garbage_inside_tls_ends_the_link(run: Run, host: Any, tls: Tls) -> None:
    async def main() -> None:
        transport = WebSocketTransport(host, client_tls=tls.client, server_tls=tls.server)
        listener = await transport.listen("wss://127.0.0.1:0", host.accept)
        near = HeldLink(host, transport.open(host.new_link(), listener.address))
        await host.told("opened", near.id)
        await host.until(lambda: len(host.accepted) == 1)
        far = HeldLink(host, host.accepted[0])
        far.start_reading()
        stream: Any = near.link._stream  # type: ignore[attr-defined]
        with host.calling():
            stream.write((b"no record of TLS",))
            stream.flush()
        assert "TLS failed: " in await host.told("closed", far.id)
        near.abort()
        await host.told("gone", near.id)
        listener.close()

    run(main())


class TlsRig(WebSocketRig):
    """The whole contract once more, with TLS below; nodes use the installed plug-in and are tried above."""

    def __init__(self, tls: Tls) -> None:
        self.plugin = websocket.make_plugin(client_tls=tls.client, server_tls=tls.server)

    def listen_at(self) -> str:
        return "wss://127.0.0.1:0"

    async def raw_peer(self, target: str) -> RawPeer:
        return await Client.connect(target.removeprefix("wss://"))


class TestTls(PacketContract):
    @pytest.fixture
    def rig(self, tls: Tls) -> TlsRig:
        return TlsRig(tls)


for name in vars(NodesContract):
    if name.startswith("test_"):
        setattr(TestTls, name, None)
