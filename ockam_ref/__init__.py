"""The protocols of Ockam: a sans-IO core, and beside it a host for asyncio and a command line.

The names below are the core's public surface.  They are loaded when they are first used, so that a program pays for
what it needs: ``ockam-ref --help`` loads no cryptography.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ockam_ref.channels.initiator import SecureChannel
    from ockam_ref.channels.listener import SecureChannelListener
    from ockam_ref.channels.trust import AllTrust, AnyTrust, TrustEveryone, TrustIdentifier, TrustIdentifiers
    from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, OckamError, PeerError, VerificationError
    from ockam_ref.identities.credentials import VerifiedCredential, issue_credential, verify_credential
    from ockam_ref.identities.identifier import Identifier, parse_identifier
    from ockam_ref.identities.local import LocalIdentity, create_local_identity
    from ockam_ref.links.connector import Connector
    from ockam_ref.links.link_listener import LinkListener
    from ockam_ref.links.node_link import NodeLink
    from ockam_ref.machine import Mailbox, Now
    from ockam_ref.node import Node
    from ockam_ref.portals.inlet import Inlet
    from ockam_ref.portals.outlet import Outlet
    from ockam_ref.relays.remote import RemoteRelay
    from ockam_ref.relays.service import RelayService
    from ockam_ref.wire.address import Address, local, parse_address
    from ockam_ref.wire.local_message import LocalMessage
    from ockam_ref.wire.route import Route, format_route, parse_route
    from ockam_ref.workers.application import Application
    from ockam_ref.workers.echo import Echo
    from ockam_ref.workers.hop import Hop
    from ockam_ref.workers.uppercase import Uppercase

__all__ = [
    "Address",
    "AllTrust",
    "AnyTrust",
    "Application",
    "Connector",
    "DecodeError",
    "Echo",
    "ErrorCode",
    "Hop",
    "Identifier",
    "Inlet",
    "LinkListener",
    "LocalIdentity",
    "LocalMessage",
    "Mailbox",
    "MisuseError",
    "Node",
    "NodeLink",
    "Now",
    "OckamError",
    "Outlet",
    "PeerError",
    "RelayService",
    "RemoteRelay",
    "Route",
    "SecureChannel",
    "SecureChannelListener",
    "TrustEveryone",
    "TrustIdentifier",
    "TrustIdentifiers",
    "Uppercase",
    "VerificationError",
    "VerifiedCredential",
    "create_local_identity",
    "format_route",
    "issue_credential",
    "local",
    "parse_address",
    "parse_identifier",
    "parse_route",
    "verify_credential",
]

_HOMES: Final = {
    "channels.initiator": ("SecureChannel",),
    "channels.listener": ("SecureChannelListener",),
    "channels.trust": ("AllTrust", "AnyTrust", "TrustEveryone", "TrustIdentifier", "TrustIdentifiers"),
    "errors": ("DecodeError", "ErrorCode", "MisuseError", "OckamError", "PeerError", "VerificationError"),
    "identities.credentials": ("VerifiedCredential", "issue_credential", "verify_credential"),
    "identities.identifier": ("Identifier", "parse_identifier"),
    "identities.local": ("LocalIdentity", "create_local_identity"),
    "links.node_link": ("NodeLink",),
    "links.connector": ("Connector",),
    "links.link_listener": ("LinkListener",),
    "machine": ("Mailbox", "Now"),
    "node": ("Node",),
    "portals.inlet": ("Inlet",),
    "portals.outlet": ("Outlet",),
    "relays.remote": ("RemoteRelay",),
    "relays.service": ("RelayService",),
    "wire.address": ("Address", "local", "parse_address"),
    "wire.local_message": ("LocalMessage",),
    "wire.route": ("Route", "format_route", "parse_route"),
    "workers.application": ("Application",),
    "workers.echo": ("Echo",),
    "workers.hop": ("Hop",),
    "workers.uppercase": ("Uppercase",),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
