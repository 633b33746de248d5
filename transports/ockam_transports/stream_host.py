"""For adapters on top of TCP: a host of TCP links that tells each link above what its stream tells."""

from typing import Generic, Protocol, TypeVar

from ockam_ref.machine import LinkId
from ockam_transports.base import LinkHost


class StreamUser(Protocol):
    """A link that lives on a stream; each call comes in a turn of the event loop of its own."""

    def begin(self) -> None:
        """Begin the handshakes: the stream is there."""

    def stream_received(self, data: bytes) -> None:
        """Bytes came in."""

    def stream_failed(self, reason: str) -> None:
        """The stream could not be opened."""

    def stream_finished(self) -> None:
        """The other side has ended its direction of the stream."""

    def stream_closed(self, reason: str) -> None:
        """The stream broke and is gone."""

    def stream_drained(self) -> None:
        """The answer to ``report_drained``."""

    def stream_relieved(self) -> None:
        """The answer to ``report_relieved``."""

    def stream_gone(self) -> None:
        """The stream has freed everything."""


User = TypeVar("User", bound=StreamUser)


class StreamHost(Generic[User]):
    """Knows the link on each stream, by their common number, until the stream is gone."""

    def __init__(self, host: LinkHost, links: dict[LinkId, User]) -> None:
        self._links = links
        self.new_link = host.new_link

    def bytes_received(self, link: LinkId, data: bytes) -> None:
        """Tell the link."""
        self._links[link].stream_received(data)

    def link_opened(self, link: LinkId) -> None:
        """Tell the link."""
        self._links[link].begin()

    def link_failed(self, link: LinkId, reason: str) -> None:
        """Tell the link, for the last time."""
        self._links.pop(link).stream_failed(reason)

    def link_finished(self, link: LinkId) -> None:
        """Tell the link."""
        self._links[link].stream_finished()

    def link_closed(self, link: LinkId, reason: str) -> None:
        """Tell the link, for the last time."""
        self._links.pop(link).stream_closed(reason)

    def link_drained(self, link: LinkId) -> None:
        """Tell the link."""
        self._links[link].stream_drained()

    def link_relieved(self, link: LinkId) -> None:
        """Tell the link."""
        self._links[link].stream_relieved()

    def link_gone(self, link: LinkId) -> None:
        """Tell the link, for the last time."""
        self._links.pop(link).stream_gone()

    def mtu_changed(self, link: LinkId, mtu: int) -> None:
        """A stream has no packets."""

    def datagrams_received(self, link: LinkId, source: str, datagrams: tuple[bytes | memoryview, ...]) -> None:
        """A stream has no datagrams."""

    def datagrams_lost(self, link: LinkId, target: str, count: int, reason: str) -> None:
        """A stream has none to lose."""
