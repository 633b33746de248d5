"""Whether a channel lost or reordered anything: what a byte stream on top of it must know.

The window of the data phase forgives loss and reordering, and portals put no counter on their bytes.  A hop that drops
or swaps packets of a channel could so cut a piece out of a stream, and nobody would notice.  The nonces show it: the
decryptor counts the packets that were not the one that was due, and once there was one it says so beside the peer's
identifier.  Nothing of this has a form on the wire.
"""

from typing import Final, TypeAlias

from ockam_ref.channels.data_phase import NonceWindow
from ockam_ref.wire.local_message import LocalInfo

CHANNEL_GAPS: Final = "SECURE_CHANNEL_GAPS"
"""The type of the local info that a decryptor adds after the first packet out of order."""

LocalInfos: TypeAlias = tuple[LocalInfo, ...]


def was_due(before: NonceWindow, after: NonceWindow) -> bool:
    """Return whether the packet that moved the window so is the one that directly follows the largest before it."""
    return after.largest == (before.largest + 1 if before.seen else 0)


def with_one_more_gap(local_info: LocalInfos) -> LocalInfos:
    """Return a decryptor's local info after one more packet out of order."""
    gaps = find_gaps(local_info) + 1
    return local_info[0], LocalInfo(CHANNEL_GAPS, gaps.to_bytes(8, "big"))


def find_gaps(local_info: LocalInfos) -> int:
    """Return how many packets had come out of order when a message arrived; 0 too for one that needed no channel."""
    for type_identifier, data in local_info:
        if type_identifier == CHANNEL_GAPS:
            return int.from_bytes(data, "big")
    return 0
