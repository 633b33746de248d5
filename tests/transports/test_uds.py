"""Unix sockets: the file and who may have it, what cannot be reached, and a listener whose queue is full."""

# ruff: noqa: ASYNC240 -- files are what these tests are about

import asyncio
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.testing.contract import NotingHost
from ockam_transports import uds
from ockam_transports.base import Link
from ockam_transports.stream_listener import StreamSocketListener
from ockam_transports.uds import MAX_PATH_BYTES, UdsTransport
from tests.transports.conftest import Client, Run

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "node.sock")


async def listen(host: NotingHost, path: str) -> StreamSocketListener:
    return await UdsTransport(host).listen(path, host.accept)


async def refused(host: NotingHost, path: str) -> str:
    """Fail to listen; return why."""
    with pytest.raises(OckamError) as caught:
        await listen(host, path)
    assert caught.value.code is ErrorCode.LINK_FAILED
    assert path in str(caught.value)
    return str(caught.value)


async def not_reached(host: NotingHost, path: str) -> str:
    """Fail to connect; return why."""
    number = host.new_link()
    with host.calling():
        UdsTransport(host).open(number, path)
    return await host.told("failed", number)


def leave_stale(path: str) -> None:
    """Leave the file of a socket that is gone."""
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(path)


# ---- the file


@pytest.mark.spec("UDS-10")
def test_the_file_is_its_owners_and_goes_away_with_the_listener(run: Run, host: Any, path: str) -> None:
    async def main() -> None:
        listener = await listen(host, path)
        status = os.lstat(path)
        assert listener.address == path
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o600
        listener.close()
        listener.close()
        assert not os.path.lexists(path)

    old = os.umask(0)  # nothing of it depends on the user's mask
    try:
        run(main())
    finally:
        os.umask(old)


@pytest.mark.spec("UDS-10")
def test_a_path_that_somebody_else_has_taken_since_is_left_alone(run: Run, host: Any, path: str) -> None:
    async def main() -> None:
        first = await listen(host, path)
        Path(path).unlink()
        second = await listen(host, path)
        first.close()
        client = await Client.connect(path)
        await host.until(lambda: len(host.accepted) == 1)
        client.close()
        host.accepted[0].abort()
        Path(path).unlink()
        second.close()

    run(main())


@pytest.mark.spec("UDS-11")
def test_a_stale_socket_file_is_replaced(run: Run, host: Any, path: str) -> None:
    async def main() -> None:
        leave_stale(path)
        listener = await listen(host, path)
        client = await Client.connect(path)
        await host.until(lambda: len(host.accepted) == 1)
        client.close()
        host.accepted[0].abort()
        listener.close()

    run(main())


@pytest.mark.spec("UDS-11")
def test_a_path_where_somebody_listens_is_refused_and_nobody_is_disturbed(run: Run, host: Any, path: str) -> None:
    async def main() -> None:
        listener = await listen(host, path)
        other = NotingHost()
        assert "another program listens there: choose another path" in await refused(other, path)
        client = await Client.connect(path)
        await host.until(lambda: len(host.accepted) == 1)
        client.close()
        host.accepted[0].abort()
        assert len(host.accepted) == 1
        listener.close()

    run(main())


@pytest.mark.spec("UDS-11")
@pytest.mark.parametrize("kind", ["about to listen", "datagrams"])
def test_any_living_socket_keeps_its_path(run: Run, host: Any, path: str, kind: str) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "datagrams" else socket.SOCK_STREAM) as living:
            living.bind(path)
            assert "another program listens there" in await refused(host, path)
        assert os.path.lexists(path)

    run(main())


@pytest.mark.spec("UDS-11")
@pytest.mark.parametrize("kind", ["file", "folder", "link to a stale socket"])
def test_what_is_no_socket_is_left_alone(run: Run, host: Any, path: str, kind: str) -> None:
    async def main() -> None:
        if kind == "file":
            Path(path).write_text("precious")
        elif kind == "folder":
            Path(path).mkdir()
        else:
            leave_stale(path + "2")
            Path(path).symlink_to(path + "2")
        assert "there is a file that is no socket, which is left alone" in await refused(host, path)
        assert os.path.lexists(path)

    run(main())


