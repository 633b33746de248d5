"""``ockam-ref route``: an experiment with a route of many hops."""

import click

from ockam_ref.cli.output import Output
from ockam_ref.cli.running import run
from ockam_ref.lab.description import parse_description
from ockam_ref.lab.experiment import Load, run_experiment
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
