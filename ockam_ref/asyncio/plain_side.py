"""TLS at the plain side of a portal: each inlet and outlet that speaks it has a transport with settings of its own."""

from collections.abc import Callable
from dataclasses import replace
from ssl import SSLContext
from typing import Final

from ockam_ref.asyncio.driver import Driver
from ockam_ref.asyncio.handles import Outlet
from ockam_ref.observations import ConnectionClosed
from ockam_ref.portals import inlet, outlet
from ockam_ref.portals.connection import Side
from ockam_ref.wire.address import Address
from ockam_transports.base import Listener
from ockam_transports.tls import TlsTransport

_NOT_BEGUN: Final = "a client shook no hands: "


def start_over_tls(driver: Driver, config: outlet.Outlet, client: SSLContext) -> Outlet:
    """Start an outlet that speaks TLS with its target."""
    transport = driver.transports.keep(lambda host: TlsTransport(host, client=client))
    try:
        worker = driver.start(replace(config, transport=transport))
    except BaseException:
        driver.transports.forget(transport)
        raise
    return Outlet(driver, worker, transport)


async def listen_over_tls(
    driver: Driver, config: inlet.Inlet, address: str, server: Callable[[], SSLContext]
) -> tuple[Address, Listener]:
    """Start an inlet whose clients speak TLS with it; who does not is reported."""

    def refused(reason: str) -> None:
        detail = _NOT_BEGUN + reason
        driver.watching.report(ConnectionClosed(worker, worker, Side.INLET, detail, 0, 0, opened=False, answered=True))

    transport = driver.transports.keep(lambda host: TlsTransport(host, server=server, refused=refused))
    try:
        worker, listener = await driver.listen(config, address, transport)
    finally:  # the listening socket has all that it needs
        driver.transports.forget(transport)
    return worker, listener
