"""Which policy guards what."""

import pytest

from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.policy import HAS_CREDENTIAL
from ockam_ref.policies.resources import Policies, Resource, ResourceType

OUTLET = Resource("db", ResourceType.TCP_OUTLET)


@pytest.mark.spec("POL-40")
def test_the_name_wins_over_the_type() -> None:
    policies = Policies()
    assert policies.find(OUTLET) is None
    policies.set_for_type(ResourceType.TCP_OUTLET, HAS_CREDENTIAL)
    assert policies.find(OUTLET) is HAS_CREDENTIAL
    assert policies.find(Resource("db", ResourceType.TCP_INLET)) is None
    own = parse_policy("role=admin")
    policies.set_for_resource("db", own)
    assert policies.find(OUTLET) is own
    assert (dict(policies.of_names), dict(policies.of_types)) == ({"db": own}, {"tcp-outlet": HAS_CREDENTIAL})
    policies.remove_for_resource("db")
    policies.remove_for_resource("db")
    assert policies.find(OUTLET) is HAS_CREDENTIAL
    policies.remove_for_type(ResourceType.TCP_OUTLET)
    policies.remove_for_type(ResourceType.TCP_OUTLET)
    assert policies.find(OUTLET) is None


@pytest.mark.spec("POL-40")
def test_behind_both_stands_a_default() -> None:
    policies, default = Policies(), parse_policy("role=member")
    policies.set_default(ResourceType.TCP_OUTLET, default)
    assert policies.find(OUTLET) is default
    policies.set_for_type(ResourceType.TCP_OUTLET, HAS_CREDENTIAL)
    assert policies.find(OUTLET) is HAS_CREDENTIAL
    policies.remove_for_type(ResourceType.TCP_OUTLET)
    assert policies.find(OUTLET) is default
    assert policies.find(Resource("db", ResourceType.RELAY)) is None


@pytest.mark.spec("POL-41")
def test_names_and_numbers_of_the_types() -> None:
    names = ["tcp-inlet", "tcp-outlet", "echoer", "kafka-consumer", "kafka-producer", "relay", "lessor"]
    assert [(str(one), one.cbor_number) for one in ResourceType] == list(zip(names, range(1, 8), strict=True))
