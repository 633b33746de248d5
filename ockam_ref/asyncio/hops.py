"""What people may write where a route or a flow control is wanted."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias, TypeGuard, cast

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.machine import FlowControlId
from ockam_ref.wire.address import Address, TransportType, parse_address
from ockam_ref.wire.route import Route, parse_route


class HasHop:
    """Base of the handles that stand for a hop: a connection, a channel, a worker, an outlet."""

    hop: Address
    """The local address that routes go through."""


class HasFlowControl(Protocol):
    """A handle whose messages from outside may be let in: a listener, a connection, a channel."""

    @property
    def flow_control_id(self) -> FlowControlId:
        """The id to be a consumer of."""


Hop: TypeAlias = Address | str | tuple[TransportType, str] | HasHop
RouteLike: TypeAlias = Hop | Sequence[Hop]
"""One hop, a text such as ``a => b``, or several hops."""

Flow: TypeAlias = FlowControlId | HasFlowControl


def to_address(hop: Hop) -> Address:
    """Return the address of one hop.

    Raises:
        DecodeError: a text is not an address.
        MisuseError: it is no hop at all.
    """
    if isinstance(hop, Address):
        return hop
    if isinstance(hop, str):
        return parse_address(hop)
    if isinstance(hop, HasHop):
        return hop.hop
    if isinstance(hop, tuple):
        transport_type, value = hop
        return Address(int(transport_type), value.encode())
    raise MisuseError(ErrorCode.WRONG_TYPE, f"a {type(hop).__name__} is no hop of a route")


def to_route(route: RouteLike) -> Route:
    """Return the route; see ``to_address`` for what is raised."""
    if isinstance(route, str):
        return parse_route(route)
    if isinstance(route, Address | HasHop):
        return (to_address(route),)
    if _is_typed_hop(route):
        return (to_address(route),)
    return tuple(to_address(hop) for hop in cast("Sequence[Hop]", route))


def _is_typed_hop(route: object) -> TypeGuard[tuple[TransportType, str]]:
    """Tell a pair that begins with a transport type, which is one hop, from a route of two hops."""
    return isinstance(route, tuple) and bool(route) and isinstance(route[0], TransportType)


def to_flow_controls(consumer_of: Iterable[Flow]) -> tuple[FlowControlId, ...]:
    """Return the flow control ids that the handles stand for."""
    return tuple(flow if isinstance(flow, str) else flow.flow_control_id for flow in consumer_of)
