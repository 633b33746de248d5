"""The contract suite sees each broken rule: adapters that break one are told apart from those that break none."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.testing.contract import PacketContract
from ockam_ref.testing.contract.scene import LOOPS, run_on
from ockam_transports import memory
from ockam_transports.base import LOW_WATER_BYTES, Chunk
from ockam_transports.memory import MemoryListener, MemoryTransport
from ockam_transports.memory_link import MemoryLink
from tests.transports.test_memory_contract import MemoryRig


class ImpatientRig(MemoryRig):
    deadline_s = 2.0


FAULTS: dict[str, tuple[str, Any]] = {}


def fault(caught_by: str) -> Callable[[Callable[[pytest.MonkeyPatch], None]], Callable[[pytest.MonkeyPatch], None]]:
    """Register a way to break the adapter, and the test that must see it."""

    def register(breaks: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
        FAULTS[breaks.__name__] = (caught_by, breaks)
        return breaks

    return register


def around(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a method by what is made of it."""
    monkeypatch.setattr(owner, name, make(getattr(owner, name)))


@fault("test_nothing_is_told_before_reading_starts")
def reads_before_it_is_asked(patch: pytest.MonkeyPatch) -> None:
    def make(join: Any) -> Any:
        def eager(self: MemoryLink, other: MemoryLink) -> None:
            self._reading = True
            join(self, other)

        return eager

    around(patch, MemoryLink, "join", make)


@fault("test_stop_reading_stops_at_once")
def reads_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryLink, "stop_reading", lambda _: None)


@fault("test_the_address_of_a_listener_leads_to_it")
def tells_from_inside_a_call(patch: pytest.MonkeyPatch) -> None:
    def eager(self: MemoryTransport, link: Any, target: str) -> MemoryLink:
        near = MemoryLink(link, self._host)
        self._connect(near, target)
        return near

    patch.setattr(MemoryTransport, "open", eager)


@fault("test_the_address_of_a_listener_leads_to_it")
def has_an_address_that_leads_nowhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryListener, "address", property(lambda _: "elsewhere", lambda *_: None), raising=False)


@fault("test_after_its_end_a_link_tells_that_it_is_gone_and_nothing_else")
def is_gone_twice(patch: pytest.MonkeyPatch) -> None:
    def make(free: Any) -> Any:
        def twice(self: MemoryLink) -> None:
            free(self)
            if self._closing:
                self._loop.call_soon(self._host.link_gone, self.id)

        return twice

    around(patch, MemoryLink, "_free", make)


@fault("test_after_its_end_a_link_tells_that_it_is_gone_and_nothing_else")
def is_never_gone(patch: pytest.MonkeyPatch) -> None:
    def make(close: Any) -> Any:
        def quiet(self: MemoryLink) -> None:
            close(self)
            self.is_over = True

        return quiet

    around(patch, MemoryLink, "close", make)


@fault("test_close_from_inside_bytes_received")
def talks_after_close(patch: pytest.MonkeyPatch) -> None:
    def make(close: Any) -> Any:
        def talkative(self: MemoryLink) -> None:
            close(self)
            self._loop.call_soon(self._host.link_finished, self.id)

        return talkative

    around(patch, MemoryLink, "close", make)


@fault("test_close_sends_what_was_given_first")
def throws_away_at_close(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryLink, "close", MemoryLink.abort)


@fault("test_a_half_dead_peer_is_given_up")
def waits_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryLink, "_check_progress", lambda *_: None)


@fault("test_an_end_of_the_other_side_is_told_once")
def gives_no_reason(patch: pytest.MonkeyPatch) -> None:
    around(patch, MemoryLink, "_break", lambda broken: lambda self, _: broken(self, ""))


@fault("test_a_side_that_does_not_read_fills_its_sender")
def hides_what_waits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryLink, "buffered", 0)


@fault("test_drained_is_told_once_for_all_that_was_written_before")
def is_drained_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryLink, "report_drained", lambda self: self._loop.call_soon(self._host.link_drained, self.id))


@fault("test_relieved_is_told_once_at_the_low_water_mark")
def is_relieved_too_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("ockam_transports.memory_link.LOW_WATER_BYTES", 64 * LOW_WATER_BYTES)


@fault("test_relieved_is_told_once_at_the_low_water_mark")
def is_never_relieved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryLink, "report_relieved", lambda _: None)


