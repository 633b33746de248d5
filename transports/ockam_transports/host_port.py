"""``host:port`` in the forms that the peer's command line and library take (facts 02 section 1.5)."""

import re
import socket
from typing import Final, NamedTuple

from ockam_ref.errors import ErrorCode, MisuseError

_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_PORT: Final = re.compile(r"\+?[0-9]{1,6}")
_MAX_HOST_CHARACTERS: Final = 253


class HostPort(NamedTuple):
    """A host name or an IP address without brackets, and a port from 0 to 65535."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_literal(self) -> bool:
        """Whether the host is an IP address, so that no name has to be looked up."""
        return is_ip_literal(self.host)


def parse_host_port(text: str) -> HostPort:
    """Read ``host:port``, ``[v6]:port``, ``:port`` or ``port``; the last two mean 127.0.0.1.

    Raises:
        MisuseError: the text is none of these; the message says what is wrong with it.
    """
    port = _parse_port(text.removeprefix(":"))
    if port is not None:
        return HostPort("127.0.0.1", port)
    if text.startswith("["):
        host, _, port_text = text[1:].partition("]:")
        port = _parse_port(port_text)
        if port is None or ":" not in host or not is_ip_literal(host):
            raise _refuse(text, "an IPv6 address is written like [::1]:4000")
        return HostPort(host, port)
    host, colon, port_text = text.partition(":")
    port = _parse_port(port_text)
    if not colon or port is None:
        raise _refuse(text, "a port from 0 to 65535 belongs after the last colon, as in localhost:4000")
    if len(host) > _MAX_HOST_CHARACTERS or host[:1] in "-." or host[-1:] in "-.":
        raise _refuse(text, "the host name is empty, too long, or begins or ends with '-' or '.'")
    if not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise _refuse(text, "a host name has letters, digits, '-' and '_' only, 1 to 63 between two dots")
    return HostPort(host, port)


def _parse_port(text: str) -> int | None:
    if not _PORT.fullmatch(text):
        return None
    port = int(text)
    return port if port <= 65535 else None


def is_ip_literal(host: str) -> bool:
    """Whether the text is an IP address, version 4 or 6."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except (OSError, ValueError):
        return False
    return True


def _refuse(text: str, why: str) -> MisuseError:
    return MisuseError(ErrorCode.BAD_ADDRESS, f"{text!r} is not a socket address: {why}")
