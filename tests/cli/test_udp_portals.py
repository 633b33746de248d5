"""Portals for datagrams on the command line: a DNS server behind a hub, each part in a process of its own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.dns import DnsServer, address_of, ask
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
