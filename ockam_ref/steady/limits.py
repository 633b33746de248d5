"""How long steady links wait and how much they carry, for hosts that let their callers change it."""

from typing import Final

OPEN_TIMEOUT_S: Final = 10.0
"""How long the other node has to answer unless told otherwise."""

RELAYED_PACKET_BYTES: Final = 32_768
"""Longest packet where the path loses nothing, for instance over a relay."""
