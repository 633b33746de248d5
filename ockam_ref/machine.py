"""What every protocol machine of the node looks like.

A machine is two pure functions over a frozen state:

* ``start(config, fresh)`` says which mailboxes the new worker has, its first state and its first effects;
* ``receive(state, event)`` says the next state and the effects.

Nothing else moves a worker.  Everything random or clock-like that a machine needs arrives in ``Fresh`` (drawn once,
when the worker starts) or in the event, so every run can be replayed byte for byte.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, NewType, TypeAlias, TypeVar

from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl
from ockam_ref.wire.address import Address

if TYPE_CHECKING:
    from ockam_ref.effects import Effects
    from ockam_ref.events import WorkerEvent

LinkId = NewType("LinkId", int)
"""A byte stream or datagram endpoint of the host: a connection to another node, or a socket of a portal."""

FlowControlId: TypeAlias = str
"""32 lower-case hex characters, or any text that a caller chose (facts 06 section 4.1)."""


class Now(NamedTuple):
    """The time of an event: ``monotonic`` in seconds for deadlines, ``unix`` in whole seconds for validity periods."""

    monotonic: float
    unix: int


class Needs(NamedTuple):
    """What the node must draw from its entropy before it starts a worker of a kind."""

    addresses: int = 0
    flow_control_ids: int = 0
    secrets: int = 0
    links: int = 0


NOTHING_FRESH: Final = Needs()


class Fresh(NamedTuple):
    """What was drawn: local addresses of 32 hex characters, flow control ids, secrets of 32 bytes, links; the time."""

    addresses: tuple[Address, ...]
    flow_control_ids: tuple[FlowControlId, ...]
    secrets: tuple[bytes, ...]
    links: tuple[LinkId, ...]
    now: Now

    def __repr__(self) -> str:
        return f"Fresh({len(self.secrets)} secrets)"


class Mailbox(NamedTuple):
    """One address of a worker and who may use it, in either direction (facts 01 section 3.4).

    ``terminal`` says that hops after this address belong to another node; ``peer`` is that node's verified identifier
    where a secure channel knows it.
    """

    address: Address
    incoming: AccessControl = ALLOW_ALL
    outgoing: AccessControl = ALLOW_ALL
    terminal: bool = False


class Transition(NamedTuple):
    """One row of a machine's table: the states it may go to on an event."""

    state: str
    event: str
    next_state: str
    note: str = ""


Config = TypeVar("Config")
State = TypeVar("State")


class Worker(NamedTuple, Generic[State]):
    """A started worker: its mailboxes (the first is the primary one), its first state, its first effects."""

    mailboxes: tuple[Mailbox, ...]
    state: State
    effects: "Effects" = ()


@dataclass(frozen=True, slots=True)
class Machine(Generic[Config, State]):
    """A kind of worker, found by the class of its configuration."""

    name: str
    start: Callable[[Config, Fresh], Worker[State]]
    receive: Callable[[State, "WorkerEvent"], "tuple[State, Effects]"]
    needs: Needs = NOTHING_FRESH


AnyMachine: TypeAlias = Machine[Any, Any]
