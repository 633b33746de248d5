"""Every kind of worker that a node can start, by the class of its configuration: one line a module.

Who has a configuration has imported its module, and the machine is in the same one: so the registry imports nothing
itself, and a program pays for the machines that it uses.
"""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from ockam_ref.machine import AnyMachine

_HOMES: Final[Mapping[str, Mapping[str, str]]] = {
    # module of ockam_ref: configuration, and the name of its machine
    "channels.initiator": {"SecureChannel": "MACHINE"},
    "channels.listener": {"SecureChannelListener": "MACHINE"},
    "channels.responder": {"Responder": "MACHINE"},
    "links.connector": {"Connector": "MACHINE"},
    "links.datagram_connector": {"DatagramConnector": "MACHINE"},
    "links.link_listener": {"LinkListener": "MACHINE"},
    "links.node_link": {"NodeLink": "MACHINE"},
    "links.typed_hop": {"TypedHop": "MACHINE"},
    "links.udp_endpoint": {"UdpEndpoint": "MACHINE"},
    "links.udp_source": {"UdpSource": "MACHINE"},
    "portals.inlet": {"Inlet": "INLET", "InletConnection": "CONNECTION"},
    "portals.outlet": {"Outlet": "OUTLET", "OutletConnection": "CONNECTION"},
    "portals.udp_inlet": {"UdpInlet": "INLET", "UdpInletSession": "SESSION"},
    "portals.udp_outlet": {"UdpOutlet": "OUTLET", "UdpOutletSession": "SESSION"},
    "puncture.initiator": {"Puncture": "MACHINE"},
    "puncture.listener": {"PunctureListener": "MACHINE"},
    "puncture.rendezvous_service": {"RendezvousService": "MACHINE"},
    "puncture.responder": {"PunctureResponder": "MACHINE"},
    "relays.relay": {"Relay": "MACHINE"},
    "relays.remote": {"RemoteRelay": "MACHINE"},
    "relays.service": {"RelayService": "MACHINE"},
    "steady.initiator": {"SteadyLink": "MACHINE"},
    "steady.listener": {"SteadyListener": "MACHINE"},
    "steady.responder": {"SteadyResponder": "MACHINE"},
    "workers.application": {"Application": "MACHINE"},
    "workers.echo": {"Echo": "MACHINE"},
    "workers.hop": {"Hop": "MACHINE"},
    "workers.uppercase": {"Uppercase": "MACHINE"},
}
_PACKAGE: Final = "ockam_ref."


class _Registry(Mapping[type[Any], AnyMachine]):
    """The machines by their configurations; only who lists them all loads them all."""

    def __getitem__(self, kind: type[Any]) -> AnyMachine:
        module = kind.__module__
        home = _HOMES.get(module.removeprefix(_PACKAGE)) if module.startswith(_PACKAGE) else None
        if home is None or kind.__name__ not in home:
            raise KeyError(kind)
        machine: AnyMachine = getattr(sys.modules[module], home[kind.__name__])
        return machine

    def __iter__(self) -> Iterator[type[Any]]:
        for module, home in _HOMES.items():
            loaded = import_module(_PACKAGE + module)
            yield from (getattr(loaded, name) for name in home)

    def __len__(self) -> int:
        return sum(map(len, _HOMES.values()))


MACHINES: Final[Mapping[type[Any], AnyMachine]] = _Registry()
