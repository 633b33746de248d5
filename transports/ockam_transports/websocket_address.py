"""Addresses of WebSocket servers: ``host:port``, with a path behind it or a scheme in front where one is wanted."""

import re
from typing import Final, NamedTuple

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_transports.host_port import HostPort, parse_host_port

_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
_HAS_PORT: Final = re.compile(r":[0-9+]+\Z")
_TARGET: Final = re.compile(r"(/[!-~]*)?\Z")


class WebSocketAddress(NamedTuple):
    """Where a server listens: with TLS or without, host and port, and the path with its query, empty when not given."""

    secure: bool
    host_port: HostPort
    target: str

    def __str__(self) -> str:
        """Return the shortest form: ``host:port`` for a server without TLS and path, as the peer writes it."""
        return f"{'wss://' if self.secure else ''}{self.host_port}{self.target}"

    @property
    def path(self) -> str:
        """The path without its query, empty when not given."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark."""
        return self.target.partition("?")[2]


def parse_websocket_address(text: str) -> WebSocketAddress:
    """Read ``host:port``, ``host:port/path`` or an URL with ``ws://`` or ``wss://``, whose ports are 80 and 443.

    Raises:
        MisuseError: the text is none of these; the message says what is wrong with it.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "ws", text
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise _refuse(text, "an URL of a WebSocket begins with ws:// or wss://")
    authority, slash, target = rest.partition("/")
    target = slash + target
    if not _TARGET.match(target) or "#" in target:
        raise _refuse(text, "a path has printable ASCII characters only, others percent-encoded, and no '#'")
    if separator and not authority:
        raise _refuse(text, "a host belongs behind ://")
    if separator and not _HAS_PORT.search(authority):
        authority = f"{authority}:{_DEFAULT_PORTS[scheme]}"
    return WebSocketAddress(scheme == "wss", parse_host_port(authority), target)


def _refuse(text: str, why: str) -> MisuseError:
    return MisuseError(ErrorCode.BAD_ADDRESS, f"{text!r} is not an address of a WebSocket: {why}")
