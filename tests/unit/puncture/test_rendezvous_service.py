"""The rendezvous service: what it answers, and to whom."""

import pytest

from ockam_ref.effects import AddConsumer, Forward
from ockam_ref.events import StopRequested
from ockam_ref.machine import Mailbox
from ockam_ref.puncture.rendezvous_service import RendezvousService, receive, start, udp_part
from ockam_ref.wire.address import UDP, Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route
from tests.unit.nodes import NOW, fresh, received, rules

R = local("rendezvous")
SEEN = Address(UDP, b"127.0.0.1:4000")
a, b, c, d, e = map(local, "abcde")
C = Address(UDP, b"c")


@pytest.mark.spec("PUN-12")
def test_its_mailbox() -> None:
    worker = start(RendezvousService(R, ("udp",)), fresh())
    assert worker.mailboxes == (Mailbox(R),)
    assert worker.effects == (AddConsumer(R, "udp"),)


def asked(payload: str, back: Route) -> LocalMessage:
    return LocalMessage((R,), back, bytes.fromhex(payload))


@pytest.mark.spec("PUN-10")
def test_ping() -> None:
    event = received("rendezvous", "bind app", bytes.fromhex("820080"))
    assert receive(R, event) == (
        R,
        (Forward(R, asked("820080", ())._replace(onward_route=(local("bind"), local("app")), return_route=(R,))),),
    )


@pytest.mark.spec("PUN-11")
def test_the_address_of_who_asks() -> None:
    back = (local("bind"), SEEN, local("app"))
    event = received("rendezvous")._replace(message=asked("820180", back))
    answer = LocalMessage(back, (R,), bytes.fromhex("8201816e3132372e302e302e313a34303030"))
    assert receive(R, event) == (R, (Forward(R, answer),))


@pytest.mark.spec("PUN-11", "PUN-12")
@pytest.mark.parametrize(
    ("payload", "back", "rule"),
    [
        ("820180", (local("tcp"), local("app")), "no-udp-hop"),
        ("820180", (), "no-udp-hop"),
        ("820180", (local("bind"), Address(UDP, b"\xff")), "bad-rendezvous-request"),
        ("820280", (local("bind"), SEEN), "bad-rendezvous-request"),
        ("", (local("bind"), SEEN), "bad-rendezvous-request"),
    ],
)
def test_what_gets_no_answer(payload: str, back: Route, rule: str) -> None:
    state, effects = receive(R, received("rendezvous")._replace(message=asked(payload, back)))
    assert state == R
    assert rules(effects) == [rule]
    assert len(effects) == 1


@pytest.mark.spec("PUN-11")
@pytest.mark.parametrize(
    ("route", "part"),
    [
        ((a, b, C), (C,)),
        ((a, b, C, d), (C, d)),
        ((a, b, C, d, e), (C, d, e)),
        ((a, b, Address(UDP + 1, b"c"), d), ()),
        ((a, b, c, d), ()),
        ((), ()),
    ],
)
def test_the_part_of_a_route_from_udp_on(route: Route, part: Route) -> None:
    assert udp_part(route) == part


def test_other_events() -> None:
    assert receive(R, StopRequested("", NOW)) == (R, ())
