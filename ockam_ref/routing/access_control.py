"""Who may send a message to an address, and to whom an address may send (facts 06 sections 2.2 and 3).

A control is a value; ``refusal`` evaluates it against one message and returns ``None``, or the name of the rule that
said no.  A refused message is dropped and recorded; neither sender nor peer is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias, assert_never

from ockam_ref.errors import DecodeError
from ockam_ref.policies.decision import Subject, decide
from ockam_ref.policies.expression import Expression, Str
from ockam_ref.policies.policy import Policy
from ockam_ref.policies.resources import Resource
from ockam_ref.policies.subjects import Vouched
from ockam_ref.routing.flow_controls import FlowControls
from ockam_ref.routing.knowledge import MAX_REMEMBERED_DECISIONS, Decided, Knowledge
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage, find_channel_identifier


@dataclass(frozen=True, slots=True)
class AllowAll:
    """Everything may pass."""


@dataclass(frozen=True, slots=True)
class DenyAll:
    """Nothing may pass."""


@dataclass(frozen=True, slots=True)
class AllowSources:
    """Incoming: the sending mailbox of this node is one of these; the return route is not looked at."""

    addresses: frozenset[Address]


@dataclass(frozen=True, slots=True)
class AllowOnward:
    """Outgoing: the first hop of the onward route is one of these."""

    addresses: frozenset[Address]


@dataclass(frozen=True, slots=True)
class AllowConsumers:
    """Outgoing, of producers: the next hop is a consumer of the flow control or of its spawner."""

    flow_control_id: str
    spawner_id: str | None = None


@dataclass(frozen=True, slots=True)
class AllowAsProducer:
    """Outgoing, of workers that join the flow control of another: as ``AllowConsumers`` of what they joined.

    Where they joined none, because nothing comes from outside that way, everything may pass.
    """


@dataclass(frozen=True, slots=True)
class AllowIdentifiers:
    """Incoming: the message came through a secure channel whose peer is one of these; ``None`` means any peer."""

    identifiers: frozenset[bytes] | None = None


@dataclass(frozen=True, slots=True)
class AllowAttributes:
    """Incoming: the authority vouches for every one of these (name, value) pairs of the channel's peer, now."""

    authority: bytes
    required: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class AllowByPolicy:
    """Incoming: a policy accepts the peer of the channel through which the message came (facts 06 section 5.6).

    The rule is a policy, or a resource, whose policy is looked up at every message: that of its name before that of its
    type, and without one nobody may.  ``authority`` is who vouches for attributes; ``named`` are further names of the
    environment with their texts.
    """

    rule: Policy | Resource
    authority: bytes | None = None
    named: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AllowOnwardByPolicy:
    """Outgoing: a policy accepts the peer of the first channel in the onward route; as ``AllowByPolicy`` otherwise.

    A route to another node that no channel leads into has nobody who could be accepted.
    """

    rule: Policy | Resource
    authority: bytes | None = None
    named: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of them, asked from left to right until one refuses; the empty list allows."""

    controls: tuple["AccessControl", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of them, asked from left to right until one allows; the empty list refuses."""

    controls: tuple["AccessControl", ...]


@dataclass(frozen=True, slots=True)
class AllowResolution:
    """Incoming, of workers that reach other nodes on their own: what this node sends itself, or was allowed to others.

    A producer has been asked already whether it may reach this hop (``AllowConsumers``).  A worker that passes on what
    came from elsewhere may do so only if the hop is a consumer of a flow control through which the worker itself can
    be reached; else a stranger could make this node connect to wherever the stranger likes.
    """


AccessControl: TypeAlias = (
    AllowAll
    | DenyAll
    | AllowResolution
    | AllowSources
    | AllowOnward
    | AllowConsumers
    | AllowAsProducer
    | AllowIdentifiers
    | AllowAttributes
    | AllowByPolicy
    | AllowOnwardByPolicy
    | AllOf
    | AnyOf
)

ALLOW_ALL = AllowAll()
DENY_ALL = DenyAll()

HANDLE_MESSAGE: Final = "handle_message"
"""The only action there is: ``action.id`` in the environment of a resource's policy."""

_ENVIRONMENTS: Final = 1024


