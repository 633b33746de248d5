"""The outlet, and its connections before bytes flow."""

import pytest

from ockam_ref.channels.continuity import with_one_more_gap
from ockam_ref.effects import (
    AddConsumer,
    AddConsumerOfProducer,
    CloseLink,
    Effects,
    Forward,
    IfTaken,
    OpenLink,
    Report,
    ReportDrained,
    StartReading,
    StartWorker,
    StopWorker,
    Tell,
    Watch,
)
from ockam_ref.events import (
    AddressGone,
    ChildSettled,
    ChildStarted,
    LinkFailed,
    LinkOpened,
    PauseChanged,
    StopRequested,
)
from ockam_ref.machine import Mailbox
from ockam_ref.observations import ConnectionClosed, ConnectionOpened, MessageDropped
from ockam_ref.portals import outlet
from ockam_ref.portals.outlet import MAX_WAITING_BYTES, MAX_WAITING_MESSAGES, Outlet, OutletConnection
from ockam_ref.routing.access_control import DENY_ALL, AllowIdentifiers, AllowSources
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage, channel_local_info
from tests.unit.channels.ends import ALICE, BOB, NOW, End, fresh, messages, only, reports
from tests.unit.portals.ends import (
    AT_I,
    AT_O,
    BROKEN_OFF,
    DISCONNECT,
    OUTLET,
    PING,
    PONG,
    TARGET,
    TO_I,
    message,
    payload,
    running_outlet,
    start_outlet_connection,
    written,
)

B_RECEIVER, KEY = local("b.receiver"), local("key")
ALICE_INFO = (channel_local_info(ALICE.identifier.value),)


def start_outlet(**settings: object) -> End:
    return End(outlet.OUTLET, Outlet(OUTLET, "target:80", **settings), fresh())  # type: ignore[arg-type]


def dropped(end: End, arriving: LocalMessage, rule: str) -> None:
    before = end.state
    (drop,) = reports(end.take(arriving, source=B_RECEIVER), MessageDropped)
    assert drop.rule == rule
    assert end.state == before


# ---- the outlet


@pytest.mark.spec("PT-31")
def test_what_a_start_asks_for() -> None:
    control = AllowIdentifiers(frozenset((ALICE.identifier.value,)))
    end = start_outlet(consumer_of=("TCP", "CHANNELS"), incoming=control)
    assert end.mailboxes == (Mailbox(OUTLET, control),)
    assert end.first_effects == (AddConsumer(OUTLET, "TCP"), AddConsumer(OUTLET, "CHANNELS"))


@pytest.mark.spec("PT-3", "PT-15", "PT-16")
def test_a_connection_for_each_ping() -> None:
    end = start_outlet()
    config = end.state.config
    info = with_one_more_gap(ALICE_INFO)
    for arriving, peer, gaps in (
        (message(OUTLET, PING, back=TO_I), None, 0),
        (message(OUTLET, PING + b"trailing", back=TO_I), None, 0),
        (message(OUTLET, PING, back=TO_I, extra=(OUTLET, local("x"))), None, 0),
        (message(OUTLET, PING, back=TO_I, info=ALICE_INFO), ALICE.identifier.value, 0),
        (message(OUTLET, PING, back=TO_I, info=info), ALICE.identifier.value, 1),
    ):
        (effect,) = end.take(arriving, source=B_RECEIVER)
        assert effect == StartWorker(OutletConnection(config, TO_I, peer, gaps, B_RECEIVER))
    assert end.state.asked == 5


@pytest.mark.spec("PT-5")
@pytest.mark.parametrize("skip_handshake", [True, False])
@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "bad-portal-message"),
        (b"\x04", "bad-portal-message"),
        (b"\x8a", "bad-portal-message"),
        (b"\x03\x02x", "bad-portal-message"),
    ],
)
def test_what_is_no_portal_message(content: bytes, rule: str, *, skip_handshake: bool) -> None:
    dropped(start_outlet(skip_handshake=skip_handshake), message(OUTLET, content, back=TO_I), rule)


@pytest.mark.spec("PT-3", "PT-5")
def test_what_is_no_ping() -> None:
    end = start_outlet()
    for content in (PONG, DISCONNECT, payload(b"x")):
        dropped(end, message(OUTLET, content, back=TO_I), "not-a-ping")
    dropped(end, message(OUTLET, PING), "incomplete-route")
    dropped(
        end,
        message(OUTLET, PING, back=TO_I, info=(LocalInfo("SECURE_CHANNEL_IDENTIFIER", b"made by a worker"),)),
        "bad-portal-message",
    )
    assert only(end.take(message(OUTLET, PING, back=TO_I)), StartWorker)


