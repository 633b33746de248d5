"""MultiAddrs: how tickets write where a node and its services are, ``/dnsaddr/example.com/tcp/4000/service/api``.

Only the text form is here (facts 01 section 7.3), and what it means as a route.
"""

from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.address import TCP, Address, local
from ockam_ref.wire.route import Route

HOST_PROTOCOLS: Final = frozenset({"ip4", "ip6", "dnsaddr"})
WORKER_PROTOCOLS: Final = frozenset({"service", "secure", "worker"})
"""Those that name a worker; as a hop of a route there is no difference between them."""
PROTOCOLS: Final = HOST_PROTOCOLS | WORKER_PROTOCOLS | {"tcp", "node", "project", "space"}

MAX_COMPONENTS: Final = 64
"""Pairs of protocol and value that a MultiAddr may have; the peer has no limit."""

_SELF: Final = "self"


class Component(NamedTuple):
    """One pair of protocol and value."""

    protocol: str
    value: str


MultiAddress: TypeAlias = tuple[Component, ...]


def parse_multi_address(text: str) -> MultiAddress:
    """Read the text form; the first ``/`` may be left out, and ``self`` stands for ``/secure/api``.

    Raises:
        DecodeError: ``BAD_ADDRESS``, an unknown protocol or a value that it does not have.
    """
    if text == _SELF:
        return (Component("secure", "api"),)
    pieces = text.removeprefix("/").split("/") if text else []
    if len(pieces) > 2 * MAX_COMPONENTS:
        raise DecodeError(ErrorCode.TOO_LONG, f"a MultiAddr with more than {MAX_COMPONENTS} parts")
    values = [*pieces[1::2], ""][: len(pieces[::2])]
    return tuple(
        Component(protocol, _checked(protocol, value)) for protocol, value in zip(pieces[::2], values, strict=True)
    )


def format_multi_address(address: MultiAddress) -> str:
    """Return the canonical text form."""
    return "".join(f"/{protocol}/{value}" for protocol, value in address)


def _checked(protocol: str, value: str) -> str:
    if protocol not in PROTOCOLS:
        raise DecodeError(
            ErrorCode.BAD_ADDRESS, f"{protocol!r} is no protocol of a MultiAddr; it is written /dnsaddr/HOST/tcp/PORT"
        )
    try:
        match protocol:
            case "ip4":
                return str(IPv4Address(value))
            case "ip6":
                return str(IPv6Address(value))
            case "tcp":
                return str(_port(value))
            case _:
                value.encode()
                return value
    except (AddressValueError, UnicodeEncodeError, ValueError):
        raise DecodeError(ErrorCode.BAD_ADDRESS, f"{value!r} is no value of /{protocol}/") from None


def _port(text: str) -> int:
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()) or len(digits.lstrip("0")) > 5 or int(digits[-5:]) > 0xFFFF:
        raise ValueError
    return int(digits)


def to_tcp_route(address: MultiAddress) -> Route:
    """Return the route of a MultiAddr that begins with a TCP endpoint and goes on with workers.

    Raises:
        DecodeError: ``BAD_ADDRESS``, it has another form.
    """
    match address:
        case ((protocol, host), ("tcp", port), *workers) if protocol in HOST_PROTOCOLS:
            literal = f"[{host}]" if protocol == "ip6" else host
            return (Address(TCP, f"{literal}:{port}".encode()), *(_worker(worker) for worker in workers))
        case _:
            raise DecodeError(
                ErrorCode.BAD_ADDRESS,
                f"'{format_multi_address(address)}' does not begin with a host and a TCP port, "
                "as in /dnsaddr/HOST/tcp/PORT/service/api",
            )


def _worker(component: Component) -> Address:
    protocol, value = component
    if protocol not in WORKER_PROTOCOLS:
        raise DecodeError(ErrorCode.BAD_ADDRESS, f"/{protocol}/{value} is no worker behind a TCP endpoint")
    return local(value)


def from_tcp_route(route: Route, *, resolved: bool = False) -> MultiAddress:
    """Return the MultiAddr of a route that ``to_tcp_route`` gives.

    Args:
        route: a TCP hop and local hops.
        resolved: write a literal IP address as ``ip4`` or ``ip6``; otherwise any host is a ``dnsaddr``, which is what
            the peer wants of the route of a project.

    Raises:
        MisuseError: ``BAD_ADDRESS``, the route has another form.
    """
    if not route or route[0].transport_type != TCP or not all(hop.is_local for hop in route[1:]):
        raise MisuseError(ErrorCode.BAD_ADDRESS, "a MultiAddr is for a TCP hop and local ones behind it")
    try:
        host, _, port = route[0].value.decode().rpartition(":")
        workers = tuple(Component("service", hop.value.decode()) for hop in route[1:])
        address = (Component(*_host(host, resolved=resolved)), Component("tcp", str(_port(port))), *workers)
        written_and_read = parse_multi_address(format_multi_address(address))
    except (ValueError, DecodeError):
        written_and_read = None
    if written_and_read is None or written_and_read != address:
        raise MisuseError(ErrorCode.BAD_ADDRESS, "a hop of the route has no form in a MultiAddr")
    return address


def _host(host: str, *, resolved: bool) -> tuple[str, str]:
    bare = host.removeprefix("[").removesuffix("]")
    if not resolved:
        return "dnsaddr", bare
    for protocol, kind in (("ip4", IPv4Address), ("ip6", IPv6Address)):
        try:
            return protocol, str(kind(bare))
        except AddressValueError:
            continue
    return "dnsaddr", bare
