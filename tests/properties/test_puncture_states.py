"""Punctures and steady links: every state against every event, one by one and in sequences."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ockam_ref.links.recovery_packets import encode_gone
from ockam_ref.machine import LinkId
from ockam_ref.puncture import initiator, listener, puncture, rendezvous_client, rendezvous_service, responder
from ockam_ref.puncture.ends import End
from ockam_ref.puncture.initiator import AwaitingAcknowledge, Puncture
from ockam_ref.puncture.listener import MAX_PUNCTURES, PunctureListener
from ockam_ref.puncture.responder import PunctureResponder
from ockam_ref.steady import initiator as steady_initiator
from ockam_ref.steady import link
from ockam_ref.steady import listener as steady_listener
from ockam_ref.steady import responder as steady_responder
from ockam_ref.steady.initiator import Leading, Opening
from ockam_ref.steady.link import Running, first_recovery
from ockam_ref.steady.listener import SteadyListener
from ockam_ref.steady.responder import SteadyResponder
from ockam_ref.wire.address import UDP, Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.puncture_message import PuncturePayload, PunctureSignal, encode_puncture_message
from ockam_ref.wire.puncture_negotiation import Introduction, encode_introduction
from ockam_ref.wire.rendezvous_message import MyAddress, RendezvousPong, encode_rendezvous_response
from ockam_ref.wire.steady_message import Carried, Here, Move, Open, SteadyMessage, encode_steady_message
from tests.properties.every_state import (
    LATER,
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

ME, WAY = local("me"), local("way")
THEIRS = Introduction("127.0.0.1:9", b"theirs")
RENDEZVOUS = (Address(UDP, b"127.0.0.1:4000"), local("rendezvous"))
END = End(ME, local("remote"), local("receiver"), local("questions"), local("bind"), LinkId(1), "flow")
PEER = (END.bind, Address(UDP, b"127.0.0.1:9"), local("theirs"))
PUNCTURE = Puncture((WAY, local("udp")), RENDEZVOUS, "hole")
RESPONDER = PunctureResponder(local("udp"), THEIRS, (WAY,), RENDEZVOUS, "0.0.0.0:0", "punctures")
LISTENER = PunctureListener(local("udp"), RENDEZVOUS, "punctures")
BINDING = rendezvous_client.Binding(END, RENDEZVOUS)
SOON, LATE = LATER.monotonic + 1, LATER.monotonic
WAITING = LocalMessage((ME, local("x")), (), b"waiting")
PUNCTURE_STATES = {
    "closed": lambda: puncture.Closed(END, PEER, redirect=True, give_up_at=SOON, waiting=(WAITING,)),
    "closed for too long": lambda: puncture.Closed(END, PEER, redirect=False, give_up_at=LATE),
    "open": lambda: puncture.Open(END, PEER, LATE),
    "silent": lambda: puncture.Open(END, PEER, LATE - puncture.SILENT_AFTER_S),
    "dead": lambda: puncture.Open(END, PEER, LATE - puncture.DEAD_AFTER_S, silent=True),
    "ended": puncture.Ended,
}
MESSAGES = (
    *map(encode_puncture_message, (*PunctureSignal, PuncturePayload((local("x"),), (), b"payload"))),
    *map(encode_introduction, (THEIRS, Introduction("nowhere:1", b"theirs"))),
    encode_rendezvous_response(MyAddress("127.0.0.1:7")),
    encode_rendezvous_response(MyAddress("nowhere")),
    encode_rendezvous_response(RendezvousPong()),
)
AROUND = Surroundings(END[:5], MESSAGES, timers=("rendezvous", "acknowledge", "heartbeat"))
STEADY_END = link.End(ME, local("remote"), local("receiver"))
RUNNING = Running(STEADY_END, 7, (WAY, local("far")), 1, first_recovery(7, 1000, LATE))
LEADING = Leading(RUNNING, local("steady"), local("far"), (WAY,), 1000, LATE, epoch=1)
STEADY = SteadyResponder(STEADY_END.remote, local("steady"), 7, "links")
STEADY_SAID: tuple[SteadyMessage, ...] = (
    *(Open(number, 1000) for number in (7, 8)),
    *(Move(7, epoch, 1000) for epoch in range(4)),
    *(Here(number, epoch) for number in (7, 8) for epoch in range(3)),
    *(Carried(packet) for packet in (b"", b"\x40" + bytes(40), encode_gone(7), encode_gone(8))),
)
STEADY_MESSAGES = tuple(map(encode_steady_message, STEADY_SAID))
STEADY_AROUND = Surroundings(STEADY_END, STEADY_MESSAGES, timers=("ask", "alive", "idle", "recovery"))

TABLES = [
    StateTable(
        rendezvous_service.MACHINE,
        {"ready": lambda: ME},
        Surroundings((ME,), (b"\x82\x00\x80", b"\x82\x01\x80")),
        frozenset(),
    ),
    StateTable(
        listener.MACHINE,
        {
            "listening": lambda: listener.Listening(LISTENER, asked=1),
            "full": lambda: listener.Listening(LISTENER, MAX_PUNCTURES),
        },
        AROUND,
        frozenset(),
    ),
    StateTable(
        initiator.MACHINE,
        {
            "binding": lambda: initiator.Preparing(PUNCTURE, BINDING),
            "asking": lambda: initiator.Preparing(PUNCTURE, rendezvous_client.Asking(END, RENDEZVOUS, SOON)),
            "asking for too long": lambda: initiator.Preparing(
                PUNCTURE, rendezvous_client.Asking(END, RENDEZVOUS, LATE)
            ),
            "awaiting": lambda: AwaitingAcknowledge(END, PUNCTURE.route),
            **PUNCTURE_STATES,
        },
        AROUND,
        frozenset((puncture.Ended,)),
    ),
    StateTable(
        responder.MACHINE,
        {
            "binding": lambda: responder.Preparing(RESPONDER, BINDING),
            "asking": lambda: responder.Preparing(RESPONDER, rendezvous_client.Asking(END, RENDEZVOUS, SOON)),
            **PUNCTURE_STATES,
        },
        AROUND,
        frozenset((puncture.Ended,)),
    ),
    StateTable(
        steady_listener.MACHINE,
        {"listening": lambda: steady_listener.Listening(SteadyListener(local("steady"), "links"))},
        STEADY_AROUND,
        frozenset(),
    ),
    StateTable(
        steady_initiator.MACHINE,
        {
            "opening": lambda: Opening(STEADY_END, 7, route("way steady"), 1000, SOON),
            "opening for too long": lambda: Opening(STEADY_END, 7, route("way steady"), 1000, LATE),
            "leading": lambda: LEADING,
            "with an offer": lambda: Leading(
                RUNNING, local("steady"), local("far"), (WAY,), 1000, LATE, 2, ((local("other"),), 500)
            ),
            "silent": lambda: Leading(RUNNING, local("steady"), local("far"), (WAY,), 1000, LATE - link.IDLE_S),
            "ended": link.Ended,
        },
        STEADY_AROUND,
        frozenset((link.Ended,)),
    ),
    StateTable(
        steady_responder.MACHINE,
        {
            "waiting": lambda: steady_responder.Waiting(STEADY, STEADY_END),
            "following": lambda: steady_responder.Following(STEADY, RUNNING, LATE),
            "silent": lambda: steady_responder.Following(STEADY, RUNNING, LATE - link.IDLE_S),
            "ended": link.Ended,
        },
        STEADY_AROUND,
        frozenset((link.Ended,)),
    ),
]
MODULES = [listener, initiator, responder, steady_listener, steady_initiator, steady_responder]
CASES = [(one, name) for one in TABLES for name in one.builders]
EVENTS_OF = {one.machine.name: list(one.events()) for one in TABLES}


@pytest.mark.parametrize("one", TABLES, ids=lambda one: one.machine.name)
@pytest.mark.spec("NODE-7")
def test_nothing_is_forgotten(one: StateTable) -> None:
    check_complete(one)


@pytest.mark.parametrize("package", ["ockam_ref.puncture", "ockam_ref.steady"])
@pytest.mark.spec("NODE-7")
def test_every_machine_has_a_table(package: str) -> None:
    check_all_machines(package, TABLES)


@pytest.mark.parametrize(("one", "name"), CASES, ids=[f"{one.machine.name}: {name}" for one, name in CASES])
@pytest.mark.spec("NODE-7", "PUN-39", "STEADY-40")
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


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.MACHINE.name)
@pytest.mark.spec("NODE-7")
def test_the_tables_of_transitions_name_the_states(module: ModuleType) -> None:
    check_transitions(module, state_types(module.MACHINE))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.MACHINE.name)
@pytest.mark.spec("NODE-7")
def test_only_the_steps_of_the_table_are_taken(module: Any) -> None:
    """Each change of state that the events bring about is a row of the module's table, and the other way round."""
    (one,) = (table for table in TABLES if table.machine is module.MACHINE)
    taken: set[tuple[str, str]] = set()
    for build in one.builders.values():
        for event in EVENTS_OF[one.machine.name]:
            state: Any = build()
            taken.add((type(state).__name__, type(check(one, state, event)).__name__))
    written = {(row.state, row.next_state) for rows in transition_tables(module).values() for row in rows}
    assert taken == written
