"""Portals whose clients or targets speak TLS: real clients, ends of streams, certificates that change."""

import asyncio
import functools
import hashlib
import http.server
import os
import random
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.asyncio import CertificateFiles, Node, trust_for_tls
from ockam_ref.errors import ErrorCode, OckamError
from ockam_transports import tls_link
from tests.asyncio.conftest import Serve, Target, connect, exchange, portal, serve_echo, serve_sink, serving
from tests.asyncio.test_portals import closings
from tests.certificates import Certificate, make_certificate

Run = Callable[[Coroutine[Any, Any, None]], None]
MIB = 1024 * 1024
PAGE = b"<p>behind a portal</p>" * 5000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def client_of(certificate: Certificate) -> ssl.SSLContext:
    return trust_for_tls(certificate.chain)


@contextmanager
def web_server(certificate: Certificate | None = None) -> Iterator[str]:
    """The web server of the standard library, with TLS if it has a certificate."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def curl(*arguments: str) -> bytes:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    process = await asyncio.create_subprocess_exec(
        program,
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out


@pytest.mark.spec("TLS-2")
def test_curl_speaks_tls_with_an_inlet(run: Run, certificate: Certificate) -> None:
    async def main() -> None:
        with web_server() as target:
            async with portal() as it:
                await it.open(target, "relay-channel")
                inlet = await it.inlet_node.create_inlet(
                    "127.0.0.1:0", (*it.hops, "outlet"), tls=CertificateFiles(*certificate)
                )
                port = inlet.address.rpartition(":")[2]
                for host in ("127.0.0.1", "localhost"):
                    page = await curl("--cacert", str(certificate.chain), f"https://{host}:{port}/")
                    assert page == PAGE
                assert not it.inlet_node.drops

    run(main())


@pytest.mark.spec("TLS-4")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_outlet_speaks_tls_with_its_target(run: Run, certificate: Certificate, version: ssl.TLSVersion) -> None:
    async def main() -> None:
        client = client_of(certificate)
        client.minimum_version = client.maximum_version = version
        with web_server(certificate) as target:
            async with portal() as it:
                await it.open(target, "channel")
                await it.outlet_node.create_outlet("tls", target, consumer_of=(it.flow,), tls=client)
                inlet = await it.inlet_node.create_inlet("127.0.0.1:0", (*it.hops, "tls"))
                assert await curl(f"http://{inlet.address}/") == PAGE

    run(main())


@asynccontextmanager
async def tls_in_the_middle(target: str, certificate: Certificate) -> AsyncIterator[str]:
    """Two portals, joined by TLS: the outlet of the first is a client of the inlet of the second."""
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(portal()) for _ in range(2)]
        await second.open(target, "channel")
        inlet = await second.inlet_node.create_inlet(
            "127.0.0.1:0", (*second.hops, "outlet"), tls=CertificateFiles(*certificate)
        )
        await first.open(inlet.address, "channel")
        await first.outlet_node.create_outlet(
            "tls", inlet.address, consumer_of=(first.flow,), tls=client_of(certificate)
        )
        first.inlet.change_route((*first.hops, "tls"))
        yield first.inlet.address


@pytest.mark.spec("TLS-3")
def test_either_end_may_finish_first(run: Run, certificate: Certificate) -> None:
    data = random.Random(1).randbytes(4 * MIB + 17)

    async def answer_at_the_end(_: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(-1)
        writer.write(hashlib.sha256(request).digest() + request)
        await writer.drain()

    async def main() -> None:
        for serve in (serve_echo, answer_at_the_end):
            async with serving(serve) as target, tls_in_the_middle(target.address, certificate) as address:
                for request in (b"", b"x", data):
                    answer = await exchange(address, request)
                    assert answer.endswith(request)
                    assert len(answer) == len(request) + (0 if serve is serve_echo else 32)

    run(main())


def end_tcp(writer: asyncio.StreamWriter) -> None:
    """End the stream below TLS, and TLS not."""
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as sock:
        sock.shutdown(socket.SHUT_WR)


async def hang_up(_: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del reader
    writer.close()


@contextmanager
def digesting(certificate: Certificate, version: ssl.TLSVersion) -> Iterator[str]:
    """A blocking server that reads to the end of the request before it answers, as programs on sockets do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(*certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            sock, _ = listening.accept()
            with context.wrap_socket(sock, server_side=True) as stream:
                request = b""
                while data := stream.recv(1 << 16):
                    request += data
                stream.sendall(hashlib.sha256(request).hexdigest().encode() * 10_000)
                stream.unwrap()

        thread = threading.Thread(target=serve)
        thread.start()
        yield "{}:{}".format(*listening.getsockname())
        thread.join()


@pytest.mark.spec("TLS-3")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_may_finish_before_a_foreign_server_answers(
    run: Run, certificate: Certificate, version: ssl.TLSVersion
) -> None:
    request = random.Random(2).randbytes(MIB + 3)

    async def main() -> None:
        with digesting(certificate, version) as target:
            async with portal() as it:
                await it.open(target, "channel")
                await it.outlet_node.create_outlet("tls", target, consumer_of=(it.flow,), tls=client_of(certificate))
                inlet = await it.inlet_node.create_inlet("127.0.0.1:0", (*it.hops, "tls"))
                answer = await exchange(inlet.address, request)
                assert answer == hashlib.sha256(request).hexdigest().encode() * 10_000

    run(main())


async def slam(_: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


@pytest.mark.spec("TLS-3")
def test_a_reset_crosses_it(run: Run, certificate: Certificate) -> None:
    async def main() -> None:
        async with serving(slam) as target, tls_in_the_middle(target.address, certificate) as address:
            reader, writer = await connect(address)
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
            writer.close()

    run(main())


@asynccontextmanager
async def serving_tls(serve: Serve, certificate: Certificate) -> AsyncIterator[str]:
    """A service that speaks TLS by itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    target = Target("")
    server = await asyncio.start_server(lambda r, w: serve(target, r, w), "127.0.0.1", 0, ssl=context)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())


@pytest.mark.spec("TLS-3")
@pytest.mark.parametrize("orderly", [True, False])
@pytest.mark.parametrize("strict", [True, False])
def test_the_end_of_tcp_alone_may_be_a_strangers_work(
    run: Run, certificate: Certificate, *, strict: bool, orderly: bool
) -> None:
    """Or that of a server which never says an end of TLS: the settings of the outlet tell."""
    client = client_of(certificate)
    if strict:
        client.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF

    async def greet(_: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(b"all there is")
        await writer.drain()
        await reader.readexactly(1)
        if orderly:
            writer.close()
        else:
            end_tcp(writer)

    async def main() -> None:
        async with serving_tls(greet, certificate) as target, portal() as it:
            await it.open(target, "channel")
            await it.outlet_node.create_outlet("tls", target, consumer_of=(it.flow,), tls=client)
            inlet = await it.inlet_node.create_inlet("127.0.0.1:0", (*it.hops, "tls"))
            ends = closings(it.outlet_node, 1)
            reader, writer = await connect(inlet.address)
            writer.write(b"?")
            assert await reader.readexactly(12) == b"all there is"
            writer.write(b"!")
            if strict and not orderly:
                with pytest.raises(ConnectionResetError):
                    await reader.read(-1)
            else:
                assert await reader.read(-1) == b""
            writer.close()
            assert ((await ends)[0].reason == tls_link.CUT) is (strict and not orderly)

    run(main())


@pytest.mark.spec("TLS-3")
def test_a_client_that_was_cut_off_has_not_finished(run: Run, certificate: Certificate) -> None:
    async def main() -> None:
        async with serving(serve_sink) as target, portal() as it:
            await it.open(target.address, "channel")
            inlet = await it.inlet_node.create_inlet(
                "127.0.0.1:0", (*it.hops, "outlet"), tls=CertificateFiles(*certificate)
            )
            host, _, port = inlet.address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port), ssl=client_of(certificate))
            writer.write(b"half of a file")
            await target.until(lambda: target.received == 14)
            end_tcp(writer)
            await target.until(lambda: target.ends == ["ConnectionResetError"])
            del reader
            writer.close()

    run(main())


@pytest.mark.spec("TLS-4")
def test_whom_an_outlet_does_not_trust_it_does_not_speak_with(
    run: Run, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_certificate(tmp_path)

    async def attempt(target: str, context: ssl.SSLContext) -> str:
        async with portal() as it:
            await it.open(target, "plain")
            await it.outlet_node.create_outlet("tls", target, consumer_of=(it.flow,), tls=context)
            inlet = await it.inlet_node.create_inlet("127.0.0.1:0", (*it.hops, "tls"))
            ends = closings(it.outlet_node, 1)
            reader, writer = await connect(inlet.address)
            assert await reader.read(-1) == b""
            writer.close()
            return (await ends)[0].reason

    async def main() -> None:
        async with serving_tls(hang_up, certificate) as target:
            assert "the server's certificate is not trusted" in await attempt(target, trust_for_tls())
            assert "the server's certificate is not trusted" in await attempt(target, client_of(other))
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
            assert "not trusted" not in await attempt(target, trust_for_tls())
        async with serving(serve_echo) as plain, serving_tls(hang_up, certificate) as target:
            assert "TLS failed" in await attempt(plain.address, client_of(certificate))
            elsewhere = target.replace("127.0.0.1", "127.0.0.2")
            assert "nothing listens there" in await attempt(elsewhere, client_of(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server = await asyncio.start_server(lambda _, __: None, "127.0.0.2", 0, ssl=context)
        async with server:
            reason = await attempt("{}:{}".format(*server.sockets[0].getsockname()), client_of(certificate))
            assert "IP address mismatch, certificate is not valid for '127.0.0.2'" in reason

    run(main())


@pytest.mark.spec("TLS-5")
def test_who_shakes_no_hands_is_reported(run: Run, certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            await it.open(target.address, "plain")
            inlet = await it.inlet_node.create_inlet(
                "127.0.0.1:0", (*it.hops, "outlet"), tls=CertificateFiles(*certificate)
            )
            ends = closings(it.inlet_node, 3)
            reader, writer = await connect(inlet.address)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await reader.read(-1)
            writer.close()
            _, writer = await connect(inlet.address)
            writer.close()
            monkeypatch.setattr(tls_link, "HANDSHAKE_TIMEOUT_S", 0.02)
            reader, writer = await connect(inlet.address)
            assert await reader.read(-1) == b""
            writer.close()
            reasons = {closed.reason.removeprefix("a client shook no hands: ") for closed in await ends}
            assert reasons == {"TLS failed: http request", "the other side hung up", "no TLS handshake within 0.02 s"}
            assert not target.accepted
            reader, writer = await connect(inlet.address)
            await inlet.close()
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
            writer.close()

    run(main())


@pytest.mark.spec("TLS-6")
def test_files_are_read_again_when_they_change(run: Run, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("served", "new")]
    for folder in folders:
        folder.mkdir()
    files, new = [make_certificate(folder, name=folder.name) for folder in folders]
    first, second = (trust_for_tls(one.chain) for one in (files, new))
    warnings: list[str] = []

    async def is_shown(address: str, context: ssl.SSLContext) -> bool:
        host, _, port = address.rpartition(":")
        try:
            _, writer = await asyncio.open_connection(host, int(port), ssl=context)
        except ssl.SSLCertVerificationError:
            return False
        writer.close()
        return True

    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            await it.open(target.address, "plain")
            shown = CertificateFiles(*files, warn=warnings.append)
            inlet = await it.inlet_node.create_inlet("127.0.0.1:0", (*it.hops, "outlet"), tls=shown)
            assert await is_shown(inlet.address, first)
            shutil.copyfile(new.chain, files.chain)  # the key is still on its way
            assert await is_shown(inlet.address, first)
            assert await is_shown(inlet.address, first)
            assert len(warnings) == 1
            assert warnings[0].endswith("key values mismatch; the certificate of before is shown")
            shutil.copyfile(new.key, files.key)
            assert await is_shown(inlet.address, second)
            assert not await is_shown(inlet.address, first)
            files.chain.unlink()
            assert await is_shown(inlet.address, second)
            assert len(warnings) == 2

    run(main())


@pytest.mark.spec("TLS-7")
def test_files_that_cannot_be_used_are_a_sentence(certificate: Certificate, tmp_path: Path) -> None:
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    empty.touch(mode=0o600)
    for chain, key, why in (
        (certificate.chain, missing, "no such file"),
        (missing, certificate.key, "no such file"),
        (empty, empty, "these are no PEM files"),
        (certificate.key, certificate.key, "these are no PEM files"),
    ):
        with pytest.raises(OckamError, match=why) as caught:
            CertificateFiles(chain, key)
        assert caught.value.code is ErrorCode.TLS_FILES
    for authorities in (missing, empty):
        with pytest.raises(OckamError, match=str(authorities)):
            trust_for_tls(authorities)
    locked = make_certificate(tmp_path)
    locked.key.chmod(0o604)
    with pytest.raises(OckamError, match=f"run 'chmod o-rwx {locked.key}'"):
        CertificateFiles(*locked)


@pytest.mark.spec("TLS-7")
def test_an_encrypted_key_asks_nobody(certificate: Certificate, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(certificate.key.read_bytes(), None)
    encrypted = tmp_path / "key.pem"
    encrypted.touch(mode=0o600)
    encrypted.write_bytes(
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(OckamError, match="the key is encrypted"):
        CertificateFiles(certificate.chain, encrypted)


@pytest.mark.spec("TLS-5")
def test_an_inlet_without_a_certificate_does_not_listen(run: Run) -> None:
    def nothing() -> ssl.SSLContext:
        raise OckamError(ErrorCode.TLS_FILES, "the certificate is gone")

    async def main() -> None:
        async with Node.create() as node:
            with pytest.raises(OckamError, match="the certificate is gone"):
                await node.create_inlet("127.0.0.1:0", tls=nothing)
            before = set(node._driver.core.addresses())
            outlet = await node.create_outlet("tls", "127.0.0.1:1", tls=trust_for_tls())
            with pytest.raises(OckamError, match="already has the address"):
                await node.create_outlet("tls", "127.0.0.1:1", tls=trust_for_tls())
            await outlet.close()
            assert set(node._driver.core.addresses()) == before
            assert not node._driver.transports._made.keys() - {"tcp"}

    run(main())
