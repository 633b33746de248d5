"""A GATT connection as a link of packets: what its two ends, central and peripheral, have in common.

A packet is the value of one write or notification.  Nothing here knows bleak or bumble: each end brings a ``GattEnd``.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol

from ockam_ref.machine import LinkId
from ockam_transports.base import LOW_WATER_BYTES, Chunk, LinkHost

SERVICE: Final = "424c001f-48f6-5fff-bc3e-84e00c335dbb"
"""The Ockam service (facts 02 section 8.2)."""
TO_PERIPHERAL: Final = "bc911b36-320c-5d3f-90ed-842a6e57cefb"
"""The characteristic that the central writes; upstream calls it "read", since the peripheral reads it."""
TO_CENTRAL: Final = "18c90ff2-8d94-5f20-8084-c16ae3f6a9a2"
"""The characteristic that the peripheral notifies; upstream calls it "write"."""
AGREEMENT: Final = "827c7941-71cf-5bf1-bb34-0b54dc3ecf6a"
"""The characteristic of our own by which the two ends agree on the mode: read and written by the central.

It is ``uuid5(SERVICE, "ockam-ref agreement")``.  A board of 2022 does not have it, a central of 2022 does not look.
"""
OWN_MODE: Final = b"\x01"
"""What each end says there: packets as long as the connection takes, messages of up to 2 MiB."""

ATT_OVERHEAD: Final = 3
"""Bytes of an attribute packet beside the value in a write command or a notification."""
MAX_VALUE: Final = 512
"""Bytes of the longest value of an attribute."""
MAX_NAME_BYTES: Final = 26
"""Bytes of the longest name in an advertisement: 31, less 3 for the flags and 2 before the name."""

MAX_INBOX_BYTES: Final = 4 * 1024 * 1024
"""What may have come in for a host that does not read; more ends the link, since notifications cannot be refused."""
HOLD_INBOX_BYTES: Final = 64 * 1024
"""Above this much in the inbox, a peripheral answers the central's requests late."""
PACKET_COST: Final = 256
"""Bytes that a packet in the inbox counts for beside its own, so that empty ones are bounded too."""
WINDOW: Final = 8
"""Every so many packets an end waits until all of them have been taken: by a request, or by the controller."""

SEND_S: Final = 30.0
"""The other side must have taken a packet within this time; GATT itself gives a request no longer."""
CLOSE_STALL_S: Final = 5.0
"""A link that is closed goes on to send what was given as long as something moves within this time."""
HANG_UP_S: Final = 2.0
"""How long a disconnection may take before it is left to the radio."""


class GattError(Exception):
    """What went wrong on a Bluetooth connection, as a sentence for people."""


class GattEnd(Protocol):
    """One end of a GATT connection, as far as a link needs it."""

    @property
    def mtu(self) -> int:
        """Bytes of the largest packet at this moment."""

    async def send(self, packet: bytes, *, is_last: bool) -> None:
        """Send a packet and wait until there is room for another; ``is_last`` when none is waiting behind it.

        Raises:
            GattError: the connection does not work any more.
        """

    async def hang_up(self) -> None:
        """Disconnect.  Raises nothing."""


