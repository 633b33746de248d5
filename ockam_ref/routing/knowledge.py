"""What the rules of a node look at: its tables, its clock, and who is behind a route."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ockam_ref.policies.resources import Policies
from ockam_ref.policies.subjects import SubjectAttributes
from ockam_ref.routing.flow_controls import FlowControls
from ockam_ref.wire.route import Route


def _nobody(_: Route) -> None:
    return None


@dataclass(slots=True)
class Knowledge:
    """The tables are the node's own, read at every message.

    ``clock`` gives the second since 1970 of the event that is being worked off, ``peer_behind`` the verified identifier
    behind the first terminal address of a route.
    """

    flow_controls: FlowControls = field(default_factory=FlowControls)
    policies: Policies = field(default_factory=Policies)
    attributes: SubjectAttributes = field(default_factory=SubjectAttributes)
    clock: Callable[[], int] = int
    peer_behind: Callable[[Route], bytes | None] = _nobody
