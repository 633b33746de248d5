"""The transports of one node: made when they are first used, its own before the installed ones."""

from collections.abc import Callable, Iterable
from typing import Any

from ockam_ref.errors import ErrorCode, OckamError
from ockam_transports.base import DatagramTransport, LinkHost, Transport, TransportPlugin
from ockam_transports.plugins import find_plugin, find_plugin_of_type


class Transports:
    """By name, what is known of a transport, and the transport itself."""

    def __init__(self, host: LinkHost, plugins: Iterable[TransportPlugin]) -> None:
        self._host = host
        self._plugins = {plugin.name: plugin for plugin in plugins}
        self._made: dict[str, Transport | DatagramTransport] = {}
        self._kept = 0

    def keep(self, make: Callable[[LinkHost], Transport]) -> str:
        """Make a transport for one thing of this node only, with settings of its own; return its name."""
        self._kept += 1
        name = f"own {self._kept}"
        self._made[name] = make(self._host)
        return name

    def forget(self, name: str) -> None:
        """Give up a transport that was kept; its links live on."""
        self._made.pop(name, None)

    def plugin(self, name: str) -> TransportPlugin:
        """Return what is known of the transport of that name: one given to this node, else an installed one.

        Raises:
            OckamError: it is not installed.
        """
        return self._plugins.get(name) or find_plugin(name)

    def plugin_of_type(self, transport_type: int) -> TransportPlugin | None:
        """Return what is known of the transport whose addresses have that number, if there is one."""
        own = (plugin for plugin in self._plugins.values() if plugin.transport_type == transport_type)
        return next(own, None) or find_plugin_of_type(transport_type)

    def get(self, name: str) -> Transport | DatagramTransport:
        """Return the transport of that name.

        Raises:
            OckamError: it is not installed, or something that it needs is not.
        """
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = self.plugin(name).create(self._host)
        return found

    def of_links(self, name: str) -> Transport:
        """Return one that others can connect over; see ``get``."""
        found: Any = self.get(name)
        if not hasattr(found, "listen"):
            raise OckamError(ErrorCode.MISUSE, f"nobody connects over {name}: bind it instead")
        return found  # type: ignore[no-any-return]  # what listens is one

    def of_datagrams(self, name: str) -> DatagramTransport:
        """Return one whose endpoints can be bound; see ``get``."""
        found: Any = self.get(name)
        if not hasattr(found, "bind"):
            raise OckamError(ErrorCode.MISUSE, f"{name} has no datagrams: listen or connect instead")
        return found  # type: ignore[no-any-return]  # what binds is one
