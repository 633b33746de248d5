"""Links and endpoints as a host holds them: each call is marked as one of the host's, and the host knows of it."""

from ockam_ref.testing.contract.noting_host import NotingHost
from ockam_transports.base import Chunk, Endpoint, Link, Sink


class Held:
    """What links and endpoints have in common."""

    def __init__(self, host: NotingHost, sink: Sink) -> None:
        self.id = sink.id
        self.is_reading = False
        self.is_closed = False
        self._sink = sink
        self._calling = host.calling
        host.held[sink.id] = self

    @property
    def buffered(self) -> int:
        """As the adapter says."""
        return self._sink.buffered

    @property
    def mtu(self) -> int | None:
        """As the adapter says."""
        return self._sink.mtu

    def flush(self) -> None:
        """Flush although nothing new was written."""
        with self._calling():
            self._sink.flush()

    def start_reading(self) -> None:
        """Read from now on."""
        self.is_reading = True
        with self._calling():
            self._sink.start_reading()

    def stop_reading(self) -> None:
        """Read no more."""
        self.is_reading = False
        with self._calling():
            self._sink.stop_reading()

    def report_relieved(self) -> None:
        """Ask for ``link_relieved``."""
        with self._calling():
            self._sink.report_relieved()

    def close(self) -> None:
        """End in good order."""
        self.is_closed = True
        with self._calling():
            self._sink.close()

    def abort(self) -> None:
        """End now."""
        self.is_closed = True
        with self._calling():
            self._sink.abort()


class HeldLink(Held):
    """A link."""

    def __init__(self, host: NotingHost, link: Link) -> None:
        super().__init__(host, link)
        self.link = link

    def write(self, *chunks: Chunk) -> None:
        """Write and flush, as the host does at the end of an event; the chunks are one packet."""
        with self._calling():
            self.link.write(chunks)
            self.link.flush()

    def finish_sending(self) -> None:
        """End our direction."""
        with self._calling():
            self.link.finish_sending()
            self.link.flush()

    def report_drained(self) -> None:
        """Ask for ``link_drained``."""
        with self._calling():
            self.link.report_drained()
            self.link.flush()


class HeldEndpoint(Held):
    """An endpoint of datagrams."""

    def __init__(self, host: NotingHost, endpoint: Endpoint) -> None:
        super().__init__(host, endpoint)
        self._endpoint = endpoint
        self.address = endpoint.address

    def send(self, target: str, *datagrams: Chunk) -> None:
        """Send and flush, as the host does at the end of an event."""
        with self._calling():
            self._endpoint.send(target, datagrams)
            self._endpoint.flush()