def refusal(control: AccessControl, source: Address, message: LocalMessage, knowledge: Knowledge) -> str | None:
    """Return ``None`` when the control allows the message, else the name of the rule that refuses it."""
    flow_controls = knowledge.flow_controls
    match control:
        case AllowConsumers():  # the most frequent by far
            if flow_controls.allows(control.flow_control_id, control.spawner_id, message.onward_route[0]):
                return None
            return "flow-control"
        case AllowAll():
            return None
        case DenyAll():
            return "deny-all"
        case AllowSources(addresses):
            return None if source in addresses else "allow-sources"
        case AllowOnward(addresses):
            return None if message.onward_route[0] in addresses else "allow-onward"
        case AllowAsProducer():
            producer = flow_controls.producers.get(source)
            if producer is None or flow_controls.allows(*producer, message.onward_route[0]):
                return None
            return "flow-control"
        case AllowResolution():
            return None if _may_resolve(source, message, flow_controls) else "typed-hop"
        case AllowIdentifiers(identifiers):
            return None if _is_from(identifiers, message) else "allow-identifiers"
        case AllowAttributes(authority, required):
            return None if _has_attributes(authority, required, message, knowledge) else "attributes"
        case AllowByPolicy():
            return None if _is_accepted(control, peer_of(message), knowledge) else "policy"
        case AllowOnwardByPolicy():
            return None if _is_accepted(control, knowledge.peer_behind(message.onward_route), knowledge) else "policy"
        case AllOf(controls):
            for inner in controls:
                if (rule := refusal(inner, source, message, knowledge)) is not None:
                    return rule
            return None
        case AnyOf(controls):
            for inner in controls:
                if refusal(inner, source, message, knowledge) is None:
                    return None
            return "any-of"
        case _:
            assert_never(control)


def _may_resolve(source: Address, message: LocalMessage, flow_controls: FlowControls) -> bool:
    if source in flow_controls.producers or message.return_route in ((), (source,)):
        return True
    hop = message.onward_route[0]
    return any(flow_controls.allows(one, None, hop) for one in flow_controls.ids_of_consumer(source))


def _is_from(identifiers: frozenset[bytes] | None, message: LocalMessage) -> bool:
    peer = peer_of(message)
    return peer is not None and (identifiers is None or peer in identifiers)


def peer_of(message: LocalMessage) -> bytes | None:
    """Return the verified identifier of the channel's other end from which the message came, if one did."""
    try:
        return find_channel_identifier(message.local_info)
    except DecodeError:  # a worker of this node wrote something else there: nobody's identifier
        return None


def subject_of(peer: bytes, authority: bytes | None, knowledge: Knowledge) -> Subject:
    """Return what a policy may know of the peer at this second."""
    return _subject(peer, authority, _vouched(peer, authority, knowledge))


def _subject(peer: bytes, authority: bytes | None, vouched: Vouched | None) -> Subject:
    return Subject(peer, None if vouched is None else vouched.attributes, has_authority=authority is not None)


def _vouched(peer: bytes, authority: bytes | None, knowledge: Knowledge) -> Vouched | None:
    return None if authority is None else knowledge.attributes.find(peer, authority, knowledge.clock())


def policy_for(control: AllowByPolicy | AllowOnwardByPolicy, knowledge: Knowledge) -> Policy | None:
    """Return the policy that decides; ``None`` where the resource has none, and then nobody may pass."""
    rule = control.rule
    return knowledge.policies.find(rule) if isinstance(rule, Resource) else rule


@lru_cache(_ENVIRONMENTS)
def environment_of(control: AllowByPolicy | AllowOnwardByPolicy) -> Mapping[str, Expression]:
    """Return the names, beside those of the subject, that its policy may use (facts 06 section 5.6)."""
    named: dict[str, Expression] = {name: Str(text) for name, text in control.named}
    if isinstance(control.rule, Resource):
        named |= {"resource.id": Str(control.rule.name), "action.id": Str(HANDLE_MESSAGE)}
    return named


def _is_accepted(control: AllowByPolicy | AllowOnwardByPolicy, peer: bytes | None, knowledge: Knowledge) -> bool:
    """Decide, or give the last answer about that peer if nothing that led to it has changed: this is asked per message.

    Whatever the answer depends on is compared by identity, and held, so that no other object can have its place.
    """
    policy = policy_for(control, knowledge)
    if policy is None or peer is None:
        return False
    vouched = _vouched(peer, control.authority, knowledge)
    key = id(control), peer
    last = knowledge.decisions.get(key)
    if last is not None and last.control is control and last.policy is policy and last.vouched is vouched:
        return last.allowed
    allowed = decide(policy, _subject(peer, control.authority, vouched), environment_of(control))
    if len(knowledge.decisions) >= MAX_REMEMBERED_DECISIONS:
        knowledge.decisions.clear()
    knowledge.decisions[key] = Decided(control, policy, vouched, allowed)
    return allowed


def _has_attributes(
    authority: bytes, required: tuple[tuple[bytes, bytes], ...], message: LocalMessage, knowledge: Knowledge
) -> bool:
    peer = peer_of(message)
    if peer is None:
        return False
    vouched = _vouched(peer, authority, knowledge)
    return vouched is not None and set(required) <= set(vouched.attributes)
