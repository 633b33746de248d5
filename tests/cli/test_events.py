"""What commands tell while they run: one JSON object a line for programs, sentences for people."""

import json
import re
import signal

import pytest

from tests.commands import open_portal, start
from tests.interop.harness import ANY_PORT, CommandLine, Direct, Event, Peers, Relayed
from tests.interop.traffic import Target, connect, data_of, read_exactly

READY = ("event", "role", "listen", "forwarding_address", "identifier", "pid")
IDENTIFIER = r"I[0-9a-f]{64}"
LISTEN = r"127\.0\.0\.1:[1-9][0-9]*"
RANDOM_NAME = r"forward_to_[0-9a-f]{32}"
QUICKLY_S = 5.0


def first_fields(event: Event) -> tuple[str, ...]:
    """Return the names of the fields that every ``ready`` event begins with."""
    return tuple(event)[: len(READY)]


@pytest.mark.spec("CLI-30", "CLI-31")
def test_ready_of_a_hub(command_line: CommandLine) -> None:
    hub = command_line.start("hub", "--listen", ANY_PORT)
    ready = hub.ready()
    assert tuple(ready) == READY
    assert (ready["role"], ready["forwarding_address"], ready["pid"]) == ("hub", None, hub.pid)
    assert re.fullmatch(LISTEN, ready["listen"])
    assert re.fullmatch(IDENTIFIER, ready["identifier"])


@pytest.mark.spec("CLI-30", "CLI-31")
def test_ready_of_an_outlet_at_a_hub(command_line: CommandLine) -> None:
    hub = command_line.hub()["listen"]
    outlet, ready = command_line.outlet("127.0.0.1:9", hub=hub)
    assert first_fields(ready) == READY
    assert (ready["role"], ready["listen"], ready["pid"]) == ("outlet", None, outlet.pid)
    assert re.fullmatch(RANDOM_NAME, ready["forwarding_address"])
    assert re.fullmatch(IDENTIFIER, ready["identifier"])
    assert (ready["target"], ready["hub"]) == ("127.0.0.1:9", hub)
    named = command_line.outlet("127.0.0.1:9", hub=hub, relay="bob")[1]
    assert named["forwarding_address"] == "forward_to_bob"


@pytest.mark.spec("CLI-30", "CLI-31")
def test_ready_of_an_outlet_that_listens(command_line: CommandLine) -> None:
    outlet, ready = command_line.outlet("127.0.0.1:9")
    assert first_fields(ready) == READY
    assert (ready["role"], ready["forwarding_address"], ready["pid"]) == ("outlet", None, outlet.pid)
    assert re.fullmatch(LISTEN, ready["listen"])
    assert re.fullmatch(IDENTIFIER, ready["identifier"])


@pytest.mark.spec("CLI-30", "CLI-31")
def test_ready_of_an_inlet(command_line: CommandLine) -> None:
    outlet = command_line.outlet("127.0.0.1:9")[1]
    inlet, ready = command_line.inlet(Direct(outlet["listen"]))
    assert first_fields(ready) == READY
    assert (ready["role"], ready["forwarding_address"], ready["pid"]) == ("inlet", None, inlet.pid)
    assert re.fullmatch(LISTEN, ready["listen"])
    assert re.fullmatch(IDENTIFIER, ready["identifier"])
    assert ready["identifier"] != outlet["identifier"]
    assert (ready["via"], ready["peer"]) == (outlet["listen"], outlet["identifier"])


@pytest.mark.spec("CLI-30")
def test_without_a_channel_nobody_has_an_identifier(command_line: CommandLine) -> None:
    outlet = command_line.outlet("127.0.0.1:9", channel=False)[1]
    inlet = command_line.inlet(Direct(outlet["listen"]), channel=False)[1]
    assert outlet["identifier"] is None
    assert inlet["identifier"] is None
    assert "peer" not in inlet


@pytest.mark.spec("CLI-32", "PT-37")
def test_a_connection_is_told_at_both_ends_with_its_bytes(command_line: CommandLine, target: Target) -> None:
    portal = open_portal(command_line, target.address)
    data = data_of(1, 70_000)
    with connect(portal.address) as client:
        client.sendall(b"E" + data)
        read_exactly(client, len(data))
    for process, side, to_socket, from_socket in (
        (portal.inlet, "inlet", len(data), len(data) + 1),
        (portal.outlet, "outlet", len(data) + 1, len(data)),
    ):
        opened = process.event("connection-opened", timeout=QUICKLY_S)
        closed = process.event("connection-closed", timeout=QUICKLY_S)
        assert opened == {"event": "connection-opened", "side": side, "id": closed["id"]}
        assert tuple(closed) == ("event", "side", "id", "reason", "sent", "received")
        assert closed["reason"]
        assert (closed["side"], closed["sent"], closed["received"]) == (side, to_socket, from_socket)
    assert portal.outlet.seen[0]["event"] == "ready"


