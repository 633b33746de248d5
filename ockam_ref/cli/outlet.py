"""``ockam-ref outlet``: make a TCP service reachable."""

from pathlib import Path
from typing import Any

import click

from ockam_ref.asyncio.carried import STREAMS, Streams
from ockam_ref.cli import parameters
from ockam_ref.cli.ourselves import readable_file
from ockam_ref.cli.output import Output
from ockam_ref.cli.portals import PortalKind, outlet_options, run_outlet


@click.command()
@outlet_options
@click.option("--tls", is_flag=True, help="Speak TLS with TARGET, whose certificate the system must trust.")
@readable_file("--tls-ca", "Speak TLS with TARGET, and trust the certificates in this PEM file only.")
@parameters.as_json
def outlet(*, tls: bool, tls_ca: Path | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401  # ``OutletOptions``
    """Make the TCP service at TARGET (HOST:PORT) reachable, through a hub or at a listener of our own.

    It prints its identifier, which is who it is, and with a hub its forwarding address, which is where it is; an inlet
    needs both.
    """

    def carrying() -> Streams:
        if not tls and tls_ca is None:
            return STREAMS
        from ockam_ref.asyncio.certificates import trust_for_tls

        return Streams(client_tls=trust_for_tls(tls_ca))

    run_outlet(Output(as_json=as_json), PortalKind("outlet", carrying), options)
