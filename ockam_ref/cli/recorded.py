"""Reading what ``ockam-ref hub --record FILE`` wrote: the frames that came in, as the hub could understand them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ockam_ref.channels.data_phase import OVERHEAD, packet_nonce
from ockam_ref.links.framing import AwaitingVersion, FramingState
from ockam_ref.links.framing import receive as receive_bytes
from ockam_ref.wire.route import Route
from ockam_ref.wire.transport_message import decode_transport_message

_RANDOM_ADDRESS_CHARACTERS: Final = 32


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """One frame: what it was, and what can be read without keys."""

    number: int
    link: int
    encoded: bytes
    onward: str
    back: str
    payload_length: int
    nonce: int
    is_channel_data: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that came in, and the frames that are whole."""

    streams: tuple[bytes, ...]
    frames: tuple[SeenFrame, ...]

    @property
    def length(self) -> int:
        """How many bytes came in."""
        return sum(map(len, self.streams))

    def contains(self, text: bytes) -> bool:
        """Whether the bytes occur anywhere in what came in over one connection."""
        return any(text in stream for stream in self.streams)


def read_recording(path: Path) -> Recording:
    """Read the file; frames are numbered in the order in which they were complete."""
    streams: dict[int, bytearray] = {}
    states: dict[int, FramingState] = {}
    frames: list[SeenFrame] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        read = json.loads(line)
        link, data = int(read["link"]), bytes.fromhex(read["hex"])
        streams.setdefault(link, bytearray()).extend(data)
        states[link], bodies = receive_bytes(states.get(link, AwaitingVersion()), data)
        frames += [_see(len(frames) + index + 1, link, bytes(body)) for index, body in enumerate(bodies)]
    return Recording(tuple(map(bytes, streams.values())), tuple(frames))


def _see(number: int, link: int, body: bytes) -> SeenFrame:
    message = decode_transport_message(body)
    payload = bytes(message.payload)
    # encrypted messages leave with an empty return route; each hop adds itself
    is_channel_data = len(payload) >= OVERHEAD and not message.return_route
    nonce = packet_nonce(payload) if is_channel_data else 0
    return SeenFrame(
        number,
        link,
        body,
        _describe(message.onward_route),
        _describe(message.return_route),
        len(payload),
        nonce,
        is_channel_data,
    )


def _describe(route: Route) -> str:
    return " => ".join(_shorten(str(address).removeprefix("0#")) for address in route)


def _shorten(name: str) -> str:
    return f"{name[:8]}..." if len(name) == _RANDOM_ADDRESS_CHARACTERS else name
