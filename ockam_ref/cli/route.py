"""``ockam-ref route``: an experiment with a route of many hops."""

import json
from pathlib import Path
from typing import TextIO

import click

from ockam_ref.cli import parameters
from ockam_ref.cli.output import Output, warn
from ockam_ref.cli.parameters import NO_CHANNEL_WARNING
from ockam_ref.cli.running import run
from ockam_ref.errors import OckamError
from ockam_ref.lab.description import parse_description
from ockam_ref.lab.experiment import Load, run_experiment
from ockam_ref.lab.report import as_json as report_as_json
from ockam_ref.lab.report import table


@click.command()
@click.argument("description")
def route(description: str) -> None:
    """Build a route."""
    output = Output(as_json=False)

    async def main() -> None:
        report = await run_experiment(parse_description(description), Load())
        output.event("route", table(report))

    run(output, main)
