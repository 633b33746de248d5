"""``ockam-ref send`` talks to the services of Rust nodes."""

import pytest

from tests.interop.harness import CommandLine, Program

pytestmark = pytest.mark.interop

TEXT = "Grüße, Ockam"


@pytest.mark.parametrize(("service", "reply"), [("echo", TEXT), ("uppercase", TEXT.upper())], ids=["echo", "uppercase"])
def test_service_of_a_rust_node(service: str, reply: str, rust: Program, python: CommandLine) -> None:
    address = rust.responder()["listen"]
    sending = python.start("send", f"1#{address} => {service}", TEXT)
    assert sending.event("reply")["text"] == reply
    assert sending.ended() == 0


def test_through_a_rust_middle_node(rust: Program, python: CommandLine) -> None:
    middle = rust.middle(rust.responder()["listen"])
    sending = python.start("send", f"1#{middle['listen']} => forward_to_responder => echo", TEXT)
    assert sending.event("reply")["text"] == TEXT


def test_silence_is_a_sentence_and_exit_code_1(rust: Program, python: CommandLine) -> None:
    address = rust.responder()["listen"]
    sending = python.start("send", "--timeout", "0.5", f"1#{address} => nobody", TEXT)
    assert sending.ended() == 1
    assert "nobody" in sending.errors()
    assert "Traceback" not in sending.errors()
