"""How long punctures wait, for hosts that let their callers change it."""

from typing import Final

RENDEZVOUS_TIMEOUT_S: Final = 3.0
"""How long the rendezvous service has for its answer; the peer's own limit."""

ACKNOWLEDGE_TIMEOUT_S: Final = 10.0
"""How long the other node has to answer unless told otherwise; what the peer's portals grant."""

OPEN_TIMEOUT_S: Final = 30.0
"""A puncture that is not open by then ends; the peer's pings for ever."""
