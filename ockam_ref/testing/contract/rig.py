"""What the suite has to know of an adapter: its author fills in a ``Rig``."""

from typing import Final, Protocol, cast

import pytest

from ockam_ref.testing.contract.noting_host import NotingHost
from ockam_transports.base import LOW_WATER_BYTES, DatagramTransport, Transport, TransportPlugin

BIG_BYTES: Final = 16 * 1024 * 1024
"""More bytes than an operating system takes for an end of a link that does not read."""


class RawPeer(Protocol):
    """The other end of a link, made without the adapter: it may do what the adapter never does."""

    async def send(self, data: bytes) -> None:
        """Send these bytes as they are."""

    def reset(self) -> None:
        """Break the connection as a machine does that lost its power, as far as this is possible."""

    def close(self) -> None:
        """Free everything; nothing happens where it is free."""


class Rig:
    """How the suite makes the transport, and which promises it cannot make.

    Class attributes are for what is always so; methods for what needs a place of its own in each test.
    """

    plugin: TransportPlugin
    """What the entry point of the adapter names."""

    nonsense: tuple[str, ...] = ("",)
    """Addresses that cannot be read, neither for ``open`` nor for ``listen``."""

    unresolvable: str | None = None
    """An address in good form whose name nobody knows; ``None`` where there is nothing to look up."""

    not_permitted: str | None = None
    """An address in good form at which this user may not listen; ``None`` where there is none or it cannot be told."""

    big_bytes = BIG_BYTES
    """More than fits between two ends while one does not read; more than ``low_water_bytes`` by some."""

    low_water_bytes = LOW_WATER_BYTES
    """What may wait when ``link_relieved`` is told; a slow transport's tests may set a smaller mark, here and there."""

    settling_turns = 25
    """Turns of the event loop in which something that should not happen would have happened."""

    many_links = True
    """Whether a listener may have several links at a time."""

    one_listener = True
    """Whether a second listener at an address is refused."""

    half_close = True
    """For streams: whether one direction can end while the other goes on."""

    abort_is_seen = True
    """For streams: whether the other side can tell ``abort`` from an orderly end."""

    deadline_s = 20.0
    """How long one test may take."""

    def transport(self, host: NotingHost) -> Transport:
        """Make the transport, on the running event loop."""
        return cast("Transport", self.plugin.create(host))

    def datagram_transport(self, host: NotingHost) -> DatagramTransport:
        """Make the transport, where it is one of datagrams."""
        return cast("DatagramTransport", self.plugin.create(host))

    def listen_at(self) -> str:
        """Return an address at which nobody listens yet, different each time or chosen by the operating system."""
        raise NotImplementedError

    def target_of(self, address: str) -> str:
        """Return what ``open`` takes to reach a listener at that address: the same text, unless there is a reason."""
        return address

    async def raw_peer(self, target: str) -> RawPeer | None:  # noqa: ARG002  # for those who override it
        """Connect to the listener without the adapter; ``None`` where this cannot be done."""
        return None

    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Shorten the times after which the adapter gives up on a silent other side, to well below a second."""