@pytest.mark.spec("PT-30")
def test_the_number_of_connections_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outlet.MAX_OUTLET_CONNECTIONS == 4096
    monkeypatch.setattr(outlet, "MAX_OUTLET_CONNECTIONS", 3)
    end = start_outlet()
    ping = message(OUTLET, PING, back=TO_I)
    for _ in range(3):
        assert only(end.take(ping), StartWorker)
    dropped(end, ping, "connection-limit")
    for number in range(3):
        end.step(ChildStarted(local(f"{number}"), NOW))
    assert (end.state.connections, end.state.asked) == (3, 0)
    dropped(end, ping, "connection-limit")
    end.step(ChildSettled(local("1"), NOW))
    assert only(end.take(ping), StartWorker)
    for number in range(3):
        end.step(ChildSettled(local(f"{number}"), NOW))
    assert (end.state.connections, end.state.asked) == (0, 1)
    assert end.step(PauseChanged(True, NOW)) == ()


# ---- the opening of a connection


@pytest.mark.spec("PT-4", "PT-23", "PT-31")
def test_what_a_connection_asks_for() -> None:
    end = start_outlet_connection()
    assert end.mailboxes == (Mailbox(AT_O),)
    assert end.first_effects == (
        Tell(OUTLET, ChildStarted(AT_O, NOW)),
        AddConsumerOfProducer(AT_O, B_RECEIVER, exact=True),
        Watch(TO_I[0]),
        OpenLink(TARGET, "target:80"),
    )


@pytest.mark.spec("TLS-4")
def test_a_target_may_be_reached_by_another_transport() -> None:
    child = OutletConnection(Outlet(OUTLET, "target:443", transport="tls"), TO_I, None, 0, B_RECEIVER)
    end = End(outlet.CONNECTION, child, fresh(AT_O, link=TARGET))
    assert OpenLink(TARGET, "target:443", "tls") in end.first_effects


@pytest.mark.spec("PT-31")
def test_the_access_control_of_the_outlet_guards_its_connections() -> None:
    control = AllowIdentifiers(frozenset((ALICE.identifier.value,)))
    child = OutletConnection(Outlet(OUTLET, "target:80", (), control), TO_I, None, 0, B_RECEIVER)
    assert End(outlet.CONNECTION, child, fresh(AT_O, link=2)).mailboxes == (Mailbox(AT_O, control),)


@pytest.mark.spec("PT-4", "PT-25")
def test_pong_once_the_target_is_reached() -> None:
    end = start_outlet_connection()
    pong = Forward(AT_O, LocalMessage(TO_I, (AT_O,), PONG))
    assert end.step(LinkOpened(TARGET, NOW)) == (
        pong,
        pong,  # the announcement of credit
        StartReading(TARGET),
        Report(ConnectionOpened(AT_O, OUTLET, "outlet")),
    )


def ended(end: End, effects: Effects, reason: str, *, close: bool, said: tuple[bytes, ...] = ()) -> None:
    assert end.state_name == "Ended"
    (closed,) = reports(effects, ConnectionClosed)
    assert reason in closed.reason
    assert closed == ConnectionClosed(AT_O, OUTLET, "outlet", closed.reason, 0, 0, False, True)
    assert effects[0] == Tell(OUTLET, ChildSettled(AT_O, NOW))
    assert messages(effects) == [LocalMessage(TO_I, (AT_O,), content) for content in said]
    assert bool(only(effects, CloseLink)) is close


@pytest.mark.spec("PT-6")
def test_a_refused_target_is_told() -> None:
    end = start_outlet_connection()
    effects = end.step(LinkFailed(TARGET, "connection refused", NOW))
    ended(end, effects, "connection refused", close=False, said=(DISCONNECT,))
    assert isinstance(effects[-1], StopWorker)


@pytest.mark.spec("PT-18")
def test_a_client_that_hung_up_meanwhile() -> None:
    end = start_outlet_connection()
    ended(end, end.take(message(AT_O, DISCONNECT)), "hung up", close=True)


@pytest.mark.spec("PT-23", "PT-24")
def test_the_other_ends_of_connecting() -> None:
    end = start_outlet_connection()
    ended(end, end.step(AddressGone(TO_I[0], NOW)), "the way to the inlet", close=True)
    end = start_outlet_connection()
    effects = end.step(StopRequested("enough", NOW))
    ended(end, effects, "enough", close=True, said=(DISCONNECT,))
    assert not only(effects, StopWorker)


@pytest.mark.spec("PT-9", "PT-15")
def test_messages_while_connecting() -> None:
    end = start_outlet_connection(peer=ALICE.identifier.value)
    for content in (PING, PONG, payload(b"x")):
        assert end.take(message(AT_O, content, info=ALICE_INFO)) == ()
    for arriving, rule in (
        (message(AT_O, DISCONNECT), "identifier-changed"),
        (message(AT_O, DISCONNECT, info=(channel_local_info(BOB.identifier.value),)), "identifier-changed"),
        (message(AT_O, b"", info=ALICE_INFO), "bad-portal-message"),
        (message(AT_O, DISCONNECT, info=ALICE_INFO, extra=(local("x"),)), "unknown-route"),
    ):
        dropped(end, arriving, rule)
    assert end.step(PauseChanged(True, NOW)) == ()
    assert end.state_name == "Connecting"


# ---- without handshake


def key_of(effects: Effects) -> Address:
    (effect,) = effects
    if isinstance(effect, Forward):
        return effect.message.onward_route[0]
    assert isinstance(effect, StartWorker)
    assert effect.first_message
    assert effect.first_message.onward_route == (effect.config.address,)
    address = effect.config.address
    assert isinstance(address, Address)
    return address


