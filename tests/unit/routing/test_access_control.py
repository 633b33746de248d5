"""Access control values, one by one and joined."""

import pytest

from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.resources import Resource, ResourceType
from ockam_ref.policies.subjects import Vouched
from ockam_ref.routing import access_control
from ockam_ref.routing.access_control import (
    ALLOW_ALL,
    DENY_ALL,
    AccessControl,
    AllOf,
    AllowAsProducer,
    AllowAttributes,
    AllowByPolicy,
    AllowConsumers,
    AllowIdentifiers,
    AllowOnward,
    AllowOnwardByPolicy,
    AllowResolution,
    AllowSources,
    AnyOf,
    refusal,
)
from ockam_ref.routing.explanation import Explanation, explain
from ockam_ref.routing.flow_controls import FlowControls
from ockam_ref.routing.knowledge import Knowledge
from ockam_ref.wire.address import TCP, Address, local
from ockam_ref.wire.local_message import SECURE_CHANNEL_IDENTIFIER, LocalInfo, LocalMessage, channel_local_info
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
    knowledge = Knowledge(flow_controls) if flow_controls is not None else Knowledge()
    return refusal(control, local(source), message, knowledge)


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


# ---- peers, and what authorities vouch for


AUTHORITY = b"c" * 32
OUTLET = Resource("outlet", ResourceType.TCP_OUTLET)
FROM_ALICE, FROM_BOB = (channel_local_info(ALICE),), (channel_local_info(BOB),)
BROKEN = (LocalInfo(SECURE_CHANNEL_IDENTIFIER, b"\x00"),)


def knowing(*, now: int = 1500, behind: bytes | None = None) -> Knowledge:
    """What a node knows in which Alice is a member until 2000."""
    knowledge = Knowledge(clock=lambda: now, peer_behind=lambda _: behind)
    knowledge.attributes.store(ALICE, AUTHORITY, Vouched(((b"role", b"member"), (b"team", b"red")), 1000, 2000))
    return knowledge


def asked(control: AccessControl, knowledge: Knowledge, local_info: tuple[LocalInfo, ...]) -> str | None:
    message = LocalMessage(route("next"), (), b"", local_info)
    explained = explain(control, local("source"), message, knowledge)
    answer = refusal(control, local("source"), message, knowledge)
    assert explained.allowed is (answer is None)
    return answer


@pytest.mark.spec("RT-26")
def test_attributes_must_all_be_vouched_for() -> None:
    member = AllowAttributes(AUTHORITY, ((b"role", b"member"),))
    both = AllowAttributes(AUTHORITY, ((b"team", b"red"), (b"role", b"member")))
    other = AllowAttributes(AUTHORITY, ((b"team", b"blue"),))
    anybody = AllowAttributes(AUTHORITY, ())
    knowledge = knowing()
    assert [asked(one, knowledge, FROM_ALICE) for one in (member, both, other, anybody)] == [
        None,
        None,
        "attributes",
        None,
    ]
    assert [asked(one, knowledge, FROM_BOB) for one in (member, anybody)] == ["attributes", "attributes"]
    assert [asked(anybody, knowledge, info) for info in ((), BROKEN)] == ["attributes", "attributes"]
    assert asked(member, knowing(now=2000), FROM_ALICE) == "attributes"
    assert asked(AllowAttributes(BOB, ((b"role", b"member"),)), knowledge, FROM_ALICE) == "attributes"


@pytest.mark.spec("RT-27")
def test_a_policy_decides_about_the_peer_of_the_channel() -> None:
    control = AllowByPolicy(parse_policy("role=member"), AUTHORITY)
    knowledge = knowing()
    assert [asked(control, knowledge, info) for info in (FROM_ALICE, FROM_BOB, (), BROKEN)] == [
        None,
        "policy",
        "policy",
        "policy",
    ]
    assert asked(control, knowing(now=2000), FROM_ALICE) == "policy"
    assert asked(AllowByPolicy(control.rule), knowledge, FROM_ALICE) == "policy"  # nobody vouches for anything
    identified = AllowByPolicy(parse_policy(f"I{BOB.hex()}"))
    assert [asked(identified, knowledge, info) for info in (FROM_ALICE, FROM_BOB)] == ["policy", None]


@pytest.mark.spec("RT-27")
def test_outgoing_a_policy_decides_about_who_is_behind_the_route() -> None:
    control = AllowOnwardByPolicy(parse_policy("role=member"), AUTHORITY)
    assert asked(control, knowing(behind=ALICE), FROM_BOB) is None
    assert asked(control, knowing(behind=BOB), FROM_ALICE) == "policy"
    assert asked(control, knowing(), FROM_ALICE) == "policy"


@pytest.mark.spec("RT-27")
def test_the_policy_of_a_resource_is_looked_up_at_every_message() -> None:
    control, knowledge = AllowByPolicy(OUTLET, AUTHORITY), knowing()
    assert asked(control, knowledge, FROM_ALICE) == "policy"
    knowledge.policies.set_for_type(ResourceType.TCP_OUTLET, parse_policy("role=member"))
    assert asked(control, knowledge, FROM_ALICE) is None
    knowledge.policies.set_for_resource("outlet", parse_policy("role=admin"))
    assert asked(control, knowledge, FROM_ALICE) == "policy"
    knowledge.policies.remove_for_resource("outlet")
    assert asked(control, knowledge, FROM_ALICE) is None


