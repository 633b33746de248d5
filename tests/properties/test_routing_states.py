"""Links, relays and small services: every state against every event, one by one and in sequences."""

from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType, NoneType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ockam_ref.links import (
    connector,
    datagram_connector,
    framing,
    link_listener,
    node_link,
    recovery_agreement,
    typed_hop,
    udp_endpoint,
    udp_source,
)
from ockam_ref.links.connector import Connecting, Connector
from ockam_ref.links.datagram_connector import DatagramConnector
from ockam_ref.links.form import Broken
from ockam_ref.links.framing import AwaitingFrame, AwaitingVersion
from ockam_ref.links.node_link import LinkState
from ockam_ref.links.reassembly import Reassembly
from ockam_ref.links.recovery import MessageGiven
from ockam_ref.links.recovery_agreement import MARKER, Agreement, AgreementState, HeartbeatReceived
from ockam_ref.links.typed_hop import Connected, Opening, TypedHop
from ockam_ref.links.udp_endpoint import EndpointState, Source
from ockam_ref.links.udp_source import SourceState, UdpSource
from ockam_ref.machine import AnyMachine, LinkId
from ockam_ref.relays import relay, remote, service
from ockam_ref.relays.relay import Relaying
from ockam_ref.relays.remote import Gone, Registered, Registering
from ockam_ref.relays.service import MAX_RELAYS, RelayService, Serving
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers import application, echo, hop, uppercase
from tests.properties.every_state import (
    LATER,
    StateBuilder,
    StateTable,
    Surroundings,
    check,
    check_all_machines,
    check_complete,
    check_transitions,
    state_types,
    transition_tables,
)
from tests.unit.nodes import route

ME, HOP, SERVICE = local("me"), local("hop"), local("service")
TYPED = Address(1, b"host:1")
CONNECTOR = Connector("tcp", 1, framing.FRAMED)
ENDPOINT = EndpointState(LinkId(1), None, ME, local("receiver"), 7)
SOURCE = UdpSource(local("child"), ME, local("receiver"), LinkId(1), "127.0.0.1:9", (ME,))
UNAGREED = recovery_agreement.start(Agreement(bytes(32), offers=False))
TYPED_HOP = TypedHop(TYPED, "tcp", framing.FRAMED)
CONFIG = RelayService(SERVICE, route("alias"), "forward_to_")
NAMES = tuple(map(encode_body, ("bob", "register", "", "a#b", "b" * 300)))


def recovering() -> AgreementState:
    """Return what a source that offered keeps after the answer, with a message on its way."""
    state: AgreementState = recovery_agreement.start(Agreement(bytes(32), offers=True))
    now = LATER.monotonic
    state, effects = recovery_agreement.receive(state, MessageGiven((bytes(5000),), now - 1))
    offer = next(effect for effect in effects if isinstance(effect, recovery_agreement.SendHeartbeat))
    answer = (MARKER, Address(0, bytes(8)), offer.return_route[1])
    return recovery_agreement.receive(state, HeartbeatReceived(answer, now - 1))[0]


def table(
    machine: AnyMachine, builders: Mapping[str, StateBuilder], surroundings: Surroundings, *terminal: type
) -> StateTable:
    return StateTable(machine, builders, surroundings, frozenset(terminal))


def link_state(state: framing.FramingState) -> StateBuilder:
    return lambda: LinkState(LinkId(1), ME, local("receiver"), state)


