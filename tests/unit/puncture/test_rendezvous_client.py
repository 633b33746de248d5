"""How an end of a puncture gets a socket and its public address."""

import pytest

from ockam_ref.effects import BindEndpoint, CancelTimer, Forward, SetTimer, StartWorker
from ockam_ref.events import AddressGone, LinkFailed, LinkOpened, TimerFired
from ockam_ref.links.udp_endpoint import UdpEndpoint
from ockam_ref.machine import LinkId, Now
from ockam_ref.puncture.ends import ANY_ADDRESS, End
from ockam_ref.puncture.limits import RENDEZVOUS_TIMEOUT_S
from ockam_ref.puncture.rendezvous_client import (
    ASK_AGAIN_S,
    Asking,
    Binding,
    Failed,
    Known,
    begin,
    is_socket_address,
    receive,
)
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage
from tests.unit.nodes import NOW, received, rules
from tests.unit.puncture.scene import RENDEZVOUS

END = End(
    local("sender"), local("remote"), local("receiver"), local("questions"), local("bind"), LinkId(7), "bind flow"
)
QUESTION = Forward(END.questions, LocalMessage((END.bind, *RENDEZVOUS), (END.questions,), b"\x82\x01\x80"))
ASKING = Asking(END, RENDEZVOUS, NOW.monotonic + RENDEZVOUS_TIMEOUT_S)


def after(seconds: float) -> Now:
    return Now(NOW.monotonic + seconds, NOW.unix)


@pytest.mark.spec("PUN-20", "PUN-13")
def test_a_socket_and_a_question() -> None:
    state, effects = begin(END, RENDEZVOUS, ANY_ADDRESS)
    assert (state, effects) == (Binding(END, RENDEZVOUS), (BindEndpoint(LinkId(7), "0.0.0.0:0"),))
    asking, effects = receive(state, LinkOpened(LinkId(7), NOW))
    assert asking == ASKING
    assert effects[0] == StartWorker(UdpEndpoint(LinkId(7), flow_control_id="bind flow", sender=END.bind))
    assert effects[-2:] == (QUESTION, SetTimer("rendezvous", NOW.monotonic + ASK_AGAIN_S))
    answer = received("questions", "bind", bytes.fromhex("8201816e3132372e302e302e313a34303030"))
    assert receive(ASKING, answer) == (Known("127.0.0.1:4000"), (CancelTimer("rendezvous"),))


@pytest.mark.spec("PUN-13")
def test_it_asks_again_and_gives_up() -> None:
    again = SetTimer("rendezvous", NOW.monotonic + 1.5)
    assert receive(ASKING, TimerFired("rendezvous", after(1.0))) == (ASKING, (QUESTION, again))
    failed, effects = receive(ASKING, TimerFired("rendezvous", after(RENDEZVOUS_TIMEOUT_S)))
    assert failed == Failed("no answer from the rendezvous service within 3 s")
    assert not effects


@pytest.mark.spec("PUN-20")
def test_no_socket() -> None:
    failed = receive(Binding(END, RENDEZVOUS), LinkFailed(LinkId(7), "not permitted", NOW))
    assert failed == (Failed("no socket: not permitted"), ())
    assert receive(ASKING, AddressGone(END.bind, NOW)) == (Failed("the socket is gone"), ())
    assert receive(ASKING, AddressGone(local("another"), NOW)) == (ASKING, ())


@pytest.mark.spec("PUN-14")
@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("820080", "the rendezvous service answered another question"),
        ("82018164613a6262", "the rendezvous service said 'a:bb', which is no address of a socket"),
    ],
)
def test_answers_that_end_it(payload: str, reason: str) -> None:
    assert receive(ASKING, received("questions", "bind", bytes.fromhex(payload))) == (Failed(reason), ())


@pytest.mark.spec("PUN-14", "PUN-26")
def test_messages_that_do_not() -> None:
    for event, rule in (
        (received("questions", "bind", b"\x82\x02"), "bad-rendezvous-response"),
        (received("sender x"), "puncture-not-open"),
        (received("remote"), "puncture-not-open"),
    ):
        state, effects = receive(ASKING, event)
        assert state == ASKING
        assert rules(effects) == [rule]
    assert rules(receive(Binding(END, RENDEZVOUS), received("questions"))[1]) == ["puncture-not-open"]


@pytest.mark.spec("PUN-24", "PUN-14")
@pytest.mark.parametrize(
    "text",
    [
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "1.2.3.4:000005",
        "1.2.3.4:+5",
        "1.2.3.4:\u0665",
        "1.2.3.4:",
        "1.2.3.4",
        "2001:db8::1:5",
        "[1.2.3.4]:5",
        "[2001:db8::1:5",
        "localhost:5",
        "",
    ],
)
def test_what_is_no_address_of_a_socket(text: str) -> None:
    assert not is_socket_address(text)
    assert is_socket_address("1.2.3.4:5")
    assert is_socket_address("[2001:db8::1]:65535")
