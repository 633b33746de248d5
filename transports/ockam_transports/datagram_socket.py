"""A non-blocking UDP socket that sends and receives many datagrams in one call where the operating system can.

Linux cuts one long write into datagrams of one size (``UDP_SEGMENT``) and hands over several of one sender in one read
(``UDP_GRO``); both save most of the cost of a datagram.  Elsewhere, and where a network card refuses, it is one call a
datagram with the same result.
"""

import errno
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

from ockam_transports.base import Chunk

SOCKET_BUFFER_BYTES: Final = 8 * 1024 * 1024
"""What the kernel is asked to keep for each direction of a socket; it may allow less (``net.core.rmem_max``)."""

MAX_DATAGRAM_BYTES: Final = 65_507
"""The longest datagram that IPv4 carries, in many pieces on nearly all networks."""

MAX_SEGMENTS: Final = 64
"""Datagrams in one write; newer kernels take 128."""

READ_BYTES: Final = 65_536
"""No read is longer: a datagram, or several that the kernel has put together."""

SocketAddress: TypeAlias = tuple[Any, ...]

_SOL_UDP: Final = 17
_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_ANCILLARY_BYTES: Final = 64
_IS_LINUX: Final = sys.platform == "linux"

_ASYNCHRONOUS: Final = frozenset(
    {errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EPROTO}
)
"""What an ICMP message about an earlier datagram makes a later call fail with; that call itself has done nothing."""


class DatagramSocket:
    """A bound or connected socket; with ``offload`` false, one call a datagram."""

    __slots__ = ("_buffer", "_gathers", "_segments_below", "_socket")

    def __init__(self, sock: socket.socket, *, offload: bool = True) -> None:
        self._socket = sock
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._segments_below = MAX_DATAGRAM_BYTES if offload and _IS_LINUX else 0
        self._gathers = False
        sock.setblocking(False)
        _enlarge(sock)
        if offload and _IS_LINUX:
            with suppress(OSError):  # a kernel before 5.0
                sock.setsockopt(_SOL_UDP, _UDP_GRO, 1)
                self._gathers = True

    def fileno(self) -> int:
        """Return the descriptor, for the event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def receive(self) -> tuple[SocketAddress, list[bytes]] | None:
        """Return the next datagrams of one sender, at least one; ``None`` for news about a datagram of ours.

        Raises:
            BlockingIOError: nothing is there.
            OSError: the socket is of no use any more.
        """
        buffer = self._buffer
        try:
            if not self._gathers:
                length, where = self._socket.recvfrom_into(buffer)
                return where, [bytes(buffer[:length])]
            length, ancillary, _, where = self._socket.recvmsg_into([buffer], _ANCILLARY_BYTES)
        except OSError as error:
            if error.errno in _ASYNCHRONOUS:
                return None
            raise
        size = length
        for level, kind, data in ancillary:
            if level == _SOL_UDP and kind == _UDP_GRO:
                size = int.from_bytes(data[:4], sys.byteorder)
        whole = bytes(buffer[:length])
        if size >= length:
            return where, [whole]
        return where, [whole[start : start + size] for start in range(0, length, size)]  # the last may be shorter

    def send(self, datagrams: Sequence[Chunk], position: int, where: SocketAddress | None, most: int) -> int:
        """Send some of the datagrams from ``position`` on, at most ``most``; return how many have left, at least one.

        Raises:
            BlockingIOError: the socket takes no more at the moment.
            OSError: the datagram at ``position`` cannot be sent.
        """
        first = datagrams[position]
        size = len(first)
        run = 1
        if 0 < size < self._segments_below:
            run = _run_length(datagrams, position, size, most)
        if run > 1:
            try:
                segments = [(_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", size))]
                _again(self._socket.sendmsg, datagrams[position : position + run], segments, 0, where)
            except BlockingIOError:
                raise
            except OSError:  # larger than the network's packets, or a card that cannot: one at a time from now on
                self._segments_below = size
            else:
                return run
        _again(self._socket.sendmsg, (first,), (), 0, where)
        return 1


def _run_length(datagrams: Sequence[Chunk], position: int, size: int, most: int) -> int:
    """Return how many datagrams from ``position`` on go into one write: all of one size, the last may be shorter."""
    stop = min(len(datagrams), position + min(most, MAX_SEGMENTS, MAX_DATAGRAM_BYTES // size))
    lengths = list(map(len, datagrams[position:stop]))
    same = lengths.count(size)
    if same < len(lengths):
        same = next(index for index, length in enumerate(lengths) if length != size)
        same += 0 < lengths[same] < size
    return same


def _again(call: Any, *arguments: Any) -> None:  # noqa: ANN401  # any call of a socket
    """Call, and once more if the first time only told what happened to an earlier datagram."""
    try:
        call(*arguments)
    except OSError as error:
        if error.errno not in _ASYNCHRONOUS:
            raise
        call(*arguments)


def _enlarge(sock: socket.socket) -> None:
    """Ask for large buffers, beyond the machine's limit where we are allowed to."""
    for option, force in ((socket.SO_RCVBUF, _SO_RCVBUFFORCE), (socket.SO_SNDBUF, _SO_SNDBUFFORCE)):
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        if _IS_LINUX:
            with suppress(OSError):  # only who may administrate the network
                sock.setsockopt(socket.SOL_SOCKET, force, SOCKET_BUFFER_BYTES)
