"""``ockam-ref route``: an experiment with a route of many hops."""

from pathlib import Path
from typing import Any

import click

from ockam_ref.cli import parameters
from ockam_ref.cli.output import Output, warn
from ockam_ref.cli.parameters import NO_CHANNEL_WARNING
from ockam_ref.cli.running import run
from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.lab.description import RouteDescription, parse_description
from ockam_ref.lab.experiment import Load, run_experiment
from ockam_ref.lab.picture import picture
from ockam_ref.lab.report import RouteReport, report_fields, table


class DescriptionType(click.ParamType[RouteDescription]):
    """A description of a route, or the name of a file that holds one."""

    name = "ROUTE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RouteDescription:  # noqa: ANN401
        """Read it."""
        if isinstance(value, RouteDescription):
            return value
        text = str(value)
        try:
            if text.startswith("@"):
                text = Path(text[1:]).read_text(encoding="utf-8")
            return parse_description(text)
        except MisuseError as error:
            self.fail(str(error), param, ctx)
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"{text[1:]}: {error}", param, ctx)


@click.command()
@click.argument("route", type=DescriptionType(), metavar="ROUTE")
@click.option(
    "--bulk",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    metavar="MIB",
    help="How much is fetched through the portal.",
)
@click.option("--repeat", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Messages of each size.")
@click.option("--svg", type=click.Path(dir_okay=False), metavar="FILE", help="Draw the route with what was measured.")
@click.option("--processes", is_flag=True, help="Run every node in a process of its own.")
@parameters.no_channel
@parameters.as_json
def route(
    *,
    route: RouteDescription,
    bulk: int,
    repeat: int,
    svg: str | None,
    processes: bool,
    no_channel: bool,
    as_json: bool,
) -> None:
    """Build a route of many hops, send messages and a web page through one secure channel, and measure each hop.

    ROUTE is a line such as 'tcp > udp(loss=5%) > ble > ws > tcp', or @FILE with such lines.  A hop is a transport that
    is installed; udp takes loss, reorder, duplicate (of a hundred packets), delay, jitter and recovery=off.  Nodes may
    have names: '[laptop] tcp > [hub] udp > [server]'.  Bluetooth runs over a radio in memory.
    """
    if no_channel:
        warn(NO_CHANNEL_WARNING)
    output = Output(as_json=as_json)
    load = Load(bulk_bytes=bulk << 20, repeat=repeat, channel=not no_channel)
    run(output, lambda: _route(output, route, load, svg=svg, processes=processes))


async def _route(output: Output, route: RouteDescription, load: Load, *, svg: str | None, processes: bool) -> None:
    if processes:
        from ockam_ref.lab.processes import node_in_process

        report = await run_experiment(route, load, make_node=node_in_process, processes=len(route.nodes))
    else:
        report = await run_experiment(route, load)
    output.event("route", table(report), **report_fields(report))
    if svg is not None:
        _draw(report, svg)


def _draw(report: RouteReport, name: str) -> None:
    try:
        Path(name).write_text(picture(report), encoding="utf-8")
    except OSError as error:
        raise OckamError(ErrorCode.MISUSE, f"--svg {name}: {error.strerror}") from None
