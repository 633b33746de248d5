"""Links inside one process: names as addresses, packets that change hands without a copy more than the joining one.

A packet transport without a bound on the size of a packet, so that a message is one packet and nothing has to be cut;
where TCP runs every byte through framing, this one shows what a route costs without any.  For tests, for examples and
for two nodes of one program.
"""

import asyncio
import re
from itertools import count
from typing import Final
from weakref import WeakKeyDictionary

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.machine import LinkId
from ockam_transports.base import Acceptor, LinkHost, LinkKind, TransportPlugin
from ockam_transports.memory_link import MemoryLink

ANY_NAME: Final = "*"
"""Listening here takes a name that nobody has."""

MAX_ACCEPTED_LINKS: Final = 4096
"""Links that one listener may have accepted and not yet freed; further ones are refused."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_numbers: Final = count(1)
_listeners: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, "MemoryListener"]]] = WeakKeyDictionary()
"""Who listens, for each event loop; links never leave the loop that they were made on."""


class MemoryTransport:
    """Links between the nodes of one event loop, for one host."""

    def __init__(self, host: LinkHost) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()

    def open(self, link: LinkId, target: str) -> MemoryLink:
        """Begin to open a link to the listener of that name."""
        near = MemoryLink(link, self._host)
        self._loop.call_soon(self._connect, near, target)
        return near

    async def listen(self, address: str, accept: Acceptor) -> "MemoryListener":
        """Listen under a name; ``*`` takes a fresh one.

        Raises:
            MisuseError: ``address`` is no name.
            OckamError: somebody listens under that name.
        """
        name = f"memory-{next(_numbers)}" if address == ANY_NAME else address
        if not _NAME.fullmatch(name):
            raise MisuseError(ErrorCode.BAD_ADDRESS, _no_name(address))
        names = _listeners.setdefault(self._loop, {})
        if name in names:
            raise OckamError(ErrorCode.LINK_FAILED, f"cannot listen at memory name {name!r}: it is taken")
        names[name] = listener = MemoryListener(name, names, self._host, accept)
        return listener

    def _connect(self, near: MemoryLink, target: str) -> None:
        listener = _listeners.get(self._loop, {}).get(target)
        if not _NAME.fullmatch(target):
            near.fail(_no_name(target))
        elif listener is None:
            near.fail(f"cannot connect to memory name {target!r}: nothing listens there")
        elif not near.is_over:
            listener.take(near)


class MemoryListener:
    """A name that can be connected to."""

    def __init__(self, name: str, names: dict[str, "MemoryListener"], host: LinkHost, accept: Acceptor) -> None:
        self.address = name
        self._names = names
        self._host = host
        self._accept = accept
        self._accepted: set[MemoryLink] = set()

    def close(self) -> None:
        """Give the name back; accepted links live on."""
        if self._names.get(self.address) is self:
            del self._names[self.address]

    def take(self, near: MemoryLink) -> None:
        """Make the other end of a link that is opening, and tell both hosts."""
        if len(self._accepted) >= MAX_ACCEPTED_LINKS:
            near.fail(f"cannot connect to memory name {self.address!r}: it has as many links as it takes")
            return
        far = MemoryLink(self._host.new_link(), self._host, self._accepted)
        self._accepted.add(far)
        near.join(far)
        far.join(near)
        near.tell_opened()
        self._accept(far)


def _no_name(text: str) -> str:
    return f"{text!r} is no memory name: 1 to 63 letters, digits, '.', '_' and '-', a letter or digit first"


PLUGIN: Final = TransportPlugin(
    name="memory",
    transport_type=200,
    kind=LinkKind.PACKET,
    form="packet",
    address_form="a name",
    summary="Links between nodes of one program",
    create=MemoryTransport,
)
