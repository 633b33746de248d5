"""``ockam-ref send``: one text along a route, one reply."""

import click

from ockam_ref.asyncio import Node
from ockam_ref.cli import parameters
from ockam_ref.cli.output import Output
from ockam_ref.cli.running import run
from ockam_ref.errors import DecodeError
from ockam_ref.wire.address import TransportType
from ockam_ref.wire.route import Route, parse_route


@click.command()
@click.argument("route")
@click.argument("text")
@click.option("--timeout", default=10.0, metavar="SECONDS", show_default=True, help="How long to wait for the reply.")
@parameters.as_json
def send(*, route: str, text: str, timeout: float, as_json: bool) -> None:
    """Send TEXT along ROUTE and print the reply.

    A route is written hop by hop, the first one a TCP address:

        ockam-ref send '1#127.0.0.1:4000 => uppercase' 'hello'
    """
    output = Output(as_json=as_json)
    try:
        hops = parse_route(route)
    except DecodeError as error:
        raise click.BadParameter(str(error), param_hint="ROUTE") from None
    if len(hops) < 2 or hops[0].transport_type != TransportType.TCP:
        message = "it begins with a TCP hop and ends with a worker, for instance '1#127.0.0.1:4000 => echo'"
        raise click.BadParameter(message, param_hint="ROUTE")
    run(lambda: _send(output, hops, text, timeout))


async def _send(output: Output, hops: Route, text: str, timeout: float) -> None:  # noqa: ASYNC109  # passed on
    async with Node.create() as node:
        connection = await node.tcp_connect(hops[0].value.decode(errors="replace"), timeout=timeout)
        reply = await node.send_and_receive((connection, *hops[1:]), text, timeout=timeout)
        body = reply.body(str)
        output.event("reply", body, text=body)
