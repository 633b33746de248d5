"""What policies guard, and which of them guards what (facts 06 sections 5.1 and 5.8)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from ockam_ref.policies.policy import Policy


class ResourceType(StrEnum):
    """The kinds of resources that the peer knows, with its names."""

    TCP_INLET = "tcp-inlet"
    TCP_OUTLET = "tcp-outlet"
    ECHOER = "echoer"
    KAFKA_CONSUMER = "kafka-consumer"
    KAFKA_PRODUCER = "kafka-producer"
    RELAY = "relay"
    LESSOR = "lessor"

    @property
    def cbor_number(self) -> int:
        """The number that stands for it in CBOR."""
        return tuple(ResourceType).index(self) + 1


class Resource(NamedTuple):
    """Something of this node that a message may reach, or that sends one."""

    name: str
    type: ResourceType


class Policies:
    """The table of one node, edited in place; the policy of a name wins over that of the type.

    Behind both stands a default for each type, for resources that nobody has given a policy.
    """

    __slots__ = ("_defaults", "_of_names", "_of_types")

    def __init__(self) -> None:
        self._defaults: dict[ResourceType, Policy] = {}
        self._of_names: dict[str, Policy] = {}
        self._of_types: dict[ResourceType, Policy] = {}

    @property
    def of_names(self) -> Mapping[str, Policy]:
        """The policies of single resources, by their names."""
        return self._of_names

    @property
    def of_types(self) -> Mapping[ResourceType, Policy]:
        """The policies of all resources of a type that have none of their own."""
        return self._of_types

    def set_for_resource(self, name: str, policy: Policy) -> None:
        """Guard the resource with that name, in place of what guarded it."""
        self._of_names[name] = policy

    def set_for_type(self, resource_type: ResourceType, policy: Policy) -> None:
        """Guard all resources of that type that have no policy of their own."""
        self._of_types[resource_type] = policy

    def remove_for_resource(self, name: str) -> None:
        """Forget the policy of that resource; there may be none."""
        self._of_names.pop(name, None)

    def remove_for_type(self, resource_type: ResourceType) -> None:
        """Forget the policy of that type; there may be none."""
        self._of_types.pop(resource_type, None)

    def set_default(self, resource_type: ResourceType, policy: Policy) -> None:
        """Guard the resources of that type that have no policy at all, in place of refusing everybody."""
        self._defaults[resource_type] = policy

    def find(self, resource: Resource) -> Policy | None:
        """Return the policy that guards the resource; where there is none, nobody may."""
        found = self._of_names.get(resource.name) or self._of_types.get(resource.type)
        return found or self._defaults.get(resource.type)
