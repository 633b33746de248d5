"""The checks of portals pass on a faithful connection and fail on one that changes a single byte."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

import pytest

from tests.interop.traffic import Target, assert_same, check_download, check_echo, check_http, check_upload, connect

LENGTH = 300_000
NEAR_THE_END = LENGTH - 1000

Check = Callable[[str], None]

ECHO = partial(check_echo, length=LENGTH)
UPLOAD = partial(check_upload, length=LENGTH)
DOWNLOAD = partial(check_download, length=LENGTH)


@pytest.mark.parametrize("check", [ECHO, UPLOAD, DOWNLOAD, check_http])
def test_a_faithful_connection_passes(check: Check, target: Target) -> None:
    check(target.address)


@pytest.mark.parametrize(
    ("check", "to_target", "to_client"),
    [(ECHO, NEAR_THE_END, None), (ECHO, None, NEAR_THE_END), (UPLOAD, NEAR_THE_END, None), (DOWNLOAD, None, 5)],
)
def test_one_changed_byte_fails(check: Check, to_target: int | None, to_client: int | None, target: Target) -> None:
    with flipping_proxy(target.address, to_target, to_client) as address, pytest.raises(AssertionError):
        check(address)


def test_the_first_difference_is_named() -> None:
    with pytest.raises(AssertionError, match=r"offset 2$"):
        assert_same(b"abcd", b"abXd")
    with pytest.raises(AssertionError, match=r"expected 4 bytes, got 3, which differ at offset 3$"):
        assert_same(b"abcd", b"abc")


@contextmanager
def flipping_proxy(target: str, to_target: int | None, to_client: int | None) -> Iterator[str]:
    """Pass one connection on, but flip a bit of the byte at the given offset of either direction."""

    def serve() -> None:
        client, _ = listener.accept()
        with closing(client), connect(target) as server:
            back = threading.Thread(target=pump, args=(server, client, to_client), daemon=True)
            back.start()
            pump(client, server, to_target)
            back.join()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield "{}:{}".format(*listener.getsockname())
        thread.join()


def pump(source: socket.socket, sink: socket.socket, offset: int | None) -> None:
    """Pass everything on until either side ends, with one bit changed."""
    passed = 0
    with suppress(OSError):
        while chunk := bytearray(source.recv(65536)):
            if offset is not None and 0 <= offset - passed < len(chunk):
                chunk[offset - passed] ^= 1
            passed += len(chunk)
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
