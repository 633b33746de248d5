"""``ockam-ref udp-inlet``: open a local UDP port that leads to an outlet for datagrams."""

from typing import Any

import click

from ockam_ref.asyncio.carried import Datagrams
from ockam_ref.cli import parameters
from ockam_ref.cli.output import Output
from ockam_ref.cli.portals import PortalKind, idle_timeout, inlet_options, run_inlet


@click.command("udp-inlet")
@inlet_options
@idle_timeout
@parameters.as_json
def udp_inlet(*, idle_timeout: float, as_json: bool, **options: Any) -> None:  # noqa: ANN401  # ``InletOptions``
    """Open the local UDP port LISTEN (HOST:PORT); what is sent to it reaches the target of a UDP outlet.

    The outlet is found either at a hub, under the forwarding address that it printed, or at its own listener.
    """
    kind = PortalKind("udp-inlet", lambda: Datagrams(idle_timeout))
    run_inlet(Output(as_json=as_json), kind, options)
