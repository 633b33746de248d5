"""Who may use a portal: controls in both directions, and connections whose peer loses access."""

from typing import Any

import pytest

from ockam_ref.effects import CloseLink, Effects, Forward, Guard, Report, StopWorker
from ockam_ref.events import AccessLost, LinkClosed
from ockam_ref.machine import Mailbox
from ockam_ref.observations import ConnectionClosed
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.subjects import Vouched
from ockam_ref.portals import inlet, outlet, udp_inlet, udp_outlet
from ockam_ref.portals.inlet import Inlet, InletConnection
from ockam_ref.portals.outlet import Outlet, OutletConnection
from ockam_ref.portals.udp_inlet import UdpInlet, UdpInletSession
from ockam_ref.portals.udp_outlet import UdpOutlet, UdpOutletSession
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowByPolicy, AllowOnwardByPolicy, AllowSources
from ockam_ref.testing.memory_host import Socket
from ockam_ref.wire.address import local
from tests.unit.channels.ends import ALICE, BOB, NOW, End, fresh, only, rules
from tests.unit.portals.ends import (
    AT_I,
    AT_O,
    BROKEN_OFF,
    CLIENT,
    DISCONNECT,
    INLET,
    OUTLET,
    PONG,
    TARGET,
    TO_I,
    TO_O,
    WAY,
    PortalWorld,
    closed,
    message,
    reasons,
    running_inlet,
    running_outlet,
    start_inlet_connection,
    start_outlet_connection,
)
from tests.unit.portals.udp_ends import carrying_outlet, start_udp_inlet, start_udp_outlet

AUTHORITY = b"t" * 32
MEMBERS = parse_policy("role=member")
INCOMING, OUTGOING = AllowByPolicy(MEMBERS, AUTHORITY), AllowOnwardByPolicy(MEMBERS, AUTHORITY)
PEER = b"p" * 32
WHY = "the peer may not pass any more (policy)"
LOST = AccessLost(WHY, NOW)
SESSION = local("udp session")


def lose(end: End) -> Effects:
    effects = end.step(LOST)
    assert end.state_name == "Ended"
    (report,) = [effect.observation for effect in only(effects, Report)]
    assert isinstance(report, ConnectionClosed)
    assert (report.reason, report.answered) == (WHY, True)
    return effects


def last_words(effects: Effects) -> list[tuple[Any, bytes]]:
    """What is said, and from where."""
    return [(effect.source, bytes(effect.message.payload)) for effect in only(effects, Forward)]


# ---- the mailboxes


@pytest.mark.spec("PT-40")
def test_both_ends_have_controls_in_both_directions() -> None:
    portal = Outlet(OUTLET, "target:80", incoming=INCOMING, outgoing=OUTGOING)
    assert outlet.start_outlet(portal, fresh()).mailboxes == (Mailbox(OUTLET, INCOMING),)
    connection = End(outlet.CONNECTION, OutletConnection(portal, TO_I, PEER, 0, local("b")), fresh(AT_O, link=TARGET))
    assert connection.mailboxes == (Mailbox(AT_O, INCOMING, OUTGOING),)
    assert connection.first_effects[-1] == Guard(INCOMING, PEER)

    client = Inlet(WAY, PEER, incoming=INCOMING, outgoing=OUTGOING)
    connection = End(inlet.CONNECTION, InletConnection(CLIENT, INLET, client), fresh(AT_I))
    assert connection.mailboxes == (Mailbox(AT_I, INCOMING, OUTGOING),)
    assert Guard(INCOMING, PEER) in connection.first_effects


@pytest.mark.spec("PT-40")
def test_without_handshake_the_outlet_asks_for_every_message() -> None:
    portal = Outlet(OUTLET, "target:80", incoming=INCOMING, outgoing=OUTGOING, skip_handshake=True)
    key = local("key")
    child = OutletConnection(portal, TO_I, PEER, 0, local("b"), address=key)
    assert End(outlet.CONNECTION, child, fresh(AT_O, link=TARGET)).mailboxes == (
        Mailbox(AT_O, DENY_ALL, OUTGOING),
        Mailbox(key, AllowSources(frozenset((OUTLET,)))),
    )