TABLES = [
    table(
        node_link.MACHINE,
        {
            "new": link_state(AwaitingVersion()),
            "between frames": link_state(AwaitingFrame()),
            "inside a head": link_state(AwaitingFrame((b"\x00",), 1, 4)),
            "inside a body": link_state(AwaitingFrame((b"\x00\x00\x00\x02", b"\x84"), 5, 6)),
            "idle": lambda: LinkState(LinkId(1), ME, local("receiver"), AwaitingVersion(), idle_s=1.0, used=False),
            "ended": node_link.Ended,
        },
        Surroundings(addresses=(ME,), timers=("idle", "recovery")),
        node_link.Ended,
    ),
    table(connector.MACHINE, {"connecting": lambda: Connecting(CONNECTOR)}, Surroundings(addresses=(TYPED,))),
    table(
        datagram_connector.MACHINE,
        {"connecting": lambda: DatagramConnector(2, HOP)},
        Surroundings(addresses=(Address(2, b"host:1"),)),
    ),
    table(
        typed_hop.MACHINE,
        {
            "opening": lambda: Opening(TYPED_HOP, LinkId(1)),
            "opening, one waits": lambda: Opening(TYPED_HOP, LinkId(1), (LocalMessage((TYPED, HOP), (ME,), b"x"),), 1),
            "connected": lambda: Connected(TYPED_HOP, HOP),
            "ended": typed_hop.Ended,
        },
        Surroundings(addresses=(TYPED, HOP)),
        typed_hop.Ended,
    ),
    table(
        link_listener.MACHINE,
        {"listening": lambda: link_listener.Listening(link_listener.LinkListener("S"))},
        Surroundings(addresses=(ME,)),
    ),
    table(
        udp_endpoint.MACHINE,
        {
            "open": lambda: ENDPOINT,
            "with a peer": lambda: replace(ENDPOINT, peer="127.0.0.1:9"),
            "of many sources": lambda: replace(ENDPOINT, sources=(Source(local("child")),) * udp_endpoint.MAX_SOURCES),
            "ended": udp_endpoint.Ended,
        },
        Surroundings(addresses=(ME,)),
        udp_endpoint.Ended,
    ),
    table(
        udp_source.MACHINE,
        {
            "heard": lambda: SourceState(SOURCE, Reassembly(), UNAGREED, LATER.monotonic),
            "recovering": lambda: SourceState(SOURCE, Reassembly(), recovering(), LATER.monotonic),
            "silent": lambda: SourceState(SOURCE, Reassembly(), UNAGREED, LATER.monotonic - udp_source.SOURCE_IDLE_S),
            "ended": udp_source.Ended,
        },
        Surroundings(addresses=(ME,), timers=("idle", "recovery")),
        udp_source.Ended,
    ),
    table(
        relay.MACHINE,
        {
            "relaying": lambda: Relaying(SERVICE, ME, (HOP,)),
            "relaying here": lambda: Relaying(SERVICE, ME, ()),
            "ended": relay.Ended,
        },
        Surroundings(addresses=(ME, HOP)),
        relay.Ended,
    ),
    table(
        remote.MACHINE,
        {
            "registering": lambda: Registering(ME, local("internal"), "bob", HOP),
            "registering any name": lambda: Registering(ME, local("internal"), None, HOP),
            "registered": lambda: Registered(ME, local("internal"), HOP),
            "gone": Gone,
        },
        Surroundings(addresses=(ME, HOP), payloads=NAMES, timers=("confirmation",)),
        Gone,
    ),
    table(
        service.MACHINE,
        {"serving": lambda: Serving(CONFIG), "full": lambda: Serving(CONFIG, MAX_RELAYS)},
        Surroundings(addresses=(SERVICE,), payloads=NAMES),
    ),
    table(echo.MACHINE, {"ready": lambda: ME}, Surroundings(addresses=(ME,))),
    table(hop.MACHINE, {"ready": lambda: ME}, Surroundings(addresses=(ME,))),
    table(uppercase.MACHINE, {"ready": lambda: ME}, Surroundings(addresses=(ME,), payloads=NAMES)),
    table(application.MACHINE, {"ready": NoneType}, Surroundings(addresses=(ME,))),
]
MODULES = {
    module.MACHINE.name: module
    for module in (
        connector,
        datagram_connector,
        typed_hop,
        udp_endpoint,
        udp_source,
        node_link,
        link_listener,
        relay,
        remote,
        service,
    )
}
CASES = [(one, name) for one in TABLES for name in one.builders]
EVENTS_OF = {one.machine.name: list(one.events()) for one in TABLES}


@pytest.mark.parametrize("one", TABLES, ids=lambda one: one.machine.name)
@pytest.mark.spec("NODE-7")
def test_nothing_is_forgotten(one: StateTable) -> None:
    check_complete(one)


@pytest.mark.parametrize("package", ["ockam_ref.links", "ockam_ref.relays", "ockam_ref.workers"])
@pytest.mark.spec("NODE-7")
def test_every_machine_has_a_table(package: str) -> None:
    check_all_machines(package, TABLES)


@pytest.mark.parametrize(("one", "name"), CASES, ids=[f"{one.machine.name}: {name}" for one, name in CASES])
@pytest.mark.spec("NODE-7", "LINK-11")
def test_every_event(one: StateTable, name: str) -> None:
    state = one.builders[name]()
    for event in EVENTS_OF[one.machine.name]:
        check(one, state, event)


@pytest.mark.parametrize("one", TABLES, ids=lambda one: one.machine.name)
@pytest.mark.spec("NODE-7")
@settings(max_examples=40)
@given(data=st.data())
def test_sequences_of_events(one: StateTable, data: st.DataObject) -> None:
    state = one.builders[data.draw(st.sampled_from(sorted(one.builders)))]()
    for event in data.draw(st.lists(st.sampled_from(EVENTS_OF[one.machine.name]), max_size=8)):
        state = check(one, state, event)


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
@pytest.mark.spec("NODE-7")
def test_the_tables_of_transitions_name_the_states(module: ModuleType) -> None:
    check_transitions(module, state_types(module.MACHINE))


@pytest.mark.spec("NODE-7")
def test_the_table_of_the_framing_names_its_states() -> None:
    check_transitions(framing, frozenset((AwaitingVersion, AwaitingFrame, Broken)))


@pytest.mark.parametrize("module", [echo, hop, uppercase, application])
@pytest.mark.spec("NODE-7")
def test_a_small_service_is_always_ready(module: ModuleType) -> None:
    (rows,) = transition_tables(module).values()
    assert {name for row in rows for name in (row.state, row.next_state)} == {"Ready"}


@pytest.mark.parametrize("one", TABLES, ids=lambda one: one.machine.name)
@pytest.mark.spec("NODE-7")
def test_only_the_steps_of_the_table_are_taken(one: StateTable) -> None:
    """Each change of state that the events bring about is a row of the module's table, and the other way round."""
    taken: set[tuple[str, str]] = set()
    for build in one.builders.values():
        for event in EVENTS_OF[one.machine.name]:
            state: Any = build()
            taken.add((type(state).__name__, type(check(one, state, event)).__name__))
    names = {state.__name__ for state in state_types(one.machine)}
    module = MODULES.get(one.machine.name)
    if module is None:
        assert taken == {(name, name) for name in names}
        return
    written = {(row.state, row.next_state) for rows in transition_tables(module).values() for row in rows}
    assert taken == written
