"""Which transports are installed: ours and anybody's, found by the entry points of one group.

A distribution adds a transport by an entry point of the group ``ockam_ref.transports`` that names a
``TransportPlugin``; nothing of ours has to be touched.  Where two have the same name or the same number, the first in
the order of distribution and entry point counts.
"""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final, NamedTuple

from ockam_ref.errors import ErrorCode, OckamError
from ockam_transports import tcp
from ockam_transports.base import TransportPlugin

GROUP: Final = "ockam_ref.transports"
"""The group of entry points in which transports are announced."""


class InstalledPlugin(NamedTuple):
    """One entry point: what it leads to, or why it leads to nothing; and whose it is."""

    entry_point: str
    distribution: str
    version: str
    plugin: TransportPlugin | None
    problem: str | None


def find_plugin(name: str) -> TransportPlugin:
    """Return the transport of that name.

    Raises:
        OckamError: there is none, or it cannot be loaded; the message says what there is.
    """
    if name == tcp.PLUGIN.name:  # what nearly everybody uses costs no look at the installed distributions
        return tcp.PLUGIN
    for installed in installed_plugins():
        if installed.plugin is not None and installed.plugin.name == name:
            return installed.plugin
        if installed.plugin is None and installed.entry_point == name:
            raise OckamError(ErrorCode.LINK_FAILED, f"the transport {name!r} cannot be loaded: {installed.problem}")
    raise OckamError(ErrorCode.LINK_FAILED, f"no transport {name!r} is installed; there are: {', '.join(_names())}")


def find_plugin_of_type(transport_type: int) -> TransportPlugin | None:
    """Return the transport whose addresses have that number, if one is installed."""
    if transport_type == tcp.PLUGIN.transport_type:
        return tcp.PLUGIN
    for installed in installed_plugins():
        if installed.plugin is not None and installed.plugin.transport_type == transport_type:
            return installed.plugin
    return None


@cache
def installed_plugins() -> tuple[InstalledPlugin, ...]:
    """Return every announced transport, ordered by distribution and name; loads their modules."""
    return tuple(
        sorted(map(_load, entry_points(group=GROUP)), key=lambda found: (found.distribution, found.entry_point))
    )


def _names() -> Iterator[str]:
    return (installed.plugin.name for installed in installed_plugins() if installed.plugin is not None)


def _load(entry_point: EntryPoint) -> InstalledPlugin:
    distribution = entry_point.dist
    name, version = ("?", "?") if distribution is None else (distribution.name, distribution.version)
    plugin, problem = None, None
    try:
        loaded = entry_point.load()
    except Exception as error:  # noqa: BLE001  # a stranger's module may raise anything while it is imported
        problem = f"{type(error).__name__}: {error}"
    else:
        if isinstance(loaded, TransportPlugin):
            plugin = loaded
        else:
            problem = f"{entry_point.value} is no TransportPlugin"
    return InstalledPlugin(entry_point.name, name, version, plugin, problem)