@pytest.mark.spec("PT-40", "DP-22")
def test_datagrams_have_the_same_controls() -> None:
    portal = UdpOutlet(OUTLET, "target:53", incoming=INCOMING, outgoing=OUTGOING)
    assert udp_outlet.start_outlet(portal, fresh()).mailboxes == (Mailbox(OUTLET, INCOMING),)
    session = End(udp_outlet.SESSION, UdpOutletSession(SESSION, portal, TO_I, PEER), fresh(AT_O, link=TARGET))
    assert session.mailboxes[0] == Mailbox(AT_O, DENY_ALL, OUTGOING)
    assert session.first_effects[-1] == Guard(INCOMING, PEER)

    client = UdpInlet(CLIENT, WAY, PEER, incoming=INCOMING, outgoing=OUTGOING)
    session = End(udp_inlet.SESSION, UdpInletSession("127.0.0.1:9", INLET, client, (b"?",)), fresh(AT_I))
    assert session.mailboxes == (Mailbox(AT_I, INCOMING, OUTGOING),)
    assert session.first_effects[-1] == Guard(INCOMING, PEER)


@pytest.mark.spec("PT-40")
def test_who_takes_everybody_sets_no_guard() -> None:
    for end in (start_inlet_connection(), start_outlet_connection(), start_udp_inlet(b"?"), start_udp_outlet()):
        assert not only(end.first_effects, Guard)
        assert end.mailboxes[0].outgoing is ALLOW_ALL


# ---- one connection


@pytest.mark.spec("PT-41")
@pytest.mark.parametrize("end", ["inlet", "outlet"])
def test_a_running_connection_is_cut(end: str) -> None:
    connection = running_inlet() if end == "inlet" else running_outlet()
    portal, link = (INLET, CLIENT) if end == "inlet" else (OUTLET, TARGET)
    effects = lose(connection)
    assert last_words(effects) == [(portal, BROKEN_OFF), (portal, DISCONNECT)]
    assert CloseLink(link, WHY, broken=True) in effects
    assert StopWorker(connection.mailboxes[0].address, WHY) in effects


@pytest.mark.spec("PT-41")
def test_without_handshake_the_last_word_begins_no_other_connection() -> None:
    assert last_words(lose(start_inlet_connection(skip_handshake=True))) == [(INLET, BROKEN_OFF)]


@pytest.mark.spec("PT-41")
def test_a_client_that_waits_is_closed_and_nothing_is_said() -> None:
    effects = lose(start_inlet_connection())
    assert last_words(effects) == []
    assert CloseLink(CLIENT, WHY) in effects


@pytest.mark.spec("PT-41")
def test_nobody_waits_for_the_pong_of_such_a_peer() -> None:
    end = start_inlet_connection()
    end.step(LinkClosed(CLIENT, "hung up", NOW))
    assert end.step(LOST) == (StopWorker(AT_I, "the client is gone"),)
    assert end.take(message(AT_I, PONG, back=TO_O)) == ()


@pytest.mark.spec("PT-41")
def test_a_target_that_is_being_reached_is_given_up() -> None:
    effects = lose(start_outlet_connection())
    assert last_words(effects) == [(OUTLET, DISCONNECT)]
    assert CloseLink(TARGET, WHY) in effects


@pytest.mark.spec("DP-23")
def test_sessions_of_datagrams_end() -> None:
    assert last_words(lose(start_udp_inlet(b"?"))) == [(INLET, DISCONNECT)]
    for end in (start_udp_outlet(), carrying_outlet()):
        effects = lose(end)
        assert last_words(effects) == [(OUTLET, DISCONNECT)]
        assert CloseLink(TARGET, WHY) in effects


# ---- whole nodes