@pytest.mark.spec("PT-33")
def test_a_connection_for_each_peer_and_last_address() -> None:
    end = start_outlet(skip_handshake=True)
    other = local("other")
    keys = [
        key_of(end.take(message(OUTLET, PING, back=back, info=info)))
        for back in (TO_I, (local("another hop"), AT_I), (local("b.hop"), other), (local("b.hop"), Address(1, b"I")))
        for info in ((), ALICE_INFO, (channel_local_info(BOB.identifier.value),))
    ]
    assert len(set(keys)) == 9  # the hops before the last address do not count
    assert all(key.is_local for key in keys)
    assert keys[0] == keys[3]
    (effect,) = end.take(message(OUTLET, PING, back=TO_I, extra=(local("x"),)), source=B_RECEIVER)
    assert effect == StartWorker(
        OutletConnection(end.state.config, TO_I, None, 0, B_RECEIVER, keys[0]),
        message(keys[0], PING, back=TO_I),
        IfTaken.REUSE,
    )


@pytest.mark.spec("PT-33")
def test_only_ping_begins_a_connection() -> None:
    end = start_outlet(skip_handshake=True)
    key = key_of(end.take(message(OUTLET, PING, back=TO_I)))
    for content in (PONG, DISCONNECT, payload(b"x")):
        (effect,) = end.take(message(OUTLET, content, back=TO_I, extra=(local("x"),)))
        assert effect == Forward(OUTLET, message(key, content, back=TO_I))


@pytest.mark.spec("PT-30", "PT-33")
def test_beyond_the_limit_no_connection_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "MAX_OUTLET_CONNECTIONS", 2)
    end = start_outlet(skip_handshake=True)
    for _ in range(2):
        end.step(ChildStarted(local("x"), NOW))
    (effect,) = end.take(message(OUTLET, PING, back=TO_I))
    assert isinstance(effect, Forward)


@pytest.mark.spec("PT-33")
def test_a_connection_takes_messages_from_its_outlet_only() -> None:
    end = start_outlet_connection(skip_handshake=True)
    assert end.mailboxes == (Mailbox(AT_O, DENY_ALL), Mailbox(KEY, AllowSources(frozenset((OUTLET,)))))
    assert end.first_effects == (
        Tell(OUTLET, ChildStarted(AT_O, NOW)),
        Watch(TO_I[0]),
        OpenLink(TARGET, "target:80"),
    )


@pytest.mark.spec("PT-33")
def test_messages_wait_for_the_target_and_no_pong_is_sent() -> None:
    end = start_outlet_connection(skip_handshake=True)
    for content in (PING, payload(b"one"), b"\x09", payload(b"two")):
        assert end.take(message(KEY, content, back=TO_I)) == ()
    effects = end.step(LinkOpened(TARGET, NOW))
    assert (written(effects), messages(effects)) == (b"onetwo", [])
    assert only(effects, StartReading)
    assert not only(effects, ReportDrained)
    assert written(end.take(message(KEY, payload(b"three"), back=TO_I))) == b"three"
    assert end.take(message(KEY, PING, back=TO_I)) == end.take(message(KEY, PONG, back=TO_I)) == ()


@pytest.mark.spec("PT-18", "PT-33")
def test_a_client_that_finished_before_the_target_was_reached() -> None:
    end = start_outlet_connection(skip_handshake=True)
    for content in (PING, payload(b"one"), DISCONNECT, payload(b"too late")):
        end.take(message(KEY, content, back=TO_I))
    effects = end.step(LinkOpened(TARGET, NOW))
    assert written(effects) == b"one"
    assert only(effects, CloseLink)
    assert end.state_name == "Ended"
    assert effects[0] == Tell(OUTLET, ChildSettled(AT_O, NOW))


@pytest.mark.spec("PT-33", "PT-39")
def test_what_waits_is_bounded_in_number_and_size() -> None:
    assert (MAX_WAITING_MESSAGES, MAX_WAITING_BYTES) == (64, 64 * 131_072)
    many, large = start_outlet_connection(skip_handshake=True), start_outlet_connection(skip_handshake=True)
    for _ in range(MAX_WAITING_MESSAGES):
        assert many.take(message(KEY, payload(b"x"), back=TO_I)) == ()
    ended(
        many,
        many.take(message(KEY, payload(b"x"), back=TO_I)),
        "too much came",
        close=True,
        said=(BROKEN_OFF, DISCONNECT),
    )
    half = payload(bytes(MAX_WAITING_BYTES // 2))
    assert large.take(message(KEY, half, back=TO_I)) == ()
    ended(large, large.take(message(KEY, half, back=TO_I)), "too much came", close=True, said=(BROKEN_OFF, DISCONNECT))


@pytest.mark.spec("PT-30")
def test_the_place_of_a_connection_is_freed_when_it_ends() -> None:
    end = running_outlet()
    assert end.take(message(AT_O, DISCONNECT))[0] == Tell(OUTLET, ChildSettled(AT_O, NOW))
    assert end.take(message(AT_O, DISCONNECT)) == ()