@fault("test_every_write_arrives_as_one_packet_in_order")
def cuts_packets_in_two(patch: pytest.MonkeyPatch) -> None:
    def make(take: Any) -> Any:
        def halves(self: MemoryLink, packet: bytes) -> None:
            take(self, packet[: len(packet) // 2])
            take(self, packet[len(packet) // 2 :])

        return halves

    around(patch, MemoryLink, "_take", make)


@fault("test_every_write_arrives_as_one_packet_in_order")
def makes_a_packet_of_each_chunk(patch: pytest.MonkeyPatch) -> None:
    def make(write: Any) -> Any:
        def each(self: MemoryLink, chunks: Iterable[Chunk]) -> None:
            for chunk in chunks:
                write(self, (chunk,))

        return each

    around(patch, MemoryLink, "write", make)


@fault("test_every_write_arrives_as_one_packet_in_order")
def lets_packets_overtake(patch: pytest.MonkeyPatch) -> None:
    def backwards(self: MemoryLink, chunks: Iterable[Chunk]) -> None:
        packet = b"".join(chunks)
        self._out.appendleft(packet)
        self._given += len(packet)
        self._wake()

    patch.setattr(MemoryLink, "write", backwards)


@fault("test_the_address_of_a_listener_leads_to_it")
def hands_out_its_own_buffer(patch: pytest.MonkeyPatch) -> None:
    around(patch, MemoryLink, "_take", lambda take: lambda self, packet: take(self, bytearray(packet)))


@fault("test_a_closed_listener_leaves_its_links_and_its_address")
def keeps_its_address(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryListener, "close", lambda _: None)


@fault("test_an_address_that_is_taken_is_a_sentence")
def lets_two_listen(patch: pytest.MonkeyPatch) -> None:
    def make(listen: Any) -> Any:
        async def anyway(self: MemoryTransport, address: str, accept: Any) -> MemoryListener:
            memory._listeners.pop(self._loop, None)
            made: MemoryListener = await listen(self, address, accept)
            return made

        return anyway

    around(patch, MemoryTransport, "listen", make)


@fault("test_an_address_at_which_nobody_listens_is_a_sentence")
def shows_the_error_of_the_system(patch: pytest.MonkeyPatch) -> None:
    text = "memory-1: [Errno 111] Connection refused"
    around(patch, MemoryLink, "fail", lambda fail: lambda self, reason: fail(self, f"{reason} {text}"))


@fault("test_an_address_that_cannot_be_read_is_a_sentence")
def names_no_address(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memory, "_no_name", lambda _: "that is no memory name")


@fault("test_an_address_that_cannot_be_read_is_a_sentence")
def lets_an_error_of_the_system_out(patch: pytest.MonkeyPatch) -> None:
    async def listen(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    def make(working: Any) -> Any:
        return lambda self, address, accept: (working if address == "*" else listen)(self, address, accept)

    around(patch, MemoryTransport, "listen", make)


@fault("test_an_address_that_cannot_be_read_is_a_sentence")
def raises_from_open(patch: pytest.MonkeyPatch) -> None:
    def strict(_: object, __: object, target: str) -> None:
        raise OckamError(ErrorCode.BAD_ADDRESS, target)

    patch.setattr(MemoryTransport, "open", strict)


@fault("test_a_thousand_failures_leave_nothing")
def keeps_every_link(patch: pytest.MonkeyPatch) -> None:
    kept: list[MemoryLink] = []

    def make(init: Any) -> Any:
        def keeping(self: MemoryLink, *arguments: Any) -> None:
            init(self, *arguments)
            kept.append(self)

        return keeping

    around(patch, MemoryLink, "__init__", make)


@fault("test_the_address_of_a_listener_leads_to_it")
def leaves_a_task(patch: pytest.MonkeyPatch) -> None:
    tasks: list[asyncio.Task[None]] = []

    def make(init: Any) -> Any:
        def running(self: MemoryTransport, host: Any) -> None:
            init(self, host)
            tasks.append(self._loop.create_task(asyncio.sleep(3600)))

        return running

    around(patch, MemoryTransport, "__init__", make)


@fault("test_the_address_of_a_listener_leads_to_it")
def raises_where_only_the_loop_hears_it(patch: pytest.MonkeyPatch) -> None:
    def make(tell: Any) -> Any:
        def broken(self: MemoryLink) -> None:
            self._loop.call_soon(int, "no number")
            tell(self)

        return broken

    around(patch, MemoryLink, "tell_opened", make)


def play(name: str) -> None:
    """Run one test of the suite, for each value that it is parametrized with until one fails."""
    suite, run = PacketContract(), run_on(LOOPS["asyncio"])
    test = getattr(suite, name)
    if name == "test_after_its_end_a_link_tells_that_it_is_gone_and_nothing_else":
        for ending in ("close", "abort"):
            test(run=run, rig=ImpatientRig(), state="reading", ending=ending)
    elif name == "test_a_thousand_failures_leave_nothing":
        test(run=run, rig=ImpatientRig(), why="refused")
    elif name == "test_a_half_dead_peer_is_given_up":
        with pytest.MonkeyPatch.context() as patch:
            test(run=run, rig=ImpatientRig(), monkeypatch=patch)
    else:
        test(run=run, rig=ImpatientRig())


@pytest.mark.spec("TRN-3")
@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_rule_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    caught_by, breaks = FAULTS[name]
    breaks(monkeypatch)
    with pytest.raises((AssertionError, OSError, OckamError, TimeoutError, pytest.fail.Exception)):
        play(caught_by)


@pytest.mark.parametrize("name", sorted({caught_by for caught_by, _ in FAULTS.values()}))
def test_the_same_tests_pass_an_adapter_that_keeps_the_rules(name: str) -> None:
    play(name)
