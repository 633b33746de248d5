"""``ockam-ref udp-outlet``: make a UDP service reachable."""

from typing import Any

import click

from ockam_ref.asyncio.carried import Datagrams
from ockam_ref.cli import parameters
from ockam_ref.cli.output import Output
from ockam_ref.cli.portals import PortalKind, idle_timeout, outlet_options, run_outlet


@click.command("udp-outlet")
@outlet_options
@idle_timeout
@parameters.as_json
def udp_outlet(*, idle_timeout: float, as_json: bool, **options: Any) -> None:  # noqa: ANN401  # ``OutletOptions``
    """Make the UDP service at TARGET (HOST:PORT) reachable, through a hub or at a TCP listener of our own.

    Every source that writes to an inlet gets a socket of its own here.  It prints what 'ockam-ref outlet' prints.
    """
    kind = PortalKind("udp-outlet", lambda: Datagrams(idle_timeout))
    run_outlet(Output(as_json=as_json), kind, options)
