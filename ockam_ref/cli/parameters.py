"""The kinds of argument that several commands share; what cannot be read ends a command with exit code 2."""

from typing import Final

import click

from ockam_ref.errors import DecodeError, OckamError
from ockam_ref.identities.identifier import Identifier, parse_identifier
from ockam_ref.policies.policy import Policy
from ockam_ref.relays.names import MAX_NAME_BYTES, is_relay_name
from ockam_ref.relays.service import REGISTER
from ockam_ref.wire.address import Address, parse_address
from ockam_transports.host_port import parse_host_port

NO_CHANNEL_WARNING: Final = (
    "--no-channel: NOTHING IS ENCRYPTED AND NOBODY IS AUTHENTICATED. Whoever is on the way, the hub among them, can "
    "read and change every byte. It exists for the first two examples only."
)


class HostPortType(click.ParamType[str]):
    """``HOST:PORT``, kept as text."""

    name = "HOST:PORT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no socket can use."""
        try:
            parse_host_port(value)
        except OckamError as error:
            self.fail(f"{error}; write it as 127.0.0.1:4000", param, ctx)
        return value


class IdentifierType(click.ParamType[Identifier]):
    """``I`` and 64 hexadecimal digits."""

    name = "IDENTIFIER"

    def convert(self, value: str | Identifier, param: click.Parameter | None, ctx: click.Context | None) -> Identifier:
        """Read the identifier that an outlet printed."""
        if isinstance(value, Identifier):
            return value
        try:
            return parse_identifier(value)
        except DecodeError as error:
            self.fail(f"{error}; copy the identifier that the outlet printed", param, ctx)


class AddressType(click.ParamType[Address]):
    """The address of a worker, for instance ``outlet``."""

    name = "ADDRESS"

    def convert(self, value: str | Address, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read an address in the notation of routes."""
        if isinstance(value, Address):
            return value
        try:
            return parse_address(value)
        except DecodeError as error:
            self.fail(str(error), param, ctx)


class RelayNameType(click.ParamType[str]):
    """The name of a node on a hub."""

    name = "NAME"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no hub takes."""
        if not is_relay_name(value) or value == REGISTER:
            self.fail(f"a name has 1 to {MAX_NAME_BYTES} bytes, no '#', and is not '{REGISTER}'", param, ctx)
        return value


class PolicyType(click.ParamType[Policy]):
    """A rule, ``role=admin and not suspended`` or ``(= subject.role "admin")``."""

    name = "EXPRESSION"

    def convert(self, value: str | Policy, param: click.Parameter | None, ctx: click.Context | None) -> Policy:
        """Read the rule, or show the place where it cannot be read."""
        if isinstance(value, Policy):
            return value
        from ockam_ref.policies.parsing import parse_policy

        try:
            return parse_policy(value)
        except DecodeError as error:
            self.fail(str(error), param, ctx)


HOST_PORT: Final = HostPortType()
IDENTIFIER: Final = IdentifierType()
ADDRESS: Final = AddressType()
RELAY_NAME: Final = RelayNameType()
POLICY: Final = PolicyType()

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
outlet_address = click.option(
    "--outlet", "outlet_address", type=ADDRESS, default="outlet", show_default=True, help="The outlet's worker address."
)
channel_listener = click.option(
    "--channel-listener",
    type=ADDRESS,
    default="api",
    show_default=True,
    help="The secure channel listener's worker address.",
)
static_forwarding_service = click.option(
    "--static-forwarding-service",
    type=ADDRESS,
    default="static_forwarding_service",
    show_default=True,
    help="The worker address at which nodes register a name with the hub.",
)
no_channel = click.option(
    "--no-channel", is_flag=True, help="No secure channel: nothing is encrypted, nobody is authenticated."
)
