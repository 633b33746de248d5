"""Channels and portals: every state against every event, one by one and in sequences."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ockam_ref.channels import channel, initiator, listener, responder
from ockam_ref.channels.channel import Closed, Open
from ockam_ref.channels.continuity import with_one_more_gap
from ockam_ref.channels.data_phase import SendingState, seal
from ockam_ref.channels.listener import MAX_HALF_OPEN_CHANNELS, Listening, SecureChannelListener
from ockam_ref.events import LinkClosed, LinkFinished, PeerCompared, StopRequested
from ockam_ref.machine import LinkId
from ockam_ref.noise.primitives import MAX_NONCE
from ockam_ref.portals import connection, inlet, outlet, udp_inlet, udp_outlet
from ockam_ref.portals.connection import Ended, Running
from ockam_ref.portals.credit import MARK_EVERY_BYTES, WINDOW_BYTES
from ockam_ref.portals.inlet import Inlet, InletState
from ockam_ref.portals.outlet import MAX_OUTLET_CONNECTIONS, Outlet, OutletState
from ockam_ref.portals.udp_inlet import MAX_PINGS, UdpInlet, UdpInletState
from ockam_ref.portals.udp_outlet import MAX_WAITING_DATAGRAMS, UdpOutlet, UdpOutletState
from ockam_ref.portals.udp_session import MAX_DATAGRAM_BYTES, MAX_SESSIONS
from ockam_ref.wire.address import local
from ockam_ref.wire.channel_message import Close, RefreshCredentials, encode_channel_message
from ockam_ref.wire.local_message import channel_local_info
from tests.properties.every_state import (
    EVENT_TYPES,
    TABLES,
    StateTable,
    Surroundings,
    check,
    check_all_machines,
    check_complete,
    check_transitions,
    state_table,
    state_types,
)
from tests.unit.channels.ends import (
    A_ENCRYPTOR,
    A_HOP,
    A_INTERNAL,
    A_REMOTE,
    ALICE,
    B_ENCRYPTOR,
    B_HOP,
    B_INTERNAL,
    B_REMOTE,
    BOB,
    LISTENER,
    NOW,
    Pair,
    start_initiator,
    start_responder,
)
from tests.unit.portals.ends import (
    AT_I,
    AT_O,
    BROKEN_OFF,
    CLIENT,
    INLET,
    OUTLET,
    PING,
    TARGET,
    WAY,
    finish,
    message,
    payload,
    running_inlet,
    running_outlet,
    start_inlet_connection,
    start_outlet_connection,
)
from tests.unit.portals.udp_ends import AT_U, ENDPOINT, KEY, carrying_outlet, start_udp_inlet, start_udp_outlet

# ---- channels


def initiator_compares() -> Any:
    pair = Pair()
    pair.a.take(pair.message_2())
    return pair.a.state


def initiator_refused() -> Any:
    pair = Pair()
    pair.a.take(pair.message_2())
    pair.a.step(PeerCompared("older", NOW))
    return pair.a.state


def responder_waits() -> Any:
    pair = Pair()
    pair.message_2()
    return pair.b.state


def responder_compares() -> Any:
    pair = Pair()
    pair.b.take(pair.message_3(), source=B_HOP)
    return pair.b.state


def responder_stopped() -> Any:
    pair = Pair().open()
    pair.b.step(StopRequested("enough", NOW))
    return pair.b.state


def last_nonce(state: Open) -> Open:
    return replace(state, sending=SendingState(state.sending.aead, MAX_NONCE))


def sealed_at_a(content: bytes) -> bytes:
    """A packet that opens at B, whatever it holds."""
    state = Pair().open().a.state
    return seal(state.sending, content)[1]


def sealed_at_b(content: bytes) -> bytes:
    state = Pair().open().b.state
    return seal(state.sending, content)[1]


CONTENTS = (
    encode_channel_message(Close()),
    encode_channel_message(RefreshCredentials(b"\x80", ())),
    b"",
    b"no channel message",
)

INITIATOR = state_table(
    initiator.MACHINE,
    {
        "awaiting message 2": lambda: start_initiator().state,
        "comparing": initiator_compares,
        "open": lambda: Pair().open().a.state,
        "open, out of order before": lambda: replace(
            Pair().open().a.state, local_info=with_one_more_gap((channel_local_info(bytes(32)),))
        ),
        "open, no nonce left": lambda: last_nonce(Pair().open().a.state),
        "closed": initiator_refused,
    },
    surroundings=Surroundings(
        addresses=(A_REMOTE, A_INTERNAL, A_ENCRYPTOR, A_HOP),
        payloads=(
            Pair().message_2().payload,  # type: ignore[arg-type]
            Pair().open().seal_at_b(b"hello").payload,  # type: ignore[arg-type]
            *map(sealed_at_b, CONTENTS),
        ),
        timers=("handshake",),
    ),
    terminal=(Closed,),
)
RESPONDER = state_table(
    responder.MACHINE,
    {
        "awaiting message 1": lambda: start_responder().state,
        "awaiting message 3": responder_waits,
        "comparing": responder_compares,
        "open": lambda: Pair().open().b.state,
        "open, no nonce left": lambda: last_nonce(Pair().open().b.state),
        "closed": responder_stopped,
    },
    surroundings=Surroundings(
        addresses=(B_REMOTE, B_INTERNAL, B_ENCRYPTOR, B_HOP),
        payloads=(
            Pair().message_1().payload,  # type: ignore[arg-type]
            Pair().message_3().payload,  # type: ignore[arg-type]
            Pair().open().seal_at_a(b"hello").payload,  # type: ignore[arg-type]
            *map(sealed_at_a, CONTENTS),
        ),
        timers=("handshake",),
    ),
    terminal=(Closed,),
)
CHANNEL_LISTENER = SecureChannelListener(LISTENER, BOB, "SPAWNER")
HALF_OPEN = tuple(local(f"responder {number}") for number in range(MAX_HALF_OPEN_CHANNELS))
state_table(
    listener.MACHINE,
    {
        "idle": lambda: Listening(CHANNEL_LISTENER),
        "full": lambda: Listening(CHANNEL_LISTENER, HALF_OPEN),
        "full of the asked": lambda: Listening(CHANNEL_LISTENER, (), MAX_HALF_OPEN_CHANNELS),
    },
    surroundings=Surroundings(addresses=(LISTENER, HALF_OPEN[0]), payloads=(Pair().message_1().payload,)),  # type: ignore[arg-type]
)

# ---- portals

IDENTITIES = ((channel_local_info(ALICE.identifier.value),), with_one_more_gap((channel_local_info(bytes(32)),)))
COUNTED = (payload(b"x", 0), payload(b"x", 1), payload(b"x", 65535), BROKEN_OFF)


def marked(state: Running) -> Running:
    """Everything that may wait does."""
    return replace(
        state,
        credit=replace(state.credit, marks=(MARK_EVERY_BYTES,) * 4, outstanding=WINDOW_BYTES, agreed=True, paused=True),
        marks_to_answer=3,
    )


def lingering() -> Any:
    end = running_inlet()
    finish(end)
    return end.state


def half_closed(*, local_side: bool) -> Any:
    end = running_inlet(agreed=True)
    if local_side:
        finish(end)
    else:
        end.take(message(AT_I, b"\x03\x00"))
    return end.state


def hung_up() -> Any:
    end = start_inlet_connection()
    end.step(LinkClosed(CLIENT, "reset", NOW))
    return end.state


def ended() -> Any:
    end = running_outlet()
    end.step(LinkFinished(TARGET, NOW))
    return end.state


def waiting() -> Any:
    end = start_outlet_connection(skip_handshake=True)
    for data in (PING, *(payload(b"x") for _ in range(63))):
        end.take(message(local("key"), data))
    return end.state


state_table(
    inlet.INLET,
    {
        "ready": lambda: InletState(INLET, Inlet(WAY)),
        "paused": lambda: InletState(INLET, Inlet(WAY, paused=True)),
        "without a way": lambda: InletState(INLET, Inlet(())),
    },
    surroundings=Surroundings(addresses=(INLET,)),
)
state_table(
    inlet.CONNECTION,
    {
        "awaiting pong": lambda: start_inlet_connection().state,
        "hung up": hung_up,
        "running": lambda: running_inlet().state,
        "running in a channel": lambda: (
            running_inlet(peer=ALICE.identifier.value, info=(channel_local_info(ALICE.identifier.value),)).state
        ),
        "owes the announcement": lambda: running_inlet(owes_announcement=True).state,
        "agreed and full": lambda: marked(running_inlet(agreed=True).state),
        "lingering": lingering,
        "local side finished": lambda: half_closed(local_side=True),
        "remote side finished": lambda: half_closed(local_side=False),
        "without handshake": lambda: start_inlet_connection(skip_handshake=True).state,
        "ended": Ended,
    },
    surroundings=Surroundings(
        addresses=(AT_I, INLET, WAY[0]), payloads=COUNTED, timers=("pong", "linger"), local_infos=IDENTITIES
    ),
    terminal=(Ended,),
)
state_table(
    outlet.OUTLET,
    {
        "idle": lambda: OutletState(Outlet(OUTLET, "target:80")),
        "full": lambda: OutletState(Outlet(OUTLET, "target:80"), MAX_OUTLET_CONNECTIONS),
        "without handshake": lambda: OutletState(Outlet(OUTLET, "target:80", skip_handshake=True)),
        "without handshake, full": lambda: OutletState(
            Outlet(OUTLET, "target:80", skip_handshake=True), MAX_OUTLET_CONNECTIONS
        ),
    },
    surroundings=Surroundings(addresses=(OUTLET,), payloads=COUNTED, local_infos=IDENTITIES),
)
state_table(
    outlet.CONNECTION,
    {
        "connecting": lambda: start_outlet_connection().state,
        "connecting without handshake, full": waiting,
        "running": lambda: running_outlet().state,
        "agreed and full": lambda: marked(running_outlet(agreed=True).state),
        "without handshake": lambda: running_outlet(skip_handshake=True).state,
        "ended": ended,
    },
    surroundings=Surroundings(
        addresses=(AT_O, local("key"), local("b.hop")),
        payloads=COUNTED,
        link=LinkId(2),
        timers=("linger",),
        local_infos=IDENTITIES,
    ),
    terminal=(Ended,),
)

# ---- portals for datagrams

LONG = (payload(bytes(MAX_DATAGRAM_BYTES + 1)), payload(bytes(MAX_DATAGRAM_BYTES)))


def udp_outlet_full() -> Any:
    end = start_udp_outlet()
    for _ in range(MAX_WAITING_DATAGRAMS):
        end.take(message(KEY, payload(b"x")))
    return end.state


state_table(
    udp_inlet.INLET,
    {
        "ready": lambda: UdpInletState(INLET, UdpInlet(ENDPOINT, WAY)),
        "paused": lambda: UdpInletState(INLET, UdpInlet(ENDPOINT, WAY, paused=True)),
        "without a way": lambda: UdpInletState(INLET, UdpInlet(ENDPOINT, ())),
        "full": lambda: UdpInletState(INLET, UdpInlet(ENDPOINT, WAY), MAX_SESSIONS),
    },
    surroundings=Surroundings(addresses=(INLET,), link=ENDPOINT),
)
state_table(
    udp_inlet.SESSION,
    {
        "carrying": lambda: start_udp_inlet().state,
        "carrying in a channel": lambda: start_udp_inlet(peer=ALICE.identifier.value).state,
        "not answered": lambda: replace(start_udp_inlet().state, pings=MAX_PINGS),
        "heard": lambda: replace(start_udp_inlet().state, awaiting=False),
        "ended": Ended,
    },
    surroundings=Surroundings(
        addresses=(AT_U, INLET, WAY[0]), payloads=LONG, link=ENDPOINT, timers=("check",), local_infos=IDENTITIES
    ),
    terminal=(Ended,),
)
state_table(
    udp_outlet.OUTLET,
    {
        "idle": lambda: UdpOutletState(UdpOutlet(OUTLET, "target:53")),
        "full": lambda: UdpOutletState(
            UdpOutlet(OUTLET, "target:53"), frozenset(local(f"session {number}") for number in range(MAX_SESSIONS))
        ),
    },
    surroundings=Surroundings(addresses=(OUTLET,), payloads=LONG, local_infos=IDENTITIES),
)
state_table(
    udp_outlet.SESSION,
    {
        "opening": lambda: start_udp_outlet().state,
        "opening, full": udp_outlet_full,
        "carrying": lambda: carrying_outlet().state,
        "ended": Ended,
    },
    surroundings=Surroundings(
        addresses=(KEY, OUTLET, local("b.hop")),
        payloads=LONG,
        link=TARGET,
        timers=("check",),
        local_infos=IDENTITIES,
    ),
    terminal=(Ended,),
)

CASES = [(table, name) for table in TABLES.values() for name in table.builders]
EVENTS_OF = {table.machine.name: list(table.events()) for table in TABLES.values()}


@pytest.mark.spec("CH-34", "PT-35", "DP-20")
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_nothing_is_forgotten(table: StateTable) -> None:
    check_complete(table)


@pytest.mark.spec("CH-34", "PT-35", "DP-20")
@pytest.mark.parametrize("package", ["ockam_ref.channels", "ockam_ref.portals"])
def test_every_machine_has_a_table(package: str) -> None:
    check_all_machines(package, TABLES.values())


@pytest.mark.spec("CH-34", "PT-35", "DP-20")
@pytest.mark.parametrize(("table", "name"), CASES, ids=[f"{table.machine.name}: {name}" for table, name in CASES])
def test_every_event(table: StateTable, name: str) -> None:
    state = table.builders[name]()
    for event in EVENTS_OF[table.machine.name]:
        check(table, state, event)
    assert {type(event) for event in EVENTS_OF[table.machine.name]} == EVENT_TYPES


@pytest.mark.spec("CH-34", "PT-35", "DP-20")
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@settings(max_examples=60)
@given(data=st.data())
def test_sequences_of_events(table: StateTable, data: st.DataObject) -> None:
    state = table.builders[data.draw(st.sampled_from(sorted(table.builders)))]()
    for event in data.draw(st.lists(st.sampled_from(EVENTS_OF[table.machine.name]), max_size=8)):
        state = check(table, state, event)


@pytest.mark.spec("CH-34", "PT-35", "DP-20")
def test_the_tables_of_transitions_name_the_states() -> None:
    check_transitions(initiator, state_types(initiator.MACHINE))
    check_transitions(responder, state_types(responder.MACHINE))
    check_transitions(listener, state_types(listener.MACHINE))
    check_transitions(channel, frozenset((Open, Closed)))
    check_transitions(inlet, state_types(inlet.INLET) | state_types(inlet.CONNECTION))
    check_transitions(outlet, state_types(outlet.OUTLET) | state_types(outlet.CONNECTION))
    check_transitions(udp_inlet, state_types(udp_inlet.INLET) | state_types(udp_inlet.SESSION))
    check_transitions(udp_outlet, state_types(udp_outlet.OUTLET) | state_types(udp_outlet.SESSION))
    check_transitions(connection, frozenset((Running, Ended)))


STEPS = {
    initiator.MACHINE.name: [("AwaitingMessage2", "ComparingPeer"), ("ComparingPeer", "Open"), ("Open", "Closed")],
    responder.MACHINE.name: [
        ("AwaitingMessage1", "AwaitingMessage3"),
        ("AwaitingMessage3", "ComparingPeer"),
        ("ComparingPeer", "Open"),
        ("Open", "Closed"),
    ],
}


@pytest.mark.parametrize("table", [INITIATOR, RESPONDER], ids=lambda table: table.machine.name)
def test_the_events_take_a_handshake_all_the_way(table: StateTable) -> None:
    """The property would be weak if nothing but refusals happened."""
    states = [build() for build in table.builders.values()]
    steps = {
        (type(state).__name__, type(check(table, state, event)).__name__)
        for state in states
        for event in EVENTS_OF[table.machine.name]
    }
    assert steps >= set(STEPS[table.machine.name])


def test_the_check_notices_what_is_missing() -> None:
    fewer = replace(INITIATOR, builders={"closed": initiator_refused})
    with pytest.raises(AssertionError):
        check_complete(fewer)
    with pytest.raises(AssertionError):
        check_transitions(initiator, frozenset((Open, Closed)))
    with pytest.raises(AssertionError):
        check_all_machines("ockam_ref.channels", [INITIATOR])
