"""Portals for datagrams on the command line: a DNS server behind a hub, each part in a process of its own."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.dns import DnsServer, address_of, answers, ask, question
from tests.interop.harness import ANY_PORT, CommandLine


@pytest.mark.spec("CLI-80", "CLI-81")
def test_a_dns_server_behind_a_hub(command_line: CommandLine) -> None:
    with DnsServer() as server:
        hub = command_line.hub()["listen"]
        outlet = command_line.start("udp-outlet", server.address, "--hub", hub, "--relay", "dns")
        at_outlet = outlet.ready()
        assert (at_outlet["role"], at_outlet["target"]) == ("udp-outlet", server.address)
        expect = ["--expect", at_outlet["identifier"]]
        inlet = command_line.start("udp-inlet", ANY_PORT, "--hub", hub, at_outlet["forwarding_address"], *expect)
        at_inlet = inlet.ready()
        assert (at_inlet["role"], at_inlet["peer"]) == ("udp-inlet", at_outlet["identifier"])
        with ThreadPoolExecutor(8) as pool:
            answered = pool.map(lambda number: ask(at_inlet["listen"], f"host-{number}.example"), range(64))
            assert list(answered) == [[address_of(number)] for number in range(64)]
        for side in (inlet, outlet):
            assert side.event("connection-opened")["side"] in {"inlet", "outlet"}


@pytest.mark.spec("CLI-80", "CLI-82")
def test_directly_without_a_channel_and_with_a_short_memory(command_line: CommandLine) -> None:
    with DnsServer() as server:
        ends = ["--no-channel", "--idle-timeout", "0.05"]
        outlet = command_line.start("udp-outlet", server.address, "--listen", ANY_PORT, *ends)
        inlet = command_line.start("udp-inlet", ANY_PORT, "--node", outlet.ready()["listen"], *ends)
        address = inlet.ready()["listen"]
        for number in range(2):
            assert ask(address, f"host-{number}.example") == [address_of(number)]
            for side in (inlet, outlet):
                reasons = ("nothing came for 0.05 s", "the inlet has ended the session")  # whose clock is first
                assert side.event("connection-closed")["reason"] in reasons


@pytest.mark.spec("CLI-81")
def test_an_outlet_that_is_started_anew_is_reached_again(command_line: CommandLine) -> None:
    with DnsServer() as server:
        hub = command_line.hub()["listen"]
        again = ["udp-outlet", server.address, "--hub", hub, "--relay", "dns"]
        first = command_line.start(*again)
        inlet = command_line.start("udp-inlet", ANY_PORT, "--hub", hub, first.ready()["forwarding_address"])
        address = inlet.ready()["listen"]
        assert ask(address, "host-1.example") == [address_of(1)]
        first.kill()
        inlet.event("link-lost")
        command_line.start(*again).ready()
        inlet.event("link-restored")
        assert ask(address, "host-2.example") == [address_of(2)]


@pytest.mark.spec("CLI-80", "CLI-81")
def test_a_session_goes_on_when_the_way_becomes_direct_and_the_hub_dies(command_line: CommandLine) -> None:
    with DnsServer() as server, ExitStack() as stack:
        rendezvous = command_line.start("rendezvous", "--listen", ANY_PORT).ready()["listen"]
        hub = command_line.start("hub", "--listen", ANY_PORT)
        both = ["--hub", hub.ready()["listen"], "--rendezvous", rendezvous]
        outlet = command_line.start("udp-outlet", server.address, *both, "--relay", "dns")
        inlet = command_line.start("udp-inlet", ANY_PORT, *both, outlet.ready()["forwarding_address"])
        host, _, port = inlet.ready()["listen"].rpartition(":")
        client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.connect((host, int(port)))
        client.settimeout(10)

        def ask_again(number: int) -> None:
            asked, expected = question(f"host-{number}.example")
            client.send(asked)
            assert answers(client.recv(4096)) == (expected, [address_of(number)])

        ask_again(1)
        assert inlet.event("way-moved")["direct"] is True
        ask_again(2)
        hub.kill()
        inlet.event("link-lost")
        ask_again(3)
        events = [event for event in inlet.seen if event["event"].startswith("connection-")]
        assert [event["event"] for event in events] == ["connection-opened"]
