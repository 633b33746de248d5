"""The host of the core on asyncio: nodes, workers, channels, portals and relays for programs."""

from ockam_ref.asyncio.admitting import Access
from ockam_ref.asyncio.allocator import keep_freed_buffers
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
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.sessions import (
    Datagrams,
    InletSession,
    OutletSession,
    RelaySession,
    SessionEvent,
    Streams,
    WayLost,
    WayMoved,
    WayRestored,
)
from ockam_ref.asyncio.watching import Stream
from ockam_ref.asyncio.workers import Routed, Worker
from ockam_ref.wire.address import BLE, TCP, UDP, UDS, WS
from ockam_ref.wire.body import Cbor

__all__ = [
    "BLE",
    "TCP",
    "UDP",
    "UDS",
    "WS",
    "Access",
    "Cbor",
    "CertificateFiles",
    "Datagrams",
    "Inlet",
    "InletSession",
    "Node",
    "NodeConnection",
    "NodeListener",
    "Outlet",
    "OutletSession",
    "Puncture",
    "PunctureListener",
    "Relay",
    "RelaySession",
    "RendezvousService",
    "Routed",
    "SecureChannel",
    "SecureChannelListener",
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
