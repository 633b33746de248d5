"""Every state of a machine against every event of the vocabulary.

``state_table`` says how to reach each state of one machine; ``check`` feeds one state one event.  Both lists are
compared with the code by introspection, so that neither a new state nor a new event can be forgotten:

* the states are the members of the state alias in the annotation of the ``Machine`` constant;
* the events are the members of ``WorkerEvent``, and ``EVENTS`` has builders for exactly those.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from ockam_ref import effects as effects_module
from ockam_ref import events as events_module
from ockam_ref.events import (
    AccessChecked,
    AccessLost,
    AddressGone,
    BytesReceived,
    ChildSettled,
    ChildStarted,
    ChildWaits,
    DatagramsReceived,
    HopReady,
    HopWanted,
    LinkAccepted,
    LinkClosed,
    LinkDrained,
    LinkFailed,
    LinkFinished,
    LinkOpened,
    MessageHanded,
    MessageReceived,
    MtuChanged,
    PathOffered,
    PauseChanged,
    PeerCompared,
    PresentationChanged,
    RecoveryAgreed,
    RouteChanged,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.identities.local import create_local_identity
from ockam_ref.machine import AnyMachine, LinkId, Machine, Now, Transition
from ockam_ref.registry import MACHINES
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage, channel_local_info
from ockam_ref.wire.route import Route

FIRST_LINK = LinkId(1)
RENEWED = create_local_identity(bytes(32), bytes(31) + b"\x01", 1_700_000_000)
ABOUT = "what was asked about"
LATER = Now(1_000.0, 1_700_001_000)
PAYLOADS: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"\x01",
    b"\x02",
    b"\x03\x02hi",
    b"\x03\x00",
    b"\x04",
    bytes(24),
    bytes(40),
)
LOCAL_INFOS: tuple[tuple[LocalInfo, ...], ...] = ((), (channel_local_info(bytes(32)),), (LocalInfo("other", b"x"),))


@dataclass(frozen=True)
class Surroundings:
    """What the events of one machine are made of, besides the usual."""

    addresses: tuple[Address, ...] = ()
    payloads: tuple[bytes, ...] = ()
    link: LinkId = FIRST_LINK
    timers: tuple[str, ...] = ()
    local_infos: tuple[tuple[LocalInfo, ...], ...] = ()


def _messages(of: Surroundings) -> Iterable[WorkerEvent]:
    elsewhere = local("elsewhere")
    for destination in (*of.addresses, elsewhere):
        onward_routes: tuple[Route, ...] = ((destination,), (destination, elsewhere))
        for onward_route in onward_routes:
            for payload in (*PAYLOADS, *of.payloads):
                for return_route in ((), (elsewhere,), (elsewhere, destination)):
                    for local_info in (*LOCAL_INFOS, *of.local_infos):
                        message = LocalMessage(onward_route, return_route, payload, local_info)
                        yield MessageReceived(destination, elsewhere, message, LATER)


EVENTS: Mapping[type, Callable[[Surroundings], Iterable[WorkerEvent]]] = {
    MessageReceived: _messages,
    BytesReceived: lambda of: (BytesReceived(of.link, data, LATER) for data in (b"", b"\x01", b"x", bytes(70_000))),
    DatagramsReceived: lambda of: (
        DatagramsReceived(of.link, "127.0.0.1:9", datagrams, LATER)
        for datagrams in ((), (b"",), (b"\x85", bytes(2000)))
    ),
    LinkOpened: lambda of: (LinkOpened(of.link, LATER), LinkOpened(of.link, LATER, 18)),
    MtuChanged: lambda of: (MtuChanged(of.link, 512, LATER),),
    LinkFailed: lambda of: (LinkFailed(of.link, "refused", LATER),),
    LinkAccepted: lambda of: (
        LinkAccepted(LinkId(99), address, LATER) for address in (*of.addresses, local("elsewhere"))
    ),
    LinkFinished: lambda of: (LinkFinished(of.link, LATER),),
    LinkClosed: lambda of: (LinkClosed(of.link, "reset", LATER),),
    LinkDrained: lambda of: (LinkDrained(of.link, LATER),),
    TimerFired: lambda of: (TimerFired(name, LATER) for name in (*of.timers, "no such timer")),
    AddressGone: lambda of: (AddressGone(address, LATER) for address in (*of.addresses, local("elsewhere"))),
    PeerCompared: lambda _: (PeerCompared(refusal, LATER) for refusal in (None, "older")),
    AccessLost: lambda _: (AccessLost("expired", LATER),),
    AccessChecked: lambda _: (AccessChecked(refusal, ABOUT, LATER) for refusal in (None, "policy")),
    PresentationChanged: lambda _: (PresentationChanged(RENEWED, credential, LATER) for credential in (None, b"\x80")),
    ChildStarted: lambda of: (ChildStarted(address, LATER) for address in (*of.addresses, local("child"))),
    HopReady: lambda of: (HopReady(link, local("hop"), LATER) for link in (of.link, LinkId(98))),
    HopWanted: lambda _: (HopWanted(address, LATER) for address in (Address(1, b"host:1"), local("hop"))),
    ChildSettled: lambda of: (ChildSettled(address, LATER) for address in (*of.addresses, local("child"))),
    ChildWaits: lambda of: (ChildWaits(address, 1 << 28, LATER) for address in (*of.addresses, local("child"))),
    MessageHanded: lambda of: (
        MessageHanded(address, (b"one", bytes(2000)), LATER) for address in (*of.addresses, local("child"))
    ),
    RecoveryAgreed: lambda of: (
        RecoveryAgreed(address, agreed, LATER)
        for address in (*of.addresses, local("child"))
        for agreed in (True, False)
    ),
    StopRequested: lambda _: (StopRequested("enough", LATER),),
    RouteChanged: lambda _: (
        RouteChanged(route, peer, LATER) for route in ((), (local("way"),)) for peer in (None, bytes(32))
    ),
    PathOffered: lambda _: (PathOffered((local("way"),), packet, LATER) for packet in (1000, 100_000)),
    PauseChanged: lambda _: (PauseChanged(paused, LATER) for paused in (True, False)),
}


def members(alias: object) -> frozenset[type]:
    """The classes of a union, or the class itself."""
    if get_origin(alias) in (UnionType, Union):
        return frozenset(get_args(alias))
    assert isinstance(alias, type)
    return frozenset((alias,))


EVENT_TYPES = members(events_module.WorkerEvent)
EFFECT_TYPES = members(effects_module.Effect)


def module_of(machine: AnyMachine) -> ModuleType:
    return sys.modules[machine.receive.__module__]


def state_types(machine: AnyMachine) -> frozenset[type]:
    """The states of a machine, out of the annotation of the constant that holds it."""
    module = module_of(machine)
    (name,) = (name for name, value in vars(module).items() if value is machine)
    (annotated,) = get_args(get_type_hints(module)[name])  # Final[Machine[Config, State]]
    assert get_origin(annotated) is Machine
    return members(get_args(annotated)[1])


def transition_tables(module: ModuleType) -> dict[str, tuple[Transition, ...]]:
    """The tables of a module, by the name of the constant."""
    return {name: value for name, value in vars(module).items() if name.endswith("TRANSITIONS")}


StateBuilder = Callable[[], Any]


@dataclass(frozen=True)
class StateTable:
    """How to reach the states of one machine; states are built anew for each use, since some may be stepped once only."""

    machine: AnyMachine
    builders: Mapping[str, StateBuilder]
    surroundings: Surroundings
    terminal: frozenset[type]

    def events(self) -> Iterable[WorkerEvent]:
        for build in EVENTS.values():
            yield from build(self.surroundings)


TABLES: dict[str, StateTable] = {}


def state_table(
    machine: AnyMachine,
    builders: Mapping[str, StateBuilder],
    *,
    surroundings: Surroundings,
    terminal: Iterable[type] = (),
) -> StateTable:
    """Register the states of a machine, each under a name for people."""
    table = TABLES[machine.name] = StateTable(machine, builders, surroundings, frozenset(terminal))
    return table


def check_complete(table: StateTable) -> None:
    """Every state has a builder and every event one too; terminal states are states."""
    built = {type(build()) for build in table.builders.values()}
    assert built == state_types(table.machine)
    assert table.terminal <= built
    assert set(EVENTS) == EVENT_TYPES
    assert {type(event) for event in table.events()} == EVENT_TYPES


def check_all_machines(package: str, tables: Iterable[StateTable]) -> None:
    """Every machine that a package of ``ockam_ref`` puts into the registry has a table."""
    registered = {machine.name for machine in MACHINES.values() if machine.receive.__module__.startswith(package)}
    assert registered
    assert registered == {
        table.machine.name for table in tables if table.machine.receive.__module__.startswith(package)
    }


def check_transitions(module: ModuleType, states: frozenset[type]) -> None:
    """The tables of a module name its states, all of them and no others."""
    names = {state.__name__ for state in states}
    tables = transition_tables(module)
    assert tables
    named = {name for table in tables.values() for row in table for name in (row.state, row.next_state)}
    assert named == names


def check(table: StateTable, state: Any, event: WorkerEvent) -> Any:
    """Feed one event: nothing is raised, the next state is one of the machine, the effects are of the vocabulary."""
    following, effects = table.machine.receive(state, event)
    assert type(following) in state_types(table.machine)
    assert isinstance(effects, tuple)
    assert {type(effect) for effect in effects} <= EFFECT_TYPES
    if type(state) in table.terminal:
        assert (following, effects) == (state, ())
    return following
