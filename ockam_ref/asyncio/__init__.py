"""The host of the core on asyncio: nodes, workers, channels, portals and relays for programs.

What only some nodes need is loaded when it is first used: the state of a user, and what has to do with credentials.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ockam_ref.asyncio.admitting import Access
from ockam_ref.asyncio.allocator import keep_freed_buffers
from ockam_ref.asyncio.carried import Datagrams, Streams
from ockam_ref.asyncio.certificates import CertificateFiles, trust_for_tls
from ockam_ref.asyncio.handles import (
    Inlet,
    NodeConnection,
    NodeListener,
    Outlet,
    Puncture,
    PunctureListener,
    Relay,
    RendezvousService,
    SecureChannel,
    SecureChannelListener,
    Service,
    SteadyLink,
    SteadyListener,
    UdpBind,
    UdpInlet,
    WorkerHandle,
)
from ockam_ref.asyncio.inlet_session import InletSession
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.outlet_session import OutletSession, RelaySession
from ockam_ref.asyncio.session import SessionEvent, WayLost, WayMoved, WayRestored
from ockam_ref.asyncio.watching import Stream
from ockam_ref.asyncio.workers import Routed, Worker
from ockam_ref.wire.address import BLE, TCP, UDP, UDS, WS
from ockam_ref.wire.body import Cbor

if TYPE_CHECKING:
    from ockam_ref.asyncio.credentials import CachedRetriever, RemoteRetriever
    from ockam_ref.asyncio.home import Home
    from ockam_ref.asyncio.issuers import Issuer
    from ockam_ref.asyncio.retrieving import MemoryRetriever
    from ockam_ref.asyncio.secure_client import RequestError, SecureClient

__all__ = [
    "BLE",
    "TCP",
    "UDP",
    "UDS",
    "WS",
    "Access",
    "CachedRetriever",
    "Cbor",
    "CertificateFiles",
    "Datagrams",
    "Home",
    "Inlet",
    "InletSession",
    "Issuer",
    "MemoryRetriever",
    "Node",
    "NodeConnection",
    "NodeListener",
    "Outlet",
    "OutletSession",
    "Puncture",
    "PunctureListener",
    "Relay",
    "RelaySession",
    "RemoteRetriever",
    "RendezvousService",
    "RequestError",
    "Routed",
    "SecureChannel",
    "SecureChannelListener",
    "SecureClient",
    "Service",
    "SessionEvent",
    "SteadyLink",
    "SteadyListener",
    "Stream",
    "Streams",
    "UdpBind",
    "UdpInlet",
    "WayLost",
    "WayMoved",
    "WayRestored",
    "Worker",
    "WorkerHandle",
    "keep_freed_buffers",
    "trust_for_tls",
]

_HOMES: Final = {
    "credentials": ("CachedRetriever", "RemoteRetriever"),
    "home": ("Home",),
    "issuers": ("Issuer",),
    "retrieving": ("MemoryRetriever",),
    "secure_client": ("RequestError", "SecureClient"),
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
