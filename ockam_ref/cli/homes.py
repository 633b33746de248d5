"""Commands that work on the user's state."""

from collections.abc import Awaitable, Callable

from ockam_ref.asyncio.home import Home
from ockam_ref.cli.output import Output
from ockam_ref.cli.running import run


def run_at_home(work: Callable[[Home, Output], Awaitable[None]], *, as_json: bool) -> None:
    """Run a command with the state of the user, to its end."""
    output = Output(as_json=as_json)

    async def main() -> None:
        async with await Home.open() as home:
            await work(home, output)

    run(output, main)