@pytest.mark.spec("UDS-11")
def test_a_path_that_is_taken_while_we_look_is_left_alone(
    run: Run, host: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a stale file and its removal another program may have replaced it."""
    real = os.lstat

    def replaced(where: str) -> os.stat_result:
        monkeypatch.setattr(os, "lstat", real)
        found = real(where)
        Path(where).unlink()
        os.mkfifo(path + "2")  # keeps the number of the file from being used again
        leave_stale(where)
        return found

    async def main() -> None:
        leave_stale(path)
        monkeypatch.setattr(os, "lstat", replaced)
        assert "another program has just taken the path" in await refused(host, path)
        assert stat.S_ISSOCK(os.lstat(path).st_mode)

    run(main())


# ---- paths


@pytest.mark.spec("UDS-12")
@pytest.mark.parametrize("bad", ["", "a\0b", "\0abstract", "\ud800"])
def test_what_is_no_path(run: Run, host: Any, bad: str) -> None:
    async def main() -> None:
        with pytest.raises(MisuseError, match="is no path of a socket") as caught:
            await listen(host, bad)
        assert caught.value.code is ErrorCode.BAD_ADDRESS
        assert "is no path of a socket" in await not_reached(host, bad)

    run(main())


@pytest.mark.spec("UDS-12")
def test_the_length_of_a_path_is_limited(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def main() -> None:
        monkeypatch.chdir(tmp_path)
        longest = "./ü" + "x" * (MAX_PATH_BYTES - 4)
        listener = await listen(host, longest)
        client = await Client.connect(longest)
        await host.until(lambda: len(host.accepted) == 1)
        client.close()
        host.accepted[0].abort()
        listener.close()
        too_long = longest + "x"
        with pytest.raises(MisuseError, match=f"has {MAX_PATH_BYTES + 1} bytes; {MAX_PATH_BYTES} are the limit"):
            await listen(host, too_long)
        assert f"{MAX_PATH_BYTES} are the limit" in await not_reached(host, too_long)

    run(main())


# ---- what cannot be reached


@pytest.mark.spec("UDS-13")
def test_nobody_there(run: Run, host: Any, path: str) -> None:
    async def main() -> None:
        assert await not_reached(host, path) == (
            f"cannot connect to {path} over uds: there is no such file or directory"
        )
        leave_stale(path)
        assert "nothing listens there (connection refused)" in await not_reached(host, path)
        Path(path + "2").write_text("no socket")
        assert "nothing listens there (connection refused)" in await not_reached(host, path + "2")
        assert "not a directory" in await not_reached(host, path + "2/x")
        assert "there is no such file or directory" in await refused(host, f"{path}3/x")

    run(main())


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user without rights for a moment; tests may run as one that has them all."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.spec("UDS-13")
def test_no_permission(run: Run, host: Any, tmp_path: Path) -> None:
    async def main() -> None:
        folder = tmp_path / "locked"
        folder.mkdir()
        listener = await listen(host, str(folder / "node.sock"))
        folder.chmod(0)
        with as_nobody():
            why = "the permissions of the file, or of a directory on the way, do not allow it"
            assert why in await not_reached(host, listener.address)
            assert why in await refused(host, str(folder / "other.sock"))
        folder.chmod(0o700)
        listener.close()

    run(main())


@pytest.mark.spec("UDS-13")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
def test_others_may_not_connect_to_our_socket(run: Run, host: Any) -> None:
    async def main() -> None:
        folder = Path(tempfile.gettempdir()) / f"ockam-ref-{os.getpid()}"  # others may enter it, unlike ``tmp_path``
        folder.mkdir(mode=0o755)
        try:
            listener = await listen(host, str(folder / "node.sock"))
            with as_nobody():
                assert "do not allow it" in await not_reached(host, listener.address)
                assert "do not allow it" in await refused(host, listener.address)
            listener.close()
        finally:
            folder.rmdir()

    run(main())


# ---- a full queue


@pytest.mark.spec("UDS-14")
def test_a_full_queue_is_waited_for(run: Run, host: Any, path: str) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen(0)
            waiting = [host.new_link() for _ in range(3)]
            links: list[Link] = [UdsTransport(host).open(number, path) for number in waiting]
            await host.told("opened", waiting[0])
            listening.setblocking(False)
            loop = asyncio.get_running_loop()
            taken = [(await loop.sock_accept(listening))[0] for _ in waiting]
            for number in waiting:
                await host.told("opened", number)
            for link in links:
                link.abort()
            for sock in taken:
                sock.close()

    run(main())


@pytest.mark.spec("UDS-14")
def test_a_queue_that_stays_full_is_a_failure(run: Run, host: Any, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uds, "CONNECT_TIMEOUT_S", 0.05)

    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen(0)
            links = [UdsTransport(host).open(host.new_link(), path) for _ in range(2)]
            last = host.new_link()
            UdsTransport(host).open(last, path)
            assert await host.told("failed", last) == f"no answer from {path} over uds within 0.05 s"
            given_up = UdsTransport(host).open(host.new_link(), path)
            await asyncio.sleep(0)
            with host.calling():
                given_up.close()
            await host.told("gone", given_up.id)
            for link in links:
                link.abort()

    run(main())
