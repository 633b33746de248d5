"""``ockam-ref inlet``: open a local port that leads to an outlet."""

from pathlib import Path
from typing import Any

import click

from ockam_ref.asyncio.carried import STREAMS, Streams
from ockam_ref.cli import parameters
from ockam_ref.cli.ourselves import readable_file
from ockam_ref.cli.output import Output, warn
from ockam_ref.cli.portals import PortalKind, inlet_options, run_inlet


@click.command()
@inlet_options
@readable_file("--tls-certificate", "Speak TLS with clients, and show them the certificate chain in this PEM file.")
@readable_file("--tls-key", "Its private key, a PEM file; both are read again when they change.")
@parameters.as_json
def inlet(
    *,
    tls_certificate: Path | None,
    tls_key: Path | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401  # ``InletOptions``
) -> None:
    """Open the local port LISTEN (HOST:PORT); what connects to it talks to the target of an outlet.

    The outlet is found either at a hub, under the forwarding address that it printed, or at its own listener.
    """
    if (tls_certificate is None) != (tls_key is None):
        message = "--tls-certificate and --tls-key belong together"
        raise click.UsageError(message)

    def carrying() -> Streams:
        if tls_certificate is None or tls_key is None:
            return STREAMS
        from ockam_ref.asyncio.certificates import CertificateFiles

        return Streams(server_tls=CertificateFiles(tls_certificate, tls_key, warn=warn))

    run_inlet(Output(as_json=as_json), PortalKind("inlet", carrying), options)
