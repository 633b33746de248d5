"""``ockam-ref inlet``: open a local port that leads to an outlet."""

from typing import Any

import click

from ockam_ref.asyncio.sessions import STREAMS
from ockam_ref.cli import parameters
from ockam_ref.cli.output import Output
from ockam_ref.cli.portals import InletOptions, PortalKind, inlet_options, run_inlet


@click.command()
@inlet_options
@parameters.as_json
def inlet(*, as_json: bool, **options: Any) -> None:  # noqa: ANN401  # those of ``InletOptions``
    """Open the local port LISTEN (HOST:PORT); what connects to it talks to the target of an outlet.

    The outlet is found either at a hub, under the forwarding address that it printed, or at its own listener.
    """
    run_inlet(Output(as_json=as_json), PortalKind("inlet", STREAMS), InletOptions(**options))
