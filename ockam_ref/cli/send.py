"""``ockam-ref send``: one text along a route, one reply."""

import asyncio

import click

from ockam_ref.asyncio import Node
from ockam_ref.cli import parameters
from ockam_ref.cli.output import Output
from ockam_ref.cli.parameters import HOST_PORT
from ockam_ref.cli.running import advising, run
from ockam_ref.errors import DecodeError, ErrorCode, OckamError
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
    node = HOST_PORT.convert(hops[0].value.decode(errors="replace"), None, None)
    run(output, lambda: _send(output, node, hops, text, timeout))


async def _send(output: Output, address: str, hops: Route, text: str, timeout: float) -> None:  # noqa: ASYNC109  # passed on
    advice = {ErrorCode.LINK_FAILED: "Is there a node, and is its address right?"}
    async with Node.create() as node:
        with advising(advice):
            connection = await node.tcp_connect(address, timeout=timeout)
        request = asyncio.ensure_future(node.send_and_receive((connection, *hops[1:]), text, timeout=timeout))
        ended = asyncio.ensure_future(connection.wait_closed())
        await asyncio.wait((request, ended), return_when=asyncio.FIRST_COMPLETED)
        if not request.done():
            raise OckamError(ErrorCode.CLOSED, f"no reply: the connection to {address} is lost: {ended.result()}")
        body = request.result().body(str)
        output.event("reply", body, text=body)
