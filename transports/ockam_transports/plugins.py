"""Which transports are installed: ours and anybody's, found by the entry points of one group.

A distribution adds a transport by an entry point of the group ``ockam_ref.transports`` that names a
``TransportPlugin``; nothing of ours has to be touched.  Where two have the same name or the same number, ours counts,
then the first in the order of distribution and entry point: no package that somebody installs takes TCP's place.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.links.forms import FORMS
from ockam_transports import tcp
from ockam_transports.base import LinkKind, TransportPlugin

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "ockam_ref.transports"
"""The group of entry points in which transports are announced."""

OURS: Final = "ockam-ref"
"""The distribution whose transports come first."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


class InstalledPlugin(NamedTuple):
    """One entry point: what it leads to, or why it leads to nothing; and whose it is."""

    entry_point: str
    distribution: str
    version: str
    plugin: TransportPlugin | None
    problem: str | None

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages it needs and that are not installed."""
        return () if self.plugin is None else tuple(name for name in self.plugin.needs if not _is_there(name))

    @property
    def hidden_by(self) -> "InstalledPlugin | None":
        """The plug-in that is used in its place, because it has the same name and comes first."""
        return self._first(lambda one, other: one.name == other.name)

    @property
    def number_is_of(self) -> "InstalledPlugin | None":
        """The plug-in that addresses with its number lead to instead, because it has the same one and comes first."""
        return self._first(lambda one, other: one.transport_type == other.transport_type)

    def _first(self, alike: Callable[[TransportPlugin, TransportPlugin], bool]) -> "InstalledPlugin | None":
        for other in installed_plugins():
            if other is self or self.plugin is None:
                return None
            if other.plugin is not None and alike(self.plugin, other.plugin):
                return other
        return None


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
            raise OckamError(ErrorCode.NOT_INSTALLED, f"the transport {name!r} cannot be loaded: {installed.problem}")
    raise OckamError(ErrorCode.NOT_INSTALLED, f"no transport {name!r} is installed; there are: {', '.join(_names())}")


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
    """Return every announced transport, ours first, then by distribution and entry point; loads their modules."""
    from importlib.metadata import entry_points  # noqa: PLC0415  # costs a node that only speaks TCP 15 ms

    return tuple(sorted(map(_load, entry_points(group=GROUP)), key=_rank))


def _rank(found: InstalledPlugin) -> tuple[bool, str, str]:
    return found.distribution != OURS, found.distribution, found.entry_point


def _names() -> Iterator[str]:
    return (installed.plugin.name for installed in installed_plugins() if installed.plugin is not None)


def _load(entry_point: "EntryPoint") -> InstalledPlugin:
    distribution = entry_point.dist
    name, version = ("?", "?") if distribution is None else (distribution.name, distribution.version)
    plugin, problem = None, None
    try:
        loaded = entry_point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's module may raise anything
        problem = f"{type(error).__name__}: {error}"
    else:
        problem = f"{entry_point.value} {fault}" if (fault := _fault_of(loaded)) else None
        plugin = loaded if problem is None else None
    return InstalledPlugin(entry_point.name, name, version, plugin, problem)


def _fault_of(loaded: object) -> str | None:
    """Say what is wrong with what an entry point named."""
    plugin: Any = loaded  # whatever a stranger put into the fields
    if not isinstance(loaded, TransportPlugin):
        return "is no TransportPlugin"
    if not (isinstance(plugin.name, str) and _NAME.fullmatch(plugin.name)):
        return f"has the name {plugin.name!r}: lower-case letters, digits and '-' it takes"
    if not (isinstance(plugin.transport_type, int) and 0 < plugin.transport_type <= 255):
        return f"has the number {plugin.transport_type!r}: it is from 1 to 255"
    if not isinstance(plugin.kind, LinkKind):
        return f"has the kind {plugin.kind!r}: it is one of {', '.join(LinkKind)}"
    if plugin.kind is not LinkKind.DATAGRAM and plugin.form not in FORMS:  # endpoints have no links to hold messages
        return f"has the form {plugin.form!r}: it is one of {', '.join(FORMS)}"
    return None


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # its parent is not there, or it is half there
        return False
