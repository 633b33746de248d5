"""A relay that cheats: it stands between a node and its hub, and changes what passes."""

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from tests.interop.traffic import WAIT_S, connect
from tests.robustness.servers import address_of

_CHUNK: Final = 256 * 1024
BULK_FRAME_BYTES: Final = 2000
"""Frames longer than this carry bytes of a portal; what is shorter may be a handshake or a registration."""

SKIPPED_FRAMES: Final = 3
"""Frames of bulk that pass unchanged first."""


class Direction(StrEnum):
    """Which way the bytes go that are changed."""

    TO_HUB = "to the hub"
    TO_NODE = "to the node"


class Frames:
    """A whole stream as version byte and frames; incomplete ones wait."""

    def __init__(self) -> None:
        self._waiting = b""
        self._versioned = False

    def take(self, data: bytes) -> Iterator[bytes]:
        """Return what is complete: the version byte, then frames with their length in front."""
        self._waiting += data
        if not self._versioned and self._waiting:
            self._versioned = True
            yield self._waiting[:1]
            self._waiting = self._waiting[1:]
        while len(self._waiting) >= 4:
            (length,) = struct.unpack_from(">I", self._waiting)
            if len(self._waiting) < 4 + length:
                return
            frame, self._waiting = self._waiting[: 4 + length], self._waiting[4 + length :]
            yield frame


Tamper = Callable[[bytes, random.Random], list[bytes] | None]
"""What becomes of a frame; ``None`` keeps it back until the next one, which goes first."""


def flip(frame: bytes, chance: random.Random) -> list[bytes]:
    """Flip one bit anywhere but in the length."""
    changed = bytearray(frame)
    changed[chance.randrange(4, len(frame))] ^= 1 << chance.randrange(8)
    return [bytes(changed)]


def flip_payload(frame: bytes, chance: random.Random) -> list[bytes]:
    """Flip one bit of the ciphertext."""
    changed = bytearray(frame)
    changed[chance.randrange(len(frame) // 2, len(frame))] ^= 1 << chance.randrange(8)
    return [bytes(changed)]


def flip_length(frame: bytes, chance: random.Random) -> list[bytes]:
    """Change the length of a frame by a little."""
    (length,) = struct.unpack_from(">I", frame)
    return [struct.pack(">I", length + chance.choice((-1, 1, 256, -256))) + frame[4:]]


def drop(frame: bytes, chance: random.Random) -> list[bytes]:
    """Lose a frame."""
    del frame, chance
    return []


def repeat(frame: bytes, chance: random.Random) -> list[bytes]:
    """Send a frame twice."""
    del chance
    return [frame, frame]


def swap(frame: bytes, chance: random.Random) -> None:
    """Let the next frame go first."""
    del frame, chance


def swap_bytes(frame: bytes, chance: random.Random) -> list[bytes]:
    """Exchange two neighbouring bytes that differ."""
    changed = bytearray(frame)
    places = [at for at in range(len(frame) // 2, len(frame) - 1) if frame[at] != frame[at + 1]]
    at = chance.choice(places)
    changed[at], changed[at + 1] = changed[at + 1], changed[at]
    return [bytes(changed)]


def lose_byte(frame: bytes, chance: random.Random) -> list[bytes]:
    """Lose one byte of the stream."""
    at = chance.randrange(4, len(frame))
    return [frame[:at] + frame[at + 1 :]]


def repeat_byte(frame: bytes, chance: random.Random) -> list[bytes]:
    """Send one byte of the stream twice."""
    at = chance.randrange(4, len(frame))
    return [frame[: at + 1] + frame[at:]]


def cut(frame: bytes, chance: random.Random) -> list[bytes]:
    """Lose the end of a frame, with a length that says so."""
    length = chance.randrange(100, len(frame) - 4)
    return [struct.pack(">I", length) + frame[4 : 4 + length]]


OF_PACKETS: Final[dict[str, Tamper]] = {one.__name__: one for one in (flip_payload, swap_bytes, drop, repeat, swap)}
"""What leaves the frames whole: a relay on the way may do it to a channel."""

OF_STREAMS: Final[dict[str, Tamper]] = {one.__name__: one for one in (flip, flip_length, lose_byte, repeat_byte, cut)}
"""What may break the frames or the messages in them, so that whoever reads them ends the link."""


class TamperingRelay:
    """Passes every connection on to the hub; once it is armed, one frame of bulk is changed."""

    def __init__(self, hub: str) -> None:
        self._hub = hub
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._armed: tuple[Direction, Tamper] | None = None
        self._skip = 0
        self._chance = random.Random(4)
        self.done: Final = threading.Event()
        self.address: Final = address_of(self._listener)

    def arm(self, direction: Direction, tamper: Tamper, *, seed: int) -> None:
        """Change one frame that goes in this direction, after some that pass."""
        self._chance = random.Random(seed)
        self._skip = SKIPPED_FRAMES
        self.done.clear()
        self._armed = direction, tamper

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(WAIT_S)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(WAIT_S)
        for connection in self._open:
            connection.close()

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                node, _ = self._listener.accept()
            except OSError:
                return
            hub = connect(self._hub)
            hub.settimeout(None)
            self._open += [node, hub]
            self._spawn(self._pass, node, hub, Direction.TO_HUB)
            self._spawn(self._pass, hub, node, Direction.TO_NODE)

    def _pass(self, source: socket.socket, sink: socket.socket, direction: Direction) -> None:
        frames = Frames()
        held: list[bytes] = []
        try:
            while data := source.recv(_CHUNK):
                for frame in frames.take(data):
                    changed = self._change(frame, direction)
                    if changed is None:
                        held.append(frame)
                        continue
                    sink.sendall(b"".join((*changed, *held)))
                    held.clear()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _change(self, frame: bytes, direction: Direction) -> list[bytes] | None:
        armed = self._armed
        if armed is None or armed[0] is not direction or len(frame) < BULK_FRAME_BYTES:
            return [frame]
        if self._skip > 0:
            self._skip -= 1
            return [frame]
        self._armed = None
        self.done.set()
        return armed[1](frame, self._chance)
