"""What the peer's recipes may say and ours do not, and what to do instead."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_CLOUD: Final = "belongs to the peer's cloud product; leave it out"
_KAFKA: Final = "needs Kafka portals, which are not here; leave it out"
_INFLUXDB: Final = "needs InfluxDB portals, which are not here; leave it out"
_HTTP: Final = "is the peer's status page, which a node of ours does not have; leave it out"
_REPAIRED: Final = "is not needed: what a recipe opens is tried again until it is there; leave it out"
_EBPF: Final = "needs a part of the kernel that is not used here; leave it out"
_RENDEZVOUS: Final = "needs a rendezvous service, which a recipe cannot name; use 'ockam-ref inlet --rendezvous'"

OF_RECIPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "kafka-inlet": _KAFKA,
        "kafka-outlet": _KAFKA,
        "influxdb-inlet": _INFLUXDB,
        "influxdb-inlets": _INFLUXDB,
        "influxdb-outlet": _INFLUXDB,
        "influxdb-outlets": _INFLUXDB,
        "http-server": _HTTP,
        "enable-http-server": _HTTP,
        "http-server-port": _HTTP,
        "launch-config": _CLOUD,
        "opentelemetry-context": _CLOUD,
        "child-process": "is the peer's own business; leave it out",
        "skip-is-running-check": "has no meaning here: a node is a process, and nobody registers it; leave it out",
        "vaults": "is not needed: keys are kept in the state folder; leave it out",
        "vault": "is not needed: keys are kept in the state folder; leave it out",
        "identities": "belongs to 'run' of the peer; write 'identity: NAME', which is made if it is not there",
        "nodes": "belongs to 'run' of the peer; a recipe is one node, so write 'name: NAME'",
        "node": "belongs to 'run' of the peer; a recipe is one node, so write 'name: NAME'",
    }
)
"""Keys of the whole recipe."""

OF_INLETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "connection-wait": _REPAIRED,
        "retry-wait": _REPAIRED,
        "timeout": _REPAIRED,
        "no-connection-wait": _REPAIRED,
        "udp": _RENDEZVOUS,
        "no-tcp-fallback": _RENDEZVOUS,
        "ebpf": _EBPF,
        "tls-certificate-provider": _CLOUD,
        "tls": "asks the peer's cloud for a certificate; write 'tls-certificate: FILE' and 'tls-key: FILE'",
    }
)
"""Arguments of inlets."""

OF_OUTLETS: Final[Mapping[str, str]] = MappingProxyType({"ebpf": _EBPF})
"""Arguments of outlets."""

OF_RELAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no-connection-wait": _REPAIRED,
        "retry-count": _REPAIRED,
        "retry-delay": _REPAIRED,
        "no-retry": _REPAIRED,
        "project-relay": "is a name that the peer gave up; write 'at: HOST:PORT', the hub",
    }
)
"""Arguments of relays."""
