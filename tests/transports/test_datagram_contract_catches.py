"""The contract suite sees each broken rule of datagram transports."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from ockam_ref.errors import OckamError
from ockam_ref.testing.contract import DatagramContract
from ockam_ref.testing.contract.scene import LOOPS, run_on
from ockam_transports import udp
from ockam_transports.datagram_socket import DatagramSocket
from ockam_transports.host_port import parse_host_port
from ockam_transports.udp import UdpLink, UdpSocketEndpoint, UdpTransport
from tests.transports.test_udp_contract import UdpRig


class ImpatientRig(UdpRig):
    deadline_s = 2.0


def around(patch: pytest.MonkeyPatch, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    patch.setattr(owner, name, make(getattr(owner, name)))


def pads_the_last_of_a_batch(patch: pytest.MonkeyPatch) -> None:
    def make(receive: Any) -> Any:
        def padded(self: DatagramSocket) -> Any:
            found = receive(self)
            if found is None:
                return None
            where, datagrams = found
            return where, [datagram.ljust(len(datagrams[0]), b"\0") for datagram in datagrams]

        return padded

    around(patch, DatagramSocket, "receive", make)


def reads_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UdpSocketEndpoint, "stop_reading", lambda _: None)


def says_nothing_of_what_is_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UdpSocketEndpoint, "_tell_lost", lambda *_: None)


def raises_for_a_target(patch: pytest.MonkeyPatch) -> None:
    def make(send: Any) -> Any:
        def strict(self: UdpSocketEndpoint, target: str, datagrams: Any) -> None:
            parse_host_port(target)
            send(self, target, datagrams)

        return strict

    around(patch, UdpSocketEndpoint, "send", make)


def is_gone_twice(patch: pytest.MonkeyPatch) -> None:
    def make(free: Any) -> Any:
        def twice(self: UdpSocketEndpoint) -> None:
            free(self)
            self._loop.call_soon(self._host.link_gone, self.id)

        return twice

    around(patch, UdpSocketEndpoint, "_free", make)


def names_sources_that_lead_nowhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(udp, "_text_of", lambda where: f"{where[0]}:1")


def hears_strangers(patch: pytest.MonkeyPatch) -> None:
    class Open(UdpLink):
        def _received(self, where: Any, datagrams: list[bytes]) -> list[bytes]:
            self._host.bytes_received(self.id, b"a stranger's")
            return super()._received(where, datagrams)

    patch.setattr(udp, "UdpLink", Open)


def keeps_the_address(patch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    def make(close: Any) -> Any:
        def keeping(self: DatagramSocket) -> None:
            kept.append(self._socket.dup())
            close(self)

        return keeping

    around(patch, DatagramSocket, "close", make)


def lets_an_error_of_the_system_out(patch: pytest.MonkeyPatch) -> None:
    async def bind(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    def make(working: Any) -> Any:
        return lambda self, link, address: (working if address == "127.0.0.1:0" else bind)(self, link, address)

    around(patch, UdpTransport, "bind", make)


FAULTS: Final[dict[Callable[[pytest.MonkeyPatch], None], str]] = {
    pads_the_last_of_a_batch: "test_datagrams_arrive_whole_and_alone",
    reads_on: "test_nothing_is_told_before_reading_starts_and_after_it_stops",
    says_nothing_of_what_is_lost: "test_what_cannot_be_sent_is_lost_and_nothing_else",
    raises_for_a_target: "test_what_cannot_be_sent_is_lost_and_nothing_else",
    is_gone_twice: "test_an_address_is_free_again_after_close",
    names_sources_that_lead_nowhere: "test_the_source_of_a_datagram_leads_back",
    hears_strangers: "test_a_link_talks_with_one_other_only",
    keeps_the_address: "test_an_address_is_free_again_after_close",
    lets_an_error_of_the_system_out: "test_an_address_that_cannot_be_read_is_a_sentence",
}


def play(name: str) -> None:
    getattr(DatagramContract(), name)(run=run_on(LOOPS["asyncio"]), rig=ImpatientRig())


@pytest.mark.spec("TRN-3")
@pytest.mark.parametrize("breaks", FAULTS, ids=lambda breaks: breaks.__name__)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_broken_rule_is_seen(breaks: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(monkeypatch)
    with pytest.raises((AssertionError, OSError, OckamError, TimeoutError, pytest.fail.Exception)):
        play(FAULTS[breaks])


@pytest.mark.parametrize("name", sorted(set(FAULTS.values())))
def test_the_same_tests_pass_an_adapter_that_keeps_the_rules(name: str) -> None:
    play(name)
