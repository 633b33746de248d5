"""The command ``ockam-ref``: every subcommand is imported only when it is used, so that ``--help`` stays quick."""

import signal
import sys
from importlib import import_module
from typing import Any, Final, NoReturn

import click

COMMANDS: Final = {
    "hub": "Run a hub: others meet here, and it sees only ciphertext.",
    "outlet": "Make a TCP service reachable through a hub or a listener.",
    "inlet": "Open a local port that leads to an outlet.",
    "udp-outlet": "Make a UDP service reachable through a hub or a listener.",
    "udp-inlet": "Open a local UDP port that leads to a UDP outlet.",
    "rendezvous": "Tell nodes behind NATs their public addresses.",
    "identity": "Make and keep who you are, and get to know others.",
    "authority": "Run the authority of a project: it makes members, and says what they may be.",
    "project": "Make and use tickets, look after the members of a project.",
    "policy": "Say who may use what: create, list, show, delete rules, and check them.",
    "node": "Run what a recipe says: outlets, relays, inlets and their rules in one process.",
    "send": "Send a text along a route and print the reply.",
    "route": "Build a route of many hops, use it and measure each of them.",
    "passphrase": "Seal the secret keys on this machine with a passphrase.",
    "transports": "List the transports that are installed, and from where.",
    "demo": "Watch a request cross an encrypted portal, in ten seconds.",
}


class LateGroup(click.Group):
    """A group that knows the names and one-line helps of its commands without importing them."""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  # click's signature
        """Run; until an event loop takes over, Ctrl-C and SIGTERM end the process with exit code 0."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)
        return super().main(*args, **options)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the commands in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of the command and return what it defines."""
        if cmd_name not in COMMANDS:
            return None
        module = cmd_name.replace("-", "_")
        command = getattr(import_module(f"ockam_ref.cli.{module}"), module)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _leave(*_: object) -> NoReturn:
    sys.exit(0)


@click.command(cls=LateGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ockam-ref", prog_name="ockam-ref")
def main() -> None:
    """Encrypted, mutually authenticated tunnels and messages over routes of many hops."""
