"""Who may send a message to an address, and to whom an address may send (facts 06 sections 2.2 and 3).

A control is a value; ``refusal`` evaluates it against one message and returns ``None``, or the name of the rule that
said no.  A refused message is dropped and recorded; neither sender nor peer is told.
"""

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from ockam_ref.errors import DecodeError
from ockam_ref.routing.flow_controls import FlowControls
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
    | AllOf
    | AnyOf
)

ALLOW_ALL = AllowAll()
DENY_ALL = DenyAll()


def refusal(control: AccessControl, source: Address, message: LocalMessage, flow_controls: FlowControls) -> str | None:
    """Return ``None`` when the control allows the message, else the name of the rule that refuses it."""
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
        case AllOf(controls):
            for inner in controls:
                if (rule := refusal(inner, source, message, flow_controls)) is not None:
                    return rule
            return None
        case AnyOf(controls):
            for inner in controls:
                if refusal(inner, source, message, flow_controls) is None:
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
    try:
        peer = find_channel_identifier(message.local_info)
    except DecodeError:  # a worker of this node wrote something else there: nobody's identifier
        return False
    return peer is not None and (identifiers is None or peer in identifiers)