@pytest.mark.spec("RT-27")
def test_a_remembered_answer_counts_only_for_what_it_was_given_for(monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge = knowing()
    knowledge.policies.set_for_resource("outlet", parse_policy("role=member"))
    control = AllowByPolicy(OUTLET, AUTHORITY)
    assert [asked(control, knowledge, info) for info in (FROM_ALICE, FROM_BOB) * 2] == [None, "policy"] * 2
    assert len(knowledge.decisions) == 2
    assert asked(AllowByPolicy(OUTLET), knowledge, FROM_ALICE) == "policy"  # another control
    knowledge.attributes.store(ALICE, AUTHORITY, Vouched(((b"role", b"guest"),), 1000, 2000))
    assert asked(control, knowledge, FROM_ALICE) == "policy"
    knowledge.attributes.store(BOB, AUTHORITY, Vouched(((b"role", b"member"),), 1000, 2000))
    assert asked(control, knowledge, FROM_BOB) is None
    knowledge.attributes.revoke(BOB, AUTHORITY, 1000)
    assert asked(control, knowledge, FROM_BOB) == "policy"
    monkeypatch.setattr(access_control, "MAX_REMEMBERED_DECISIONS", 2)
    assert asked(control, knowledge, (channel_local_info(b"c" * 32),)) == "policy"
    assert len(knowledge.decisions) == 1


@pytest.mark.spec("RT-27")
def test_a_policy_knows_the_resource_the_action_and_what_it_is_given() -> None:
    knowledge = knowing()
    text = '(and (= resource.id "outlet") (= action.id "handle_message") (= relay.name "alice"))'
    knowledge.policies.set_for_resource("outlet", parse_policy(text))
    named = (("relay.name", "alice"),)
    assert asked(AllowByPolicy(OUTLET, AUTHORITY, named), knowledge, FROM_ALICE) is None
    assert asked(AllowByPolicy(OUTLET, AUTHORITY), knowledge, FROM_ALICE) == "policy"


# ---- explanations


@pytest.mark.spec("RT-28")
def test_an_explanation_shows_what_was_looked_at() -> None:
    knowledge = knowing()
    knowledge.policies.set_for_resource("outlet", parse_policy("team=blue"))
    message = LocalMessage(route("next"), (), b"", FROM_ALICE)
    control = AllOf((ALLOW_ALL, AllowByPolicy(OUTLET, AUTHORITY), DENY_ALL))
    explained = explain(control, local("source"), message, knowledge)
    assert (explained.rule, explained.allowed, explained.reason) == ("all-of", False, "one rule refuses it")
    first, second = explained.parts  # the third was not asked
    assert first == Explanation("allow-all", True, "everything may pass")
    inputs = dict(second.inputs)
    assert inputs["resource"] == "outlet (tcp-outlet)"
    assert inputs["policy"] == "team=blue"
    assert inputs["peer"] == f"I{ALICE.hex()}"
    assert inputs["authority"] == f"I{AUTHORITY.hex()}"
    assert any("red" in value for value in inputs.values())


@pytest.mark.spec("RT-28")
def test_explanations_of_joined_rules() -> None:
    message, knowledge = LocalMessage(route("next"), (), b""), Knowledge()

    def of(control: AccessControl) -> tuple[bool, str, int]:
        explained = explain(control, local("source"), message, knowledge)
        return explained.allowed, explained.reason, len(explained.parts)

    assert of(AllOf(())) == (True, "every rule allows it", 0)
    assert of(AllOf((ALLOW_ALL, ALLOW_ALL))) == (True, "every rule allows it", 2)
    assert of(AllOf((DENY_ALL, ALLOW_ALL))) == (False, "one rule refuses it", 1)
    assert of(AnyOf(())) == (False, "no rule allows it", 0)
    assert of(AnyOf((DENY_ALL, DENY_ALL))) == (False, "no rule allows it", 2)
    assert of(AnyOf((DENY_ALL, ALLOW_ALL, DENY_ALL))) == (True, "one rule allows it", 2)


@pytest.mark.spec("RT-28")
@pytest.mark.parametrize(
    "control",
    [
        AllowSources(frozenset((local("a"), local("b")))),
        AllowOnward(frozenset((local("a"),))),
        AllowOnward(frozenset()),
        AllowConsumers("P"),
        AllowConsumers("P", "S"),
        AllowAsProducer(),
        AllowIdentifiers(),
        AllowIdentifiers(frozenset((ALICE, BOB))),
        AllowResolution(),
        AllowAttributes(AUTHORITY, ((b"role", b"\xff"),)),
        AllowByPolicy(OUTLET, AUTHORITY),
        AllowByPolicy(parse_policy("a")),
        AllowOnwardByPolicy(parse_policy("a"), AUTHORITY),
        DENY_ALL,
    ],
    ids=lambda control: type(control).__name__,
)
def test_every_rule_explains_its_refusals_and_permissions(control: AccessControl) -> None:
    for source, onward, back in (("a", "a", ""), ("x", "x", "y"), ("P", "a", "y")):
        for local_info in ((), FROM_ALICE, BROKEN):
            knowledge = knowing()
            knowledge.flow_controls.add_producer(local("P"), "P", None, ())
            knowledge.flow_controls.add_consumer(local("a"), "P")
            message = LocalMessage(route(onward), route(back), b"", local_info)
            explained = explain(control, local(source), message, knowledge)
            assert explained.allowed is (refusal(control, local(source), message, knowledge) is None)
            assert explained.reason


@pytest.mark.spec("RT-28")
def test_guards_ask_without_a_message() -> None:
    message = LocalMessage((), (), b"", FROM_ALICE)
    assert explain(AllowByPolicy(parse_policy("role=member"), AUTHORITY), local("x"), message, knowing()).allowed
    assert not explain(AllowIdentifiers(frozenset()), local("x"), message, knowing()).allowed
