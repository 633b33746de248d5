"""``ockam-ref send``: one text, one reply."""

import json

import pytest

from tests.commands import run
from tests.interop.harness import ANY_PORT, CommandLine

TEXT = "Grüße, Ockam"


@pytest.mark.spec("CLI-50")
@pytest.mark.parametrize(("service", "reply"), [("echo", TEXT), ("uppercase", TEXT.upper())])
def test_a_service_of_the_hub(service: str, reply: str, command_line: CommandLine) -> None:
    route = f"1#{command_line.hub()['listen']} => {service}"
    said = run("send", route, TEXT)
    assert (said.code, said.output, said.errors) == (0, f"{reply}\n", "")
    told = run("send", route, TEXT, "--json")
    assert json.loads(told.output) == {"event": "reply", "text": reply}


@pytest.mark.spec("CLI-50")
@pytest.mark.parametrize("text", ["", "x" * 100_000])
def test_short_and_long_texts(text: str, command_line: CommandLine) -> None:
    assert run("send", f"1#{command_line.hub()['listen']} => echo", text).output == f"{text}\n"


@pytest.mark.spec("CLI-50")
@pytest.mark.parametrize("arrow", ["=>", " =>  "])
def test_spaces_in_a_route_do_not_matter(arrow: str, command_line: CommandLine) -> None:
    assert run("send", f"1#{command_line.hub()['listen']}{arrow}0#echo", "x").output == "x\n"


@pytest.mark.spec("CLI-51")
def test_an_unknown_worker_is_silent(command_line: CommandLine) -> None:
    route = f"1#{command_line.hub()['listen']} => nobody"
    done = run("send", route, TEXT, "--timeout", "0.5")
    assert (done.code, done.output) == (1, "")
    assert done.errors.startswith(f"ockam-ref: no reply from {route} within 0.5 s.")
    assert "is there a worker at the last address" in done.errors
    assert done.seconds < 5.0


@pytest.mark.spec("CLI-51")
def test_a_hub_that_ends_meanwhile_is_a_sentence(command_line: CommandLine) -> None:
    hub = command_line.start("hub", "--listen", ANY_PORT)
    sending = command_line.start("send", f"1#{hub.ready()['listen']} => nobody", TEXT)
    hub.event("message-dropped")
    hub.kill()
    assert sending.ended(timeout=5.0) == 1
    assert sending.errors().startswith("ockam-ref: no reply: the connection to 1#127.0.0.1:")
