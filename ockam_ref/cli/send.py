"""``ockam-ref send``: one text along a route, one reply."""

import asyncio

import click

from ockam_ref.asyncio import Node, Stream
from ockam_ref.cli import explaining, parameters
from ockam_ref.cli.output import Output
from ockam_ref.cli.parameters import HOST_PORT
from ockam_ref.cli.running import advising, run
from ockam_ref.errors import DecodeError, ErrorCode, OckamError
from ockam_ref.observations import LinkLost, Observation
from ockam_ref.wire.address import TransportType
from ockam_ref.wire.route import Route, parse_route


@click.command()
@click.argument("route")
@click.argument("text")
@click.option("--timeout", default=10.0, metavar="SECONDS", show_default=True, help="How long to wait for the reply.")
@explaining.option
@parameters.as_json
def send(*, route: str, text: str, timeout: float, explain: bool, as_json: bool) -> None:
    """Send TEXT along ROUTE and print the reply.

    A route is written hop by hop.  A number and # say over which transport a node is reached, 1# for TCP; 'ockam-ref
    transports' lists the others:

        ockam-ref send '1#127.0.0.1:4000 => uppercase' 'hello'
    """
    output = Output(as_json=as_json)
    try:
        hops = parse_route(route)
    except DecodeError as error:
        raise click.BadParameter(str(error), param_hint="ROUTE") from None
    if len(hops) < 2 or hops[0].is_local:
        message = "it begins with a node and ends with a worker, for instance '1#127.0.0.1:4000 => echo'"
        raise click.BadParameter(message, param_hint="ROUTE")
    if hops[0].transport_type == TransportType.TCP:
        HOST_PORT.convert(hops[0].value.decode(errors="replace"), None, None)
    run(output, lambda: _send(output, hops, text, timeout, explain=explain))


async def _send(
    output: Output,
    hops: Route,
    text: str,
    timeout: float,  # noqa: ASYNC109  # passed on
    *,
    explain: bool,
) -> None:
    advice = {ErrorCode.LINK_FAILED: "Is there a node, and is its address right?"}
    async with Node.create() as node, explaining.explaining(node, output, wanted=explain):
        lost = asyncio.ensure_future(_first_loss(node.observe()))
        request = asyncio.ensure_future(node.send_and_receive(hops, text, timeout=timeout))
        with advising(advice):
            await asyncio.wait((request, lost), return_when=asyncio.FIRST_COMPLETED)
            if not request.done():
                raise OckamError(ErrorCode.CLOSED, f"no reply: the connection to {hops[0]} is lost: {lost.result()}")
            body = request.result().body(str)
        output.event("reply", body, text=body)


async def _first_loss(observations: Stream[Observation]) -> str:
    async for observation in observations:
        if isinstance(observation, LinkLost):
            return observation.reason
    return "the node stopped"
