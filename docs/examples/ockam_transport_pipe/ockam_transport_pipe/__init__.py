"""Links through named pipes: for two programs of one machine that share nothing but a folder.

Whoever listens at a folder reads the pipe ``knock`` in it.  A client makes two pipes with a random name, one for each
direction, and writes that name into ``knock``; each side then sends one byte to show that it has opened its ends.
"""

import asyncio
import os
import re
import secrets
from pathlib import Path
from typing import Final

from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.machine import LinkId
from ockam_transport_pipe.link import PipeLink
from ockam_transports.base import Acceptor, LinkHost, LinkKind, TransportPlugin
from ockam_transports.reasons import describe

OPEN_TIMEOUT_S: Final = 10.0
MAX_HALF_OPEN: Final = 64
"""Clients that have knocked and not opened their ends yet; further ones get no answer."""

_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
_BOTH: Final = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
_KNOCK: Final = re.compile(rb"\n([0-9a-f]{32})\n")


class PipeTransport:
    """Named pipes for one host on the running event loop."""

    def __init__(self, host: LinkHost) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()

    def open(self, link: LinkId, target: str) -> PipeLink:
        """Begin to connect to whoever listens at the folder."""
        near = PipeLink(link, self._host)
        self._loop.call_soon(self._knock, near, target)
        return near

    async def listen(self, address: str, accept: Acceptor) -> "PipeListener":
        """Listen at a folder, which is made if it is missing.

        Raises:
            OckamError: nobody can listen there.
        """
        try:
            return PipeListener(_folder(address), self._host, accept)
        except (OSError, ValueError) as error:
            reason = f"cannot listen at the pipe folder {address!r}: {_why(error)}"
            raise OckamError(ErrorCode.LINK_FAILED, reason) from None

    def _knock(self, near: PipeLink, target: str) -> None:
        if near.is_over:
            return
        failure = f"cannot connect to the pipe folder {target!r}: "
        try:
            up, down = near.make_pipes(_folder(target) / secrets.token_hex(16))
            incoming = near.take_in(os.open(down, _READ))
            knock = os.open(_folder(target) / "knock", _WRITE)
            os.write(knock, b"\n%s\n" % up.stem.encode())
            os.close(knock)
        except (OSError, ValueError) as error:
            near.fail(failure + _why(error))
            return

        def answered() -> None:
            try:
                os.read(incoming, 1)
                near.take_out(os.open(up, _WRITE))
            except OSError as error:
                near.fail(failure + _why(error))
                return
            near.begin()
            self._host.link_opened(near.id)

        near.wait_for_answer(answered, OPEN_TIMEOUT_S, failure + "nobody answers")


class PipeListener:
    """Reads the names that clients write into ``knock``."""

    def __init__(self, folder: Path, host: LinkHost, accept: Acceptor) -> None:
        self.address = str(folder)
        self._host = host
        self._accept = accept
        self._loop = asyncio.get_running_loop()
        self._half_open: set[PipeLink] = set()
        self._path = folder / "knock"
        folder.mkdir(exist_ok=True)
        try:
            os.close(os.open(self._path, _WRITE))  # works only where somebody reads
        except FileNotFoundError:
            os.mkfifo(self._path, 0o600)
        except OSError:
            pass  # left behind by somebody who is gone
        else:
            raise ValueError("somebody listens there already")
        self._fd = os.open(self._path, _BOTH)  # also a writer, so that it never ends
        self._loop.add_reader(self._fd, self._knocked)

    def close(self) -> None:
        """Accept no more; accepted links live on."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._path.unlink(missing_ok=True)
            for link in list(self._half_open):
                link.drop()

    def _knocked(self) -> None:
        for name in _KNOCK.findall(os.read(self._fd, 65536)):
            if len(self._half_open) < MAX_HALF_OPEN:
                self._answer(self._path.with_name(name.decode()))

    def _answer(self, pipes: Path) -> None:
        far = PipeLink(self._host.new_link(), self._host)
        try:
            incoming = far.take_in(os.open(pipes.with_suffix(".up"), _READ))
            os.write(far.take_out(os.open(pipes.with_suffix(".down"), _WRITE)), b"+")
        except OSError:  # whoever knocked is gone
            far.drop()
            return

        def answered() -> None:
            self._half_open.discard(far)
            if not os.read(incoming, 1):
                far.drop()
                return
            far.begin()
            self._accept(far)

        self._half_open.add(far)
        far.on_drop = self._half_open.discard
        far.wait_for_answer(answered, OPEN_TIMEOUT_S, None)


def _folder(address: str) -> Path:
    if not address or "\0" in address:
        raise ValueError("that is no name of a folder")
    return Path(address)


def _why(error: OSError | ValueError) -> str:
    return describe(error) if isinstance(error, OSError) else str(error)


PLUGIN: Final = TransportPlugin(
    name="pipe",
    transport_type=201,
    kind=LinkKind.STREAM,
    form="framed",
    address_form="a folder",
    summary="Named pipes, for programs of one machine.",
    create=PipeTransport,
)
