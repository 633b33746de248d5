"""The part of a node that finds direct paths: rendezvous, punctures, and links that outlive the path under them."""

from collections.abc import Iterable
from time import monotonic

from ockam_ref.asyncio.handles import (
    Puncture,
    PunctureListener,
    RendezvousService,
    SteadyLink,
    SteadyListener,
)
from ockam_ref.asyncio.hops import Flow, Hop, RouteLike, to_address, to_flow_controls, to_route
from ockam_ref.asyncio.reaching import Reaching
from ockam_ref.asyncio.running import fresh_flow_control_id
from ockam_ref.observations import (
    PunctureNegotiated,
    SteadyLinkMoved,
)
from ockam_ref.puncture.ends import ANY_ADDRESS
from ockam_ref.puncture.limits import ACKNOWLEDGE_TIMEOUT_S, RENDEZVOUS_TIMEOUT_S
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl
from ockam_ref.steady.limits import OPEN_TIMEOUT_S
from ockam_ref.wire.address import UDP, Address, local
from ockam_ref.wire.route import Route, format_route
from ockam_transports.host_port import parse_host_port


class FindingPaths(Reaching):
    """Direct paths to nodes behind NATs."""

    # ---- punctures

    async def start_rendezvous(self, listen: str, *, address: Hop = "rendezvous") -> RendezvousService:
        """Tell nodes that ask over UDP, at ``listen`` (``host:port``), under which address their sockets are seen.

        Raises:
            OckamError: the port is taken, or not ours to take.
        """
        from ockam_ref.puncture import rendezvous_service

        bind = await self.udp_bind(listen)
        worker = rendezvous_service.RendezvousService(to_address(address), (bind.flow_control_id,))
        try:
            return RendezvousService(self._driver, self._driver.start(worker), bind)
        except BaseException:
            await bind.close()
            raise

    async def start_puncture_listener(
        self,
        *,
        rendezvous: str,
        address: Hop = "udp",
        consumer_of: Iterable[Flow] = (),
        incoming: AccessControl = ALLOW_ALL,
        bind: str = ANY_ADDRESS,
    ) -> PunctureListener:
        """Let nodes that reach ``address`` already ask for a puncture; ``rendezvous`` is that service's ``host:port``.

        Each puncture has a socket of its own, bound at ``bind``.
        """
        from ockam_ref.puncture import listener as puncture_listener

        flow = fresh_flow_control_id()
        config = puncture_listener.PunctureListener(
            to_address(address), to_rendezvous(rendezvous), flow, to_flow_controls(consumer_of), incoming, bind
        )
        return PunctureListener(self._driver, self._driver.start(config), flow)

    async def puncture(
        self,
        route: RouteLike,
        *,
        rendezvous: str,
        bind: str = ANY_ADDRESS,
        timeout: float = ACKNOWLEDGE_TIMEOUT_S,  # noqa: ASYNC109  # the core's own timer
    ) -> Puncture:
        """Negotiate a puncture with the listener at the end of the route; see its ``wait_open``.

        ``timeout`` is for the answer of the other node; the rendezvous service has three seconds before that.

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: ``TIMEOUT`` or ``REFUSED``, with the reason.
        """
        from ockam_ref.puncture import initiator as puncture_initiator

        onward = to_route(route)
        self._check_first_hop(onward)
        flow = fresh_flow_control_id()
        deadline = monotonic() + min(RENDEZVOUS_TIMEOUT_S, timeout)
        config = puncture_initiator.Puncture(onward, to_rendezvous(rendezvous), flow, bind, timeout)
        worker, life = self._driver.start_followed(config)
        failure = f"no puncture over {format_route(onward)}"
        negotiated = await self._begin(worker, life, PunctureNegotiated, failure, deadline)
        return Puncture(self._driver, life, negotiated, flow)

    # ---- steady links

    async def steady_listen(self, address: Hop = "steady", *, consumer_of: Iterable[Flow] = ()) -> SteadyListener:
        """Let nodes of ours that reach ``address``, by whichever paths, open links that outlive a path."""
        from ockam_ref.steady import listener as steady_listener

        flow = fresh_flow_control_id()
        config = steady_listener.SteadyListener(to_address(address), flow, to_flow_controls(consumer_of))
        return SteadyListener(self._driver, self._driver.start(config), flow)

    async def steady_connect(
        self,
        route: RouteLike,
        *,
        timeout: float = OPEN_TIMEOUT_S,  # noqa: ASYNC109  # the core's own timer
    ) -> SteadyLink:
        """Open a link to the steady listener at the end of the route; its ``move`` gives it another path.

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: ``TIMEOUT``, the other node did not answer.
        """
        from ockam_ref.steady import initiator as steady_initiator

        onward = to_route(route)
        self._check_first_hop(onward)
        flow = fresh_flow_control_id()
        deadline = monotonic() + timeout
        worker, life = self._driver.start_followed(steady_initiator.SteadyLink(onward, flow, timeout))
        await self._begin(worker, life, SteadyLinkMoved, f"no steady link over {format_route(onward)}", deadline)
        return SteadyLink(self._driver, worker, life, flow)


def to_rendezvous(address: str) -> Route:
    """Return the route from a UDP socket to the rendezvous service at ``host:port``."""
    parse_host_port(address)
    return (Address(UDP, address.encode()), local("rendezvous"))