class BleLink:
    """One GATT connection as the host sees it."""

    def __init__(self, link: LinkId, host: LinkHost, on_gone: Callable[["BleLink"], None]) -> None:
        self.id = link
        self.buffered = 0
        self.inbox = Inbox(self._hand_over, self._tell_end)
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._on_gone = on_gone
        self._end: GattEnd | None = None
        self._mtu: int | None = None
        self._out: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._drained_asked = self._relief_asked = False
        self._closing = self._gone = False
        self._ending: str | None = None

    @property
    def mtu(self) -> int | None:
        """Bytes of the largest packet; ``None`` until the link is open."""
        return self._mtu

    # ---- opening

    def open(self, connect: Callable[[], Coroutine[Any, Any, GattEnd]]) -> None:
        """Tell the host ``link_opened`` or ``link_failed`` once ``connect`` is done; a closed link cancels it."""
        self._task = self._loop.create_task(self._open(connect))
        self._task.add_done_callback(lambda task: self._free() if task.cancelled() else None)

    async def _open(self, connect: Callable[[], Coroutine[Any, Any, GattEnd]]) -> None:
        try:
            end = await connect()
        except GattError as error:
            self._free()
            if not self._closing:
                self._host.link_failed(self.id, str(error))
            return
        if self._closing:
            await self._cut(end)
            return
        self._task = None
        self.attach(end)
        self._host.link_opened(self.id)
        self.flush()

    def attach(self, end: GattEnd) -> None:
        """From now on packets go out by this end."""
        self._end = end
        self._mtu = end.mtu

    # ---- what the host asks for

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Take one packet; one that is too long for the connection is dropped, as the core never makes it."""
        if self._closing or self._gone or self._ending is not None:
            return
        packet = b"".join(chunks)
        self._out.append(packet)
        self.buffered += len(packet)

    def flush(self) -> None:
        """Begin to send, unless that is under way."""
        if self._task is None and self._end is not None and not self._gone:
            self._task = self._loop.create_task(self._send_all(self._end))

    def start_reading(self) -> None:
        """Hand over what has come, in a later turn, and what comes."""
        if not (self._closing or self._gone):
            self.inbox.start()

    def stop_reading(self) -> None:
        """Keep what comes."""
        self.inbox.stop()

    def finish_sending(self) -> None:
        """Do nothing: a GATT connection has no end of one direction."""

    def report_drained(self) -> None:
        """Answer with ``link_drained`` once all packets were taken."""
        self._drained_asked = True

    def report_relieved(self) -> None:
        """Answer with ``link_relieved`` once little waits."""
        self._relief_asked = True

    def close(self) -> None:
        """Send what was given, disconnect, free everything; given up when nothing moves for ``CLOSE_STALL_S``."""
        if self._closing or self._gone:
            return
        self._closing = True
        self.inbox.drop()
        if self._end is None:
            self.abort()
            return
        self._timer = self._loop.call_later(CLOSE_STALL_S, self._check_progress, self.buffered)
        self.flush()

    def abort(self) -> None:
        """Disconnect and free everything; packets that wait are lost."""
        if self._gone:
            return
        self._closing = True
        self.inbox.drop()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        if self._end is not None:
            self._task = self._loop.create_task(self._cut(self._end))
        elif self._ending is not None:
            self._free()

    def _check_progress(self, buffered: int) -> None:
        if self.buffered == buffered:
            self.abort()
        else:
            self._timer = self._loop.call_later(CLOSE_STALL_S, self._check_progress, self.buffered)

    # ---- what the radio tells

    def packet_received(self, packet: bytes) -> None:
        """Take a packet that came in; in order."""
        if self._closing or self._gone or self._ending is not None:
            return
        if not self.inbox.put(packet):
            self.inbox.drop()
            self.fail("more came in than this node takes (receiver overrun)")

    def mtu_may_have_changed(self) -> None:
        """Tell the host when the largest packet has another size than before."""
        if self._end is None or self._gone or self._closing:
            return
        mtu = self._end.mtu
        if mtu != self._mtu:
            self._mtu = mtu
            self._host.mtu_changed(self.id, mtu)

    def lost(self, reason: str) -> None:
        """The connection is gone.  The host is told once, after it has read what came in before."""
        if self._gone or self._ending is not None:
            return
        self._end = None
        self._ending = reason
        self._out.clear()
        self.buffered = 0
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        if self._closing:
            self._free()
        else:
            self.inbox.empty()
            self._tell_end()

    def fail(self, reason: str) -> None:
        """Disconnect, since nothing good can come any more, and tell the host."""
        end = self._end
        self.lost(reason)
        if end is not None:
            self._task = self._loop.create_task(_hang_up(end))

    def _tell_end(self) -> None:
        """Tell the host of the end, if it is there and nothing is left to be read."""
        if self._ending is not None and not (self._closing or self._gone) and self.inbox.is_empty:
            self._free()
            self._host.link_closed(self.id, self._ending)

    # ---- sending

    async def _send_all(self, end: GattEnd) -> None:
        out = self._out
        try:
            while out:
                packet = out.popleft()
                if len(packet) <= end.mtu:
                    async with asyncio.timeout(SEND_S):
                        await end.send(packet, is_last=not out)
                self.buffered -= len(packet)
                if not out:
                    self.mtu_may_have_changed()
                self._tell_progress()
        except TimeoutError:
            self._task = None
            self.fail(f"the other side has taken nothing for {SEND_S:g} s (timed out)")
            return
        except GattError as error:
            self._task = None
            self.fail(str(error))
            return
        if self._closing:
            await self._cut(end)
            return
        self._task = None
        self._tell_progress()

    def _tell_progress(self) -> None:
        if self._closing or self._gone:
            return
        if self._drained_asked and not self._out:
            self._drained_asked = False
            self._host.link_drained(self.id)
        if self._relief_asked and self.buffered <= LOW_WATER_BYTES:
            self._relief_asked = False
            self._host.link_relieved(self.id)

    def _hand_over(self, packet: bytes) -> None:
        self._host.bytes_received(self.id, packet)

    # ---- the end

    async def _cut(self, end: GattEnd) -> None:
        await _hang_up(end)
        self._free()

    def _free(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._end = None
        if self._timer is not None:
            self._timer.cancel()
        self._out.clear()
        self.buffered = 0
        self.inbox.drop()
        self._on_gone(self)
        if self._closing:
            self._loop.call_soon(self._host.link_gone, self.id)


class Inbox:
    """Packets on their way to the host, which are kept while it does not read."""

    def __init__(self, hand_over: Callable[[bytes], None], on_empty: Callable[[], None]) -> None:
        self._hand_over = hand_over
        self._on_empty = on_empty
        self._packets: deque[bytes] = deque()
        self._cost = 0
        self._reading = False
        self._planned: asyncio.Handle | None = None
        self._room: asyncio.Future[None] | None = None

    def put(self, packet: bytes) -> bool:
        """Hand a packet over, or keep it; return False when there is no room for it."""
        if self._reading and not self._packets:
            self._hand_over(packet)
            return True
        self._packets.append(packet)
        self._cost += len(packet) + PACKET_COST
        return self._cost <= MAX_INBOX_BYTES

    def room(self) -> "asyncio.Future[None] | None":
        """Return what to wait for before more should come in; ``None`` when there is room."""
        if self._cost <= HOLD_INBOX_BYTES:
            return None
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()
        return self._room

    def start(self) -> None:
        """Hand over from the next turn of the event loop on."""
        self._reading = True
        if self._packets and self._planned is None:
            self._planned = asyncio.get_running_loop().call_soon(self._work)

    def stop(self) -> None:
        """Keep what comes."""
        self._reading = False

    def empty(self) -> None:
        """Hand over what is there, as far as it is wanted."""
        while self._packets and self._reading:
            packet = self._packets.popleft()
            self._cost -= len(packet) + PACKET_COST
            self._hand_over(packet)
        if self._cost <= HOLD_INBOX_BYTES:
            self._make_room()

    def drop(self) -> None:
        """Forget everything."""
        self._reading = False
        self._packets.clear()
        self._cost = 0
        self._make_room()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be handed over."""
        return not self._packets

    def _work(self) -> None:
        self._planned = None
        self.empty()
        self._on_empty()

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)


async def _hang_up(end: GattEnd) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(HANG_UP_S):
            await end.hang_up()
