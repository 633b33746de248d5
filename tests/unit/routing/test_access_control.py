"""Access control values, one by one and joined."""

import pytest

from ockam_ref.routing.access_control import (
    ALLOW_ALL,
    DENY_ALL,
    AccessControl,
    AllOf,
    AllowAsProducer,
    AllowConsumers,
    AllowIdentifiers,
    AllowOnward,
    AllowSources,
    AnyOf,
    refusal,
)
from ockam_ref.routing.flow_controls import FlowControls
from ockam_ref.wire.address import TCP, Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage, channel_local_info
from tests.unit.nodes import route

ALICE, BOB = b"a" * 32, b"b" * 32


def ask(
    control: AccessControl,
    *,
    source: str = "source",
    onward: str = "next more",
    back: str = "back",
    local_info: tuple[LocalInfo, ...] = (),
    flow_controls: FlowControls | None = None,
) -> str | None:
    message = LocalMessage(route(onward), route(back), b"payload", local_info)
    return refusal(control, local(source), message, flow_controls or FlowControls())


@pytest.mark.spec("RT-20")
def test_constants() -> None:
    assert ask(ALLOW_ALL) is None
    assert ask(DENY_ALL) == "deny-all"


@pytest.mark.spec("RT-21")
def test_sources_are_local_mailboxes_and_not_the_return_route() -> None:
    control = AllowSources(frozenset((local("S"), local("T"))))
    assert ask(control, source="S", back="R") is None
    assert ask(control, source="T", back="") is None
    assert ask(control, source="R", back="S") == "allow-sources"


@pytest.mark.spec("RT-22")
def test_only_the_first_onward_hop_counts() -> None:
    control = AllowOnward(frozenset((local("A"), local("B"))))
    assert ask(control, onward="A X") is None
    assert ask(control, onward="B") is None
    assert ask(control, onward="X A B") == "allow-onward"


@pytest.mark.spec("RT-21", "RT-22")
def test_addresses_are_compared_exactly() -> None:
    assert ask(AllowOnward(frozenset((Address(TCP, b"next"),)))) == "allow-onward"
    assert ask(AllowSources(frozenset((local("Source"),)))) == "allow-sources"


@pytest.mark.spec("RT-30")
def test_consumers_are_read_at_every_message() -> None:
    flow_controls = FlowControls()
    control = AllowConsumers("P", "S")
    assert ask(control, flow_controls=flow_controls) == "flow-control"
    flow_controls.add_consumer(local("next"), "S")
    assert ask(control, flow_controls=flow_controls) is None
    assert ask(AllowConsumers("P"), flow_controls=flow_controls) == "flow-control"
    assert ask(control, onward="more next", flow_controls=flow_controls) == "flow-control"
    flow_controls.forget(local("next"))
    assert ask(control, flow_controls=flow_controls) == "flow-control"


@pytest.mark.spec("RT-35")
def test_who_joined_a_flow_control_reaches_its_consumers_only() -> None:
    flow_controls = FlowControls()
    flow_controls.add_producer(local("link"), "C", "S", (local("hop"),))
    flow_controls.join_producer(local("source"), local("hop"))
    assert ask(AllowAsProducer(), flow_controls=flow_controls) == "flow-control"
    flow_controls.add_consumer(local("next"), "S")
    assert ask(AllowAsProducer(), flow_controls=flow_controls) == "flow-control"
    flow_controls.add_consumer(local("next"), "C")
    assert ask(AllowAsProducer(), flow_controls=flow_controls) is None


@pytest.mark.spec("RT-35")
def test_what_was_joined_counts_also_when_the_other_producer_is_gone() -> None:
    flow_controls = FlowControls()
    flow_controls.add_producer(local("link"), "C", None, (local("hop"),))
    flow_controls.join_producer(local("source"), local("hop"))
    flow_controls.forget(local("link"))
    assert ask(AllowAsProducer(), flow_controls=flow_controls) == "flow-control"


@pytest.mark.spec("RT-35")
def test_who_joined_nothing_is_not_restricted() -> None:
    flow_controls = FlowControls()
    flow_controls.join_producer(local("source"), local("an ordinary worker"))
    assert flow_controls.producers == {}
    assert ask(AllowAsProducer(), flow_controls=flow_controls) is None


@pytest.mark.spec("RT-23")
def test_identifiers_come_from_the_local_info_of_a_channel() -> None:
    control = AllowIdentifiers(frozenset((ALICE,)))
    assert ask(control, local_info=(channel_local_info(ALICE),)) is None
    assert ask(control, local_info=(channel_local_info(BOB),)) == "allow-identifiers"
    assert ask(control) == "allow-identifiers"
    assert ask(control, local_info=(LocalInfo("something else", ALICE),)) == "allow-identifiers"
    # the first entry of a channel counts
    assert ask(control, local_info=(channel_local_info(BOB), channel_local_info(ALICE))) == "allow-identifiers"


@pytest.mark.spec("RT-23")
def test_any_identifier() -> None:
    assert ask(AllowIdentifiers(), local_info=(channel_local_info(BOB),)) is None
    assert ask(AllowIdentifiers()) == "allow-identifiers"


@pytest.mark.parametrize("data", [b"", b"\x41", b"\x58\x20" + bytes(31), b"\x41\x00", b"\x60", b"\x58\x21" + bytes(33)])
@pytest.mark.spec("RT-23")
def test_local_info_that_holds_no_identifier_is_nobody(data: bytes) -> None:
    forged = (LocalInfo("SECURE_CHANNEL_IDENTIFIER", data),)
    assert ask(AllowIdentifiers(), local_info=forged) == "allow-identifiers"
    assert ask(AllowIdentifiers(frozenset((ALICE,))), local_info=forged) == "allow-identifiers"
    assert ask(AnyOf((AllowIdentifiers(), ALLOW_ALL)), local_info=forged) is None


@pytest.mark.spec("RT-24")
def test_all_of() -> None:
    from_source, to_next = AllowSources(frozenset((local("source"),))), AllowOnward(frozenset((local("next"),)))
    assert ask(AllOf(())) is None
    assert ask(AllOf((from_source, to_next))) is None
    assert ask(AllOf((from_source, to_next)), source="X", onward="X") == "allow-sources"
    assert ask(AllOf((to_next, from_source)), source="X", onward="X") == "allow-onward"
    assert ask(AllOf((from_source, to_next)), onward="X") == "allow-onward"
    assert ask(AllOf((ALLOW_ALL, AllOf((ALLOW_ALL, DENY_ALL))))) == "deny-all"


@pytest.mark.spec("RT-25")
def test_any_of() -> None:
    from_source, to_next = AllowSources(frozenset((local("source"),))), AllowOnward(frozenset((local("next"),)))
    assert ask(AnyOf(())) == "any-of"
    assert ask(AnyOf((DENY_ALL, from_source)), onward="X") is None
    assert ask(AnyOf((from_source, to_next)), source="X") is None
    assert ask(AnyOf((from_source, to_next)), source="X", onward="X") == "any-of"


class _Explosive:
    """No control at all: asking it fails."""


@pytest.mark.spec("RT-24", "RT-25")
def test_what_follows_the_decision_is_not_asked() -> None:
    explosive: AccessControl = _Explosive()  # type: ignore[assignment]
    assert ask(AllOf((DENY_ALL, explosive))) == "deny-all"
    assert ask(AnyOf((ALLOW_ALL, explosive))) is None
    with pytest.raises(AssertionError):
        ask(AllOf((ALLOW_ALL, explosive)))
    with pytest.raises(AssertionError):
        ask(AnyOf((DENY_ALL, explosive)))
