"""Back-pressure: who must not be read because somebody else cannot be written.

Causal and local: a *source* (a link that is read, or a caller that sends) waits for the *sinks* (links, mailboxes of
application workers) that its own bytes filled, and for nothing else.  Memory is then bounded by one read for each
source and the high-water mark of each sink.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

Source = TypeVar("Source", bound=Hashable)
Sink = TypeVar("Sink", bound=Hashable)


class BackPressure(Generic[Source, Sink]):
    """Which sources wait for which sinks; it knows nothing of sockets."""

    __slots__ = ("_sinks_of", "_sources_of")

    def __init__(self) -> None:
        self._sinks_of: dict[Source, set[Sink]] = {}
        self._sources_of: dict[Sink, set[Source]] = {}

    def hold(self, source: Source, sink: Sink) -> bool:
        """Let the source wait for the sink; return whether it waited for none before."""
        sinks = self._sinks_of.setdefault(source, set())
        first = not sinks
        sinks.add(sink)
        self._sources_of.setdefault(sink, set()).add(source)
        return first

    def is_held(self, source: Source) -> bool:
        """Whether the source waits for any sink."""
        return source in self._sinks_of

    def release(self, sink: Sink) -> list[Source]:
        """The sink takes bytes again, or is gone; return the sources that now wait for none."""
        freed = []
        for source in self._sources_of.pop(sink, ()):
            sinks = self._sinks_of[source]
            sinks.discard(sink)
            if not sinks:
                del self._sinks_of[source]
                freed.append(source)
        return freed

    def forget(self, source: Source) -> None:
        """The source is gone; no sink remembers it."""
        for sink in self._sinks_of.pop(source, ()):
            sources = self._sources_of[sink]
            sources.discard(source)
            if not sources:
                del self._sources_of[sink]
