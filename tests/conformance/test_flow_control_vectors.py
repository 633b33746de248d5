"""The flow control registry, step by step and table by table, against ``flow_control.json``."""

import json
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.routing.access_control import AllowConsumers, refusal
from ockam_ref.routing.flow_controls import FlowControls, Producer
from ockam_ref.routing.knowledge import Knowledge
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage

VECTORS = Path(__file__).parent.parent / "vectors"
CASES: list[dict[str, Any]] = json.loads((VECTORS / "flow_control.json").read_text())["cases"]


def name_of(address: Address) -> str:
    return address.value.decode()


def tables(registry: FlowControls) -> dict[str, Any]:
    """Return the registry as the vectors write it."""
    return {
        "consumers": {key: sorted(map(name_of, members)) for key, members in registry.consumers.items()},
        "producers": {name_of(address): shown(producer) for address, producer in registry.producers.items()},
        "additional": {name_of(alias): name_of(owner) for alias, owner in registry.additional.items()},
        "spawners": {name_of(address): key for address, key in registry.spawners.items()},
    }


def shown(producer: Producer | None) -> dict[str, str | None] | None:
    return None if producer is None else {"id": producer.flow_control_id, "spawner": producer.spawner_id}


def allowed(registry: FlowControls, step: dict[str, Any]) -> bool:
    """Ask the way a node asks: the outgoing access control of a producer's mailbox."""
    control = AllowConsumers(step["producer_id"], step["spawner_id"])
    message = LocalMessage((local(step["next"]), local("what follows is not looked at")), (), b"")
    rule = refusal(control, local("the producer"), message, Knowledge(registry))
    assert rule in (None, "flow-control")
    return rule is None


def carry_out(registry: FlowControls, step: dict[str, Any]) -> object:
    """Carry out one step; return what its ``result`` or ``allowed`` is compared with."""
    match step:
        case {"op": "add_consumer", "address": address, "id": key}:
            registry.add_consumer(local(address), key)
        case {"op": "add_producer", "address": address, "id": key, "spawner": spawner, "additional": additional}:
            registry.add_producer(local(address), key, spawner, tuple(map(local, additional)))
        case {"op": "add_spawner", "address": address, "id": key}:
            registry.add_spawner(local(address), key)
        case {"op": "cleanup", "address": address}:
            registry.forget(local(address))
        case {"op": "find_flow_control_with_producer_address", "address": address}:
            return shown(registry.find_producer(local(address)))
        case {"op": "get_flow_control_with_producer", "address": address}:
            return shown(registry.producers.get(local(address)))
        case {"op": "get_flow_control_ids_for_consumer", "address": address}:
            return list(registry.ids_of_consumer(local(address)))
        case {"op": "check"}:
            return allowed(registry, step)
        case _:
            raise ValueError(f"unknown step {step}")
    return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"flow_control.json::{case['name']}")
@pytest.mark.spec("RT-30", "RT-31", "RT-32", "RT-33", "RT-34")
def test_flow_control_vector(case: dict[str, Any]) -> None:
    registry = FlowControls()
    for number, step in enumerate(case["steps"]):
        result = carry_out(registry, step)
        assert result == step.get("result", step.get("allowed")), (number, step)
    assert tables(registry) == case["final"]
