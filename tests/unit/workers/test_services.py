"""The small services ``echo``, ``uppercase`` and ``hop``, and the seam to the application."""

import pytest

from ockam_ref.effects import AddConsumer, Deliver, Forward
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.machine import AnyMachine, Mailbox
from ockam_ref.observations import MessageDropped
from ockam_ref.routing.access_control import DENY_ALL
from ockam_ref.wire.address import local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.local_message import LocalInfo, LocalMessage
from ockam_ref.workers import application, echo, hop, uppercase
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from ockam_ref.workers.hop import Hop
from ockam_ref.workers.uppercase import Uppercase
from tests.unit.nodes import fresh, received, reported, route

ME = local("me")
HELLO_OCKAM = bytes.fromhex("0c48656c6c6f204f636b616d21")


@pytest.mark.parametrize(
    ("machine", "config"),
    [
        (echo.MACHINE, Echo(ME, ("X", "Y"))),
        (hop.MACHINE, Hop(ME, ("X", "Y"))),
        (uppercase.MACHINE, Uppercase(ME, ("X", "Y"))),
    ],
)
@pytest.mark.spec("RT-50")
def test_a_service_lives_at_its_address_and_is_opened_as_asked(machine: AnyMachine, config: object) -> None:
    worker = machine.start(config, fresh())
    assert worker.mailboxes == (Mailbox(ME),)
    assert worker.effects == (AddConsumer(ME, "X"), AddConsumer(ME, "Y"))


@pytest.mark.parametrize("payload", [b"", b"\x00", HELLO_OCKAM, bytes(range(256)) * 300])
@pytest.mark.spec("RT-51", "RT-41")
def test_echo_answers_the_same_bytes_on_the_way_back(payload: bytes) -> None:
    state, (answer,) = echo.receive(ME, received("me ignored", "p1 p2", payload))
    assert state == ME
    assert answer == Forward(ME, LocalMessage(route("p1 p2"), (ME,), payload))


@pytest.mark.spec("RT-51")
def test_echo_keeps_no_view_of_what_came() -> None:
    event = received("me", "p", b"text")
    event = event._replace(message=event.message.with_payload(memoryview(b"some text")[5:]))
    _, (answer,) = echo.receive(ME, event)
    assert isinstance(answer, Forward)
    assert isinstance(answer.message.payload, bytes)
    assert answer.message.payload == b"text"


@pytest.mark.parametrize(
    ("text", "answer"), [("Hello Ockam!", "HELLO OCKAM!"), ("", ""), ("straße", "STRASSE"), ("ünïcode", "ÜNÏCODE")]
)
@pytest.mark.spec("RT-52", "RT-41")
def test_uppercase_answers_a_text(text: str, answer: str) -> None:
    _, effects = uppercase.receive(ME, received("me", "p1 p2", encode_body(text)))
    assert effects == (Forward(ME, LocalMessage(route("p1 p2"), (ME,), encode_body(answer))),)


@pytest.mark.parametrize("payload", [b"", b"Hello Ockam!", b"\x02\xc3\x28", b"\x05abc"])
@pytest.mark.spec("RT-52")
def test_uppercase_drops_what_is_no_text(payload: bytes) -> None:
    state, effects = uppercase.receive(ME, received("me", "p1", payload))
    (dropped,) = reported(effects, MessageDropped)
    assert (dropped.rule, dropped.source, dropped.return_route) == ("bad-body", local("source"), route("p1"))
    assert state == ME


@pytest.mark.spec("RT-53", "RT-42")
def test_hop_steps_forward() -> None:
    event = received("me n1 n2", "p1 p2", b"payload")
    event = event._replace(message=event.message._replace(local_info=(LocalInfo("k", b"v"),), tracing_context="t"))
    _, (passed_on,) = hop.receive(ME, event)
    expected = LocalMessage(route("n1 n2"), route("me p1 p2"), b"payload", (LocalInfo("k", b"v"),), "t")
    assert passed_on == Forward(ME, expected)


@pytest.mark.spec("RT-54")
def test_an_application_gets_its_messages() -> None:
    mailboxes = (Mailbox(ME), Mailbox(local("other"), DENY_ALL))
    worker = application.start(Application(mailboxes, ("X",)), fresh())
    assert worker.mailboxes == mailboxes
    assert worker.effects == (AddConsumer(ME, "X"),)
    event = received("other", "back", b"text")
    assert application.receive(None, event) == (None, (Deliver(local("other"), local("source"), event.message),))


@pytest.mark.spec("RT-54")
def test_an_application_needs_a_mailbox() -> None:
    with pytest.raises(MisuseError) as caught:
        application.start(Application(()), fresh())
    assert caught.value.code is ErrorCode.MISUSE
