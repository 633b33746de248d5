"""What both ends of a datagram portal agree on: one datagram is one Payload, and nobody waits for anybody.

No other implementation has portals for datagrams, so the rules are our own, in the portal's four messages:

* every message of an inlet's session goes to the outlet itself, so that an outlet that has restarted, or has forgotten
  the session, goes on with the next datagram; a handshake would have to be repeated instead, over routes that lose it;
* a Payload holds one datagram, the empty one too, and begins a session at the outlet if there is none;
* Ping asks whether the outlet is there and Pong is its answer; neither belongs to a session;
* Disconnect says that the sender has forgotten the session.

What is lost is lost: datagrams were never promised to arrive.
"""

from typing import Final

from ockam_ref.effects import Forward, Report
from ockam_ref.portals.connection import drop
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.portal_message import payload_head
from ockam_ref.wire.route import Route

IDLE_S: Final = 60.0
"""How long a session lives without a datagram in either direction, unless told otherwise."""

MAX_SESSIONS: Final = 1024
"""Sessions that one inlet or outlet holds at the same time; a datagram that would begin another is a recorded drop.

Each costs the outlet a socket, and a process may commonly hold 1,024 files or a few more.
"""

MAX_DATAGRAM_BYTES: Final = 65_507
"""The longest datagram that UDP over IPv4 carries; the Payload of a stranger may be longer."""

CHECK_EVERY_S: Final = 2.0
"""How often a session looks at its clock, and the longest time by which it outlives its last datagram."""


def carry(source: Address, route: Route, datagram: bytes | memoryview, *, back: Route = ()) -> Forward:
    """Return the message that carries a datagram; ``back`` names the session that answers go to."""
    return Forward(source, LocalMessage(route, back, b"".join((payload_head(len(datagram)), datagram))))


def too_long(datagram: bytes | memoryview, mtu: int, source: Address, message: LocalMessage) -> Report:
    """Record a datagram that no socket here can send."""
    return drop("datagram-too-long", f"{len(datagram)} bytes do not fit into a datagram of {mtu}", source, message)