@pytest.mark.spec("CLI-33")
def test_channels_and_names_are_told(command_line: CommandLine, target: Target) -> None:
    portal = open_portal(command_line, target.address, relay="bob")
    opened = portal.outlet.event("channel-opened", timeout=QUICKLY_S)
    assert opened == {"event": "channel-opened", "peer": portal.at_inlet["identifier"], "initiator": False}
    registered = portal.hub.event("relay-registered", timeout=QUICKLY_S)
    assert registered == {"event": "relay-registered", "name": "forward_to_bob"}
    portal.outlet.kill()
    removed = portal.hub.event("relay-removed", timeout=QUICKLY_S)
    assert removed["name"] == "forward_to_bob"
    assert removed["reason"]


@pytest.mark.spec("CLI-33")
def test_a_dropped_message_is_told_with_its_rule(command_line: CommandLine) -> None:
    hub = command_line.start("hub", "--listen", ANY_PORT)
    route = f"1#{hub.ready()['listen']} => nobody"
    command_line.start("send", route, "x", "--timeout", "0.3").ended()
    dropped = hub.event("message-dropped", timeout=QUICKLY_S)
    assert dropped["rule"] == "unknown-address"
    assert "nobody" in dropped["detail"]


@pytest.mark.spec("CLI-34", "HOST-20")
def test_a_lost_way_is_told_and_found_again(command_line: CommandLine, target: Target) -> None:
    """The forwarding address outlives the hub: an outlet without --relay draws its name once."""
    portal = open_portal(command_line, target.address)
    address = portal.at_hub["listen"]
    portal.hub.kill()
    for process in (portal.outlet, portal.inlet):
        lost = process.event("link-lost", timeout=QUICKLY_S)
        assert tuple(lost) == ("event", "reason")
        assert lost["reason"]
    command_line.start("hub", "--listen", address).ready()
    for process in (portal.outlet, portal.inlet):
        restored = process.event("link-restored", timeout=QUICKLY_S)
        assert tuple(restored) == ("event", "attempts")
        assert restored["attempts"] >= 1
    way = Relayed(address, portal.at_outlet["forwarding_address"])
    assert command_line.inlet(way)[1]["peer"] == portal.at_outlet["identifier"]
    with connect(portal.address) as client:
        client.sendall(b"Eback")
        assert read_exactly(client, 4) == b"back"


@pytest.mark.spec("CLI-34")
def test_a_hub_tells_of_links_that_end(command_line: CommandLine) -> None:
    hub = command_line.start("hub", "--listen", ANY_PORT)
    connect(hub.ready()["listen"]).close()
    assert hub.event("link-lost", timeout=QUICKLY_S)["reason"]


@pytest.mark.spec("CLI-35")
def test_sentences_for_people(peers: Peers, target: Target) -> None:
    hub = start(peers, "hub", "--listen", ANY_PORT)
    at_hub = re.fullmatch(rf"The hub listens at ({LISTEN})\. It sees routes, .*\.", hub.line())
    assert at_hub
    outlet = start(peers, "outlet", target.address, "--hub", at_hub[1], "--relay", "bob")
    assert outlet.line() == f"{target.address} can be reached through {at_hub[1]}."
    assert outlet.line() == "Forwarding address: forward_to_bob"
    identifier = re.fullmatch(rf"Identifier:         ({IDENTIFIER})", outlet.line())
    assert identifier
    way = ("--hub", at_hub[1], "forward_to_bob")
    inlet = start(peers, "inlet", ANY_PORT, *way, "--expect", identifier[1])
    at_inlet = re.fullmatch(rf"({LISTEN}) leads to the outlet behind {re.escape(at_hub[1])}\.", inlet.line())
    assert at_inlet
    assert inlet.line() == f"The outlet is {identifier[1]}."
    with connect(at_inlet[1]) as client:
        client.sendall(b"Ehello")
        read_exactly(client, 5)
    for process, to_socket, from_socket in ((inlet, 5, 6), (outlet, 6, 5)):
        assert re.fullmatch(r"A connection opened \([0-9a-f]{8}\)\.", process.line("A connection opened"))
        closed = process.line("A connection closed")
        assert closed.endswith(f"; {to_socket} bytes to it, {from_socket} from it.")
    anybody = start(peers, "inlet", ANY_PORT, *way)
    anybody.line()
    assert anybody.line() == f"The outlet is {identifier[1]}; nobody asked for it (see --expect)."
    hub.kill()
    assert outlet.line("The way to").startswith(f"The way to {at_hub[1]} is lost: ")
    for process in (outlet, inlet, anybody):
        assert process.errors() == ""
        process.signal(signal.SIGTERM)
        assert not any(line.startswith("{") for line in process.rest())


@pytest.mark.spec("CLI-30")
def test_every_line_is_one_object(command_line: CommandLine, target: Target) -> None:
    portal = open_portal(command_line, target.address)
    for _ in range(3):
        with connect(portal.address) as client:
            client.sendall(b"Ex")
            read_exactly(client, 1)
    portal.outlet.event("connection-closed", timeout=QUICKLY_S)
    for process in portal.processes:
        process.signal(signal.SIGTERM)
        for line in process.rest():
            event = json.loads(line)
            assert isinstance(event["event"], str)
            assert None not in event.values()
