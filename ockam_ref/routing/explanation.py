"""Why a rule allows a message or refuses it, as a value that people can read.

``explain`` is the readable form of ``access_control.refusal``: it gives the same answer, which a property test shows,
and says what was looked at.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias, assert_never

from ockam_ref.policies.decision import explain_decision
from ockam_ref.policies.resources import Resource
from ockam_ref.routing.access_control import (
    AccessControl,
    AllOf,
    AllowAll,
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
    DenyAll,
    environment_of,
    peer_of,
    policy_for,
    refusal,
    subject_of,
)
from ockam_ref.routing.knowledge import Knowledge
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage

Inputs: TypeAlias = tuple[tuple[str, str], ...]


class Explanation(NamedTuple):
    """One rule that was asked: its answer, why in a sentence, what it looked at by name, and the rules inside it."""

    rule: str
    allowed: bool
    reason: str
    inputs: Inputs = ()
    parts: tuple["Explanation", ...] = ()


def explain(control: AccessControl, source: Address, message: LocalMessage, knowledge: Knowledge) -> Explanation:
    """Return the answer of the control with everything that led to it."""
    if isinstance(control, AllOf | AnyOf):
        return _explain_joined(control, source, message, knowledge)
    if isinstance(control, AllowByPolicy):
        return _explain_policy(control, peer_of(message), "the message came through no secure channel", knowledge)
    if isinstance(control, AllowOnwardByPolicy):
        peer = knowledge.peer_behind(message.onward_route)
        return _explain_policy(control, peer, "the route leads into no secure channel", knowledge)
    allowed = refusal(control, source, message, knowledge) is None
    rule, inputs = _describe(control, source, message, knowledge)
    return Explanation(rule, allowed, _SENTENCES[rule][0 if allowed else 1], inputs)


_SENTENCES: Final = {
    "allow-all": ("everything may pass", ""),
    "deny-all": ("", "nothing may pass here"),
    "allow-sources": ("the sender is one of those expected", "the sender is none of those expected"),
    "allow-onward": ("the next hop is one of those expected", "the next hop is none of those expected"),
    "flow-control": (
        "the next hop may be reached from where the message came",
        "the next hop is no consumer of the flow control through which the message came: see add_consumer",
    ),
    "typed-hop": (
        "this node sends it itself, or may connect for others",
        "this node connects for others only where allow_onward says so",
    ),
    "allow-identifiers": ("the peer is one of those expected", "the peer is none of those expected, or nobody"),
    "attributes": (
        "the authority vouches for every attribute that is asked for",
        "the authority does not vouch for every attribute that is asked for",
    ),
}


def _describe(
    control: AllowAll
    | DenyAll
    | AllowResolution
    | AllowSources
    | AllowOnward
    | AllowConsumers
    | AllowAsProducer
    | AllowIdentifiers
    | AllowAttributes,
    source: Address,
    message: LocalMessage,
    knowledge: Knowledge,
) -> tuple[str, Inputs]:
    next_hop = ("next hop", str(message.onward_route[0]) if message.onward_route else "none")
    match control:
        case AllowAll():
            return "allow-all", ()
        case DenyAll():
            return "deny-all", ()
        case AllowSources(addresses):
            return "allow-sources", (("sender", str(source)), ("expected", _listed(map(str, addresses))))
        case AllowOnward(addresses):
            return "allow-onward", (next_hop, ("expected", _listed(map(str, addresses))))
        case AllowConsumers(flow_control_id, spawner_id):
            ids = flow_control_id if spawner_id is None else f"{flow_control_id}, {spawner_id}"
            return "flow-control", (next_hop, ("flow controls", ids))
        case AllowAsProducer():
            producer = knowledge.flow_controls.producers.get(source)
            joined = "none" if producer is None else producer.flow_control_id
            return "flow-control", (next_hop, ("flow controls", joined))
        case AllowResolution():
            return "typed-hop", (("sender", str(source)), next_hop)
        case AllowIdentifiers(identifiers):
            expected = "any" if identifiers is None else _listed(map(_identifier, identifiers))
            return "allow-identifiers", (("peer", _identifier(peer_of(message))), ("expected", expected))
        case AllowAttributes(authority, required):
            pairs = (f"{name.decode(errors='replace')}={value.decode(errors='replace')}" for name, value in required)
            peer = _identifier(peer_of(message))
            return "attributes", (("peer", peer), ("authority", _identifier(authority)), ("expected", _listed(pairs)))
        case _:
            assert_never(control)


def _explain_joined(
    control: AllOf | AnyOf, source: Address, message: LocalMessage, knowledge: Knowledge
) -> Explanation:
    """Ask from left to right, no further than the answer needs."""
    is_all = isinstance(control, AllOf)
    parts: list[Explanation] = []
    for inner in control.controls:
        parts.append(explain(inner, source, message, knowledge))
        if parts[-1].allowed is not is_all:
            break
    decided = bool(parts) and parts[-1].allowed is not is_all
    allowed = is_all is not decided
    if is_all:
        reason = "every rule allows it" if allowed else "one rule refuses it"
    else:
        reason = "one rule allows it" if allowed else "no rule allows it"
    return Explanation("all-of" if is_all else "any-of", allowed, reason, (), tuple(parts))


def _explain_policy(
    control: AllowByPolicy | AllowOnwardByPolicy, peer: bytes | None, nobody: str, knowledge: Knowledge
) -> Explanation:
    rule, policy = control.rule, policy_for(control, knowledge)
    asked: Inputs = (("resource", f"{rule.name} ({rule.type})"),) if isinstance(rule, Resource) else ()
    if policy is None:
        reason = "the resource has no policy, and neither has its type: see 'ockam-ref policy create'"
        return Explanation("policy", False, reason, asked)
    asked = (*asked, ("policy", policy.text), ("peer", _identifier(peer)))
    if peer is None:
        return Explanation("policy", False, nobody, asked)
    authority = "none is configured" if control.authority is None else _identifier(control.authority)
    decision = explain_decision(policy, subject_of(peer, control.authority, knowledge), environment_of(control))
    inputs = (*asked, ("authority", authority), *decision.inputs)
    terms = tuple(Explanation("term", term.answer == "true", str(term)) for term in decision.terms)
    return Explanation("policy", decision.allowed, decision.reason, inputs, terms)


def _identifier(identifier: bytes | None) -> str:
    return "nobody" if identifier is None else f"I{identifier.hex()}"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(sorted(texts)) or "none"
