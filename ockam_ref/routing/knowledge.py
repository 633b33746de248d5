"""What the rules of a node look at: its tables, its clock, and who is behind a route."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ockam_ref.policies.policy import Policy
from ockam_ref.policies.resources import Policies
from ockam_ref.policies.subjects import SubjectAttributes, Vouched
from ockam_ref.routing.flow_controls import FlowControls
from ockam_ref.wire.route import Route

MAX_REMEMBERED_DECISIONS: Final = 4096
"""Answers of policies that are remembered, one for each control and peer; beyond that all are forgotten."""


class Decided(NamedTuple):
    """What a policy said of a peer, and all that it depends on."""

    control: object
    policy: Policy
    vouched: Vouched | None
    allowed: bool


def _nobody(_: Route) -> None:
    return None


@dataclass(slots=True)
class Knowledge:
    """The tables are the node's own, read at every message.

    ``clock`` gives the second since 1970 of the event that is being worked off, ``peer_behind`` the verified identifier
    behind the first terminal address of a route; ``decisions`` are the last answers of policies.
    """

    flow_controls: FlowControls = field(default_factory=FlowControls)
    policies: Policies = field(default_factory=Policies)
    attributes: SubjectAttributes = field(default_factory=SubjectAttributes)
    clock: Callable[[], int] = int
    peer_behind: Callable[[Route], bytes | None] = _nobody
    decisions: dict[tuple[int, bytes], Decided] = field(default_factory=dict)
