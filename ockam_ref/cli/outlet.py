"""``ockam-ref outlet``: make a TCP service reachable."""

from typing import Any

import click

from ockam_ref.asyncio.sessions import STREAMS
from ockam_ref.cli import parameters
from ockam_ref.cli.output import Output
from ockam_ref.cli.portals import OutletOptions, PortalKind, outlet_options, run_outlet


@click.command()
@outlet_options
@parameters.as_json
def outlet(*, as_json: bool, **options: Any) -> None:  # noqa: ANN401  # those of ``OutletOptions``
    """Make the TCP service at TARGET (HOST:PORT) reachable, through a hub or at a listener of our own.

    It prints its identifier, which is who it is, and with a hub its forwarding address, which is where it is; an inlet
    needs both.
    """
    run_outlet(Output(as_json=as_json), PortalKind("outlet", STREAMS), OutletOptions(**options))