class Members(PortalWorld):
    """Alice's inlet and Bob's outlet, which takes members only; who is one, a test says."""

    def __init__(self, *, at: str = "outlet", skip_handshake: bool = False) -> None:
        super().__init__(skip_handshake=skip_handshake)
        self.guarded = self.bob if at == "outlet" else self.alice
        self.subject = (ALICE if at == "outlet" else BOB).identifier.value
        name = local("members")
        controls = {"incoming": INCOMING, "outgoing": OUTGOING}
        self.outlet = self.bob.start(
            Outlet(
                name,
                "target:80",
                ("CHANNELS",),
                skip_handshake=skip_handshake,
                **(controls if at == "outlet" else {}),  # type: ignore[arg-type]
            )
        )
        route = (self.first_hop, name)
        peer = self.alice.node.peer_of(route)
        own = controls if at == "inlet" else {}
        self.inlet = self.alice.start(
            Inlet(route, peer, skip_handshake=skip_handshake, **own)  # type: ignore[arg-type]
        )

    def vouch(self, role: str = "member", lives: int = 60) -> None:
        now = self.net.now.unix
        pairs = ((b"role", role.encode()),)
        self.guarded.node.attributes.store(self.subject, AUTHORITY, Vouched(pairs, now, now + lives))

    def talk(self, client: Socket, target: Socket) -> bool:
        client_got, target_got = len(client.received), len(target.received)
        self.alice.write(client, b"question")
        self.bob.write(target, b"answer")
        self.net.run()
        return (len(client.received), len(target.received)) == (client_got + 6, target_got + 8)


@pytest.mark.spec("PT-40", "PT-42")
@pytest.mark.parametrize("skip_handshake", [False, True])
@pytest.mark.parametrize("at", ["outlet", "inlet"])
def test_members_pass_and_nobody_else(at: str, *, skip_handshake: bool) -> None:
    world = Members(at=at, skip_handshake=skip_handshake)
    client, target = world.connect()
    assert not target.received
    assert not target.reading
    if at == "inlet":
        assert not client.open
        assert reasons(world.alice) == [WHY]
    else:
        assert rules(world.bob) == ["incoming:policy"]
    world.vouch()
    client, target = world.connect()
    assert world.talk(client, target)


@pytest.mark.spec("PT-41", "PT-42")
@pytest.mark.parametrize("how", ["expired", "revoked", "another role"])
@pytest.mark.parametrize("at", ["outlet", "inlet"])
def test_who_is_a_member_no_longer_loses_what_is_open(at: str, how: str) -> None:
    world = Members(at=at)
    world.vouch(lives=60)
    client, target = world.connect()
    assert world.talk(client, target)
    node = world.guarded.node
    if how == "expired":
        world.net.advance(59)
        assert world.talk(client, target)
        world.net.advance(1)
    elif how == "revoked":
        node.attributes.revoke(world.subject, AUTHORITY, world.net.now.unix)
        world.guarded._carry_out(node.recheck(world.net.now))
    elif how == "another role":
        world.vouch(role="guest")
        world.guarded._carry_out(node.recheck(world.net.now))
    world.net.run()
    assert (client.broken, target.broken) == (True, True)
    assert closed(world.guarded)[-1].reason == WHY
    assert [one.opened for one in (*closed(world.alice), *closed(world.bob))] == [True, True]
    client, target = world.connect()
    assert not target.reading


@pytest.mark.spec("PT-40")
def test_an_expired_member_gets_nothing_even_between_two_looks_at_the_clock() -> None:
    """The controls hold for every message, whenever a guard fires."""
    world = Members()
    world.vouch(lives=60)
    client, target = world.connect()
    world.bob.node.attributes.revoke(world.subject, AUTHORITY, world.net.now.unix)
    assert not world.talk(client, target)
    assert (bytes(client.received), bytes(target.received)) == (b"", b"")
    assert {"incoming:policy", "outgoing:policy"} <= set(rules(world.bob))
