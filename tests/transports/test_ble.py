"""Bluetooth LE over a radio in memory: real GATT between bleak and bumble, and every way in which it goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bumble import hci
from bumble.core import UUID
from bumble.device import Device, Peer
from bumble.gatt import Characteristic, CharacteristicValue, Service

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.links.ble_packets import BLE, fragment, receive
from ockam_ref.links.form import Fault
from ockam_ref.machine import LinkId
from ockam_ref.testing.contract import NotingHost
from ockam_transports import ble, ble_link, ble_peripheral
from ockam_transports.base import LOW_WATER_BYTES
from ockam_transports.ble_link import AGREEMENT, OWN_MODE, SERVICE, TO_CENTRAL, TO_PERIPHERAL, WINDOW, BleLink
from ockam_transports.virtual_radio import (
    NAME,
    NOTIFICATION,
    WRITE_COMMAND,
    WRITE_REQUEST,
    WRITE_RESPONSE,
    Radio,
    att_opcode,
    virtual_radio,
)
from tests.transports.conftest import Run

CENTRAL = LinkId(1000)
"""The number of the link that the central opens."""


class Pair:
    """A peripheral and a central with a link between them, each with a host of its own."""

    def __init__(self, radio: Radio, transport: Callable[..., ble.BleTransport], *, compat: bool) -> None:
        self.radio = radio
        self.near, self.far = NotingHost(), NotingHost()
        self.central = transport(self.near, compat=compat)
        self.peripheral = transport(self.far, compat=compat)
        self.listener: Any = None

    async def listen(self, name: str = NAME) -> None:
        self.listener = await self.peripheral.listen(f"{name}@virtual:{name}", self.far.accept)
        assert self.listener.address == f"{name}@virtual:{name}"

    async def connect(self, link: LinkId = CENTRAL, target: str = NAME) -> tuple[BleLink, BleLink]:
        """Open a link; return both ends, which read."""
        before = len(self.far.accepted)
        opened = self.central.open(link, target)
        await self.near.told("opened", link)
        await self.far.until(lambda: len(self.far.accepted) > before)
        accepted = self.far.accepted[-1]
        assert isinstance(accepted, BleLink)
        opened.start_reading()
        accepted.start_reading()
        return opened, accepted

    def send(self, link: BleLink, *packets: bytes) -> None:
        """What a host does: write, then flush; nothing is told meanwhile."""
        with self.near.calling(), self.far.calling():
            for packet in packets:
                link.write((packet[:1], packet[1:]))
            link.flush()


@asynccontextmanager
async def pair(*, mtu: int = 517, compat: bool = False, name: str = NAME) -> AsyncIterator[Pair]:
    async with virtual_radio(mtu=mtu) as (radio, transport):
        both = Pair(radio, transport, compat=compat)
        await both.listen(name)
        try:
            yield both
        finally:
            both.listener.close()


@pytest.fixture
def run_once() -> Run:
    """Run a coroutine on asyncio's own loop; nothing here depends on the kind of loop."""

    def run_it(coroutine: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(10):
                await coroutine

        asyncio.run(bounded())

    return run_it


# ---- packets


@pytest.mark.spec("BLE-1", "BLE-40")
def test_packets_arrive_whole_and_in_order_both_ways(run: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            packets = [bytes([number]) * (number * 37 % 512 + 1) for number in range(60)]
            both.send(near, *packets)
            both.send(far, *packets)
            await both.far.until(lambda: len(both.far.packets[far.id]) == 60)
            await both.near.until(lambda: len(both.near.packets[near.id]) == 60)
            assert both.far.packets[far.id] == both.near.packets[near.id] == packets

    run(main())


@pytest.mark.spec("BLE-41")
@pytest.mark.parametrize(("mtu", "largest"), [(23, 20), (247, 244), (517, 512), (2000, 512)])
def test_messages_of_every_size_at_every_mtu(run_once: Run, mtu: int, largest: int) -> None:
    async def main() -> None:
        async with pair(mtu=mtu) as both:
            near, far = await both.connect()
            assert (near.mtu, far.mtu) == (largest, largest)
            longest = 65_536 if mtu > 23 else 9_000
            messages = [bytes([number]) * size for number, size in enumerate((1, 8, 26, 1024, longest))]
            packets = [bytes(packet) for message in messages for packet in fragment(message, largest)]
            both.send(near, *packets)
            both.send(far, *packets)
            await both.far.until(lambda: len(both.far.packets[far.id]) == len(packets))
            await both.near.until(lambda: len(both.near.packets[near.id]) == len(packets))
            for arrived in (both.far.packets[far.id], both.near.packets[near.id]):
                assert joined(arrived) == messages

    run_once(main())


def joined(packets: list[bytes]) -> list[bytes | str]:
    state, found = BLE.first, []
    for packet in packets:
        state, more = receive(state, packet)
        found += [one.rule if isinstance(one, Fault) else bytes(one) for one in more]
    return found


@pytest.mark.spec("BLE-41")
def test_a_change_of_the_mtu_is_told(run_once: Run) -> None:
    async def main() -> None:
        async with pair(mtu=23) as both:
            near, far = await both.connect()
            await Peer(next(iter(both.listener._device.connections.values()))).request_mtu(
                100
            )  # peripherals may ask too
            assert await both.near.told("mtu", near.id) == "97" if near.mtu != 20 else True
            both.send(near, b"x")
            both.send(far, b"x")
            assert await both.near.told("mtu", near.id) == "97"
            assert await both.far.told("mtu", far.id) == "97"
            assert (near.mtu, far.mtu) == (97, 97)

    run_once(main())


@pytest.mark.spec("BLE-42")
def test_every_eighth_packet_and_the_last_is_a_request(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            seen: list[int] = []

            def note(frame: bytes) -> float:
                seen.append(att_opcode(frame))
                return 0.0

            both.radio.fault = note
            both.send(near, *[b"x"] * 20)
            await both.far.until(lambda: len(both.far.packets[far.id]) == 20)
            written = [opcode == WRITE_REQUEST for opcode in seen if opcode in (WRITE_COMMAND, WRITE_REQUEST)]
            assert written == [number % WINDOW == 0 or number == 20 for number in range(1, 21)]

    run_once(main())


# ---- reading


@pytest.mark.spec("BLE-43")
def test_nothing_is_told_before_reading_starts(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            near.stop_reading()
            far.stop_reading()
            both.send(near, b"one", b"two")
            both.send(far, b"one", b"two")
            near.report_drained()
            far.report_drained()
            near.flush()
            far.flush()
            await both.near.told("drained", near.id)
            await both.far.told("drained", far.id)
            assert not both.near.packets[near.id]
            assert not both.far.packets[far.id]
            with both.near.calling(), both.far.calling():
                near.start_reading()
                far.start_reading()
            both.send(near, b"three")
            both.send(far, b"three")
            await both.far.until(lambda: len(both.far.packets[far.id]) == 3)
            await both.near.until(lambda: len(both.near.packets[near.id]) == 3)
            assert both.near.packets[near.id] == both.far.packets[far.id] == [b"one", b"two", b"three"]

    run_once(main())


@pytest.mark.spec("BLE-44")
def test_a_peripheral_that_does_not_read_holds_the_central(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            far.stop_reading()
            packets = [bytes(512)] * 400
            both.send(near, *packets)
            room = ble_link.HOLD_INBOX_BYTES // (512 + ble_link.PACKET_COST)
            while near.buffered // 512 > 400 - room:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.1)  # in which as much again would come, if nobody held it
            assert near.buffered // 512 >= 400 - room - 2 * WINDOW
            far.start_reading()
            await both.far.until(lambda: len(both.far.packets[far.id]) == 400)

    run_once(main())


@pytest.mark.spec("BLE-44")
def test_and_answers_late_rather_than_never(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_peripheral, "HOLD_S", 0.01)

    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            far.stop_reading()
            both.send(near, *[bytes(512)] * 150)
            near.report_drained()
            near.flush()
            await both.near.told("drained", near.id)

    run_once(main())


@pytest.mark.spec("BLE-45")
@pytest.mark.parametrize("is_central", [True, False])
def test_more_than_the_inbox_takes_ends_the_link(
    run_once: Run, monkeypatch: pytest.MonkeyPatch, *, is_central: bool
) -> None:
    monkeypatch.setattr(ble_link, "MAX_INBOX_BYTES", 20_000)

    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            reader, sender = (near, far) if is_central else (far, near)
            host, other = (both.near, both.far) if is_central else (both.far, both.near)
            reader.stop_reading()
            both.send(sender, *[bytes(500)] * 50)
            assert "receiver overrun" in await host.told("closed", reader.id)
            await other.told("closed", sender.id)
            assert host.count("closed", reader.id) == other.count("closed", sender.id) == 1

    run_once(main())


# ---- sending


@pytest.mark.spec("BLE-46")
def test_slow_air_fills_the_link_and_not_the_stack(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            both.radio.pace = 0.0005
            queue = both.listener._device.host.le_acl_packet_queue
            packets = [bytes([number]) * 100 for number in range(100)]
            both.send(far, *packets)
            far.report_drained()
            far.flush()
            assert far.buffered == 10_000
            most = 0
            while len(both.near.packets[near.id]) < 100:
                most = max(most, queue.pending)
                await asyncio.sleep(0.001)
            assert most <= WINDOW * 5  # of 27 bytes each
            await both.far.told("drained", far.id)
            assert far.buffered == 0
            assert both.near.packets[near.id] == packets

    run_once(main())


@pytest.mark.spec("BLE-46")
def test_drained_and_relieved_are_told_once(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_link, "LOW_WATER_BYTES", 2_000)
    assert LOW_WATER_BYTES > 2_000

    async def main() -> None:
        async with pair() as both:
            near, _ = await both.connect()
            both.send(near, *[bytes(500)] * 20)
            for _ in range(3):
                near.report_relieved()
                near.report_drained()
            near.flush()
            await both.near.told("drained", near.id)
            order = [what for what, link, _ in both.near.events if link == near.id]
            assert order == ["opened", "relieved", "drained"]
            near.report_drained()
            near.flush()
            await both.near.until(lambda: both.near.count("drained", near.id) == 2)
            near.finish_sending()

    run_once(main())


@pytest.mark.spec("BLE-47")
@pytest.mark.parametrize("lost", [WRITE_REQUEST, WRITE_RESPONSE])
def test_a_side_that_takes_nothing_is_given_up(run_once: Run, monkeypatch: pytest.MonkeyPatch, lost: int) -> None:
    monkeypatch.setattr(ble_link, "SEND_S", 0.05)

    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            both.radio.fault = lambda frame: None if att_opcode(frame) == lost else 0.0
            both.send(near, b"anybody there?")
            assert "timed out" in await both.near.told("closed", near.id)
            await both.far.told("closed", far.id)

    run_once(main())


@pytest.mark.spec("BLE-26", "BLE-48")
def test_what_the_queue_of_a_system_loses_costs_its_messages_only(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            count = 0

            def lossy(frame: bytes) -> float | None:
                nonlocal count
                count += att_opcode(frame) in (WRITE_COMMAND, NOTIFICATION)
                return None if att_opcode(frame) in (WRITE_COMMAND, NOTIFICATION) and count % 11 == 0 else 0.0

            both.radio.fault = lossy
            messages = [bytes([number]) * 300 for number in range(60)]
            packets = [bytes(packet) for message in messages for packet in fragment(message, 100)]
            both.send(near, *packets)
            both.send(far, *packets)
            near.report_drained()
            far.report_drained()
            near.flush()
            far.flush()
            await both.near.told("drained", near.id)
            await both.far.told("drained", far.id)
            assert both.radio.lost > 10
            both.radio.fault = lambda _: 0.0
            last = [bytes(packet) for packet in fragment(b"and the last", 100)]
            both.send(near, *last)
            both.send(far, *last)
            await both.far.until(lambda: both.far.packets[far.id][-1:] == last[-1:])
            await both.near.until(lambda: both.near.packets[near.id][-1:] == last[-1:])
            for arrived in (both.far.packets[far.id], both.near.packets[near.id]):
                found = joined(arrived)
                assert found[-1] == b"and the last"
                whole = [message for message in messages if message in found]
                assert 20 < len(whole) < 60
                assert "cut-short" in found

    run_once(main())


@pytest.mark.spec("BLE-40")
def test_late_frames_keep_their_order(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            both.radio.fault = lambda frame: 0.005 if len(frame) % 3 else 0.001
            packets = [bytes([number]) * (number + 1) for number in range(30)]
            both.send(near, *packets)
            both.send(far, *packets)
            await both.far.until(lambda: len(both.far.packets[far.id]) == 30)
            await both.near.until(lambda: len(both.near.packets[near.id]) == 30)
            assert both.far.packets[far.id] == both.near.packets[near.id] == packets

    run_once(main())


# ---- the end


@pytest.mark.spec("BLE-50")
@pytest.mark.parametrize("is_central", [True, False])
@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_side_hangs_up(run_once: Run, how: str, *, is_central: bool) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            closing, other = (near, far) if is_central else (far, near)
            host, peer = (both.near, both.far) if is_central else (both.far, both.near)
            both.send(closing, *[b"last words"] * 30)
            with both.near.calling(), both.far.calling():
                getattr(closing, how)()
            await host.told("gone", closing.id)
            await peer.told("closed", other.id)
            if how == "close":
                assert peer.packets[other.id] == [b"last words"] * 30
            assert host.count("closed", closing.id) == 0
            assert (host.count("gone", closing.id), peer.count("closed", other.id)) == (1, 1)
            both.send(other, b"late")
            both.send(closing, b"late")
            assert closing.buffered == other.buffered == 0
            for link in (closing, other):  # nothing is left to be done
                link.close()
                link.abort()
                link.start_reading()
            await asyncio.sleep(0.01)
            assert (host.count("gone", closing.id), peer.count("closed", other.id)) == (1, 1)

    run_once(main())


@pytest.mark.spec("BLE-50", "BLE-51")
def test_the_radio_vanishes_in_the_middle_of_a_message_and_comes_back(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            packets = [bytes(packet) for packet in fragment(bytes(65_536), 512)]
            both.send(near, *packets)
            both.send(far, *packets)
            await both.far.until(lambda: len(both.far.packets[far.id]) > 20)
            both.radio.cut()
            assert "out of reach" in await both.near.told("closed", near.id)
            assert "timed out" in await both.far.told("closed", far.id)
            for round_ in range(2, 5):
                number = LinkId(CENTRAL + round_)
                again, accepted = await both.connect(number)
                assert accepted.id != far.id
                both.send(again, b"clean")
                both.send(accepted, b"clean")
                await both.far.until(lambda: both.far.packets[accepted.id] == [b"clean"])  # noqa: B023
                await both.near.until(lambda: both.near.packets[number] == [b"clean"])  # noqa: B023
                both.radio.cut()
                await both.near.told("closed", number)
                await both.far.told("closed", accepted.id)
            assert both.near.count("closed", near.id) == both.far.count("closed", far.id) == 1

    run_once(main())


@pytest.mark.spec("BLE-50")
def test_a_request_that_waits_when_the_radio_vanishes_does_not_hang(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, _ = await both.connect()
            waiting = asyncio.get_running_loop().create_future()

            def answerless(frame: bytes) -> float | None:
                if att_opcode(frame) != WRITE_RESPONSE:
                    return 0.0
                waiting.set_result(None)
                return None

            both.radio.fault = answerless
            both.send(near, b"x")
            await waiting
            both.radio.cut()
            await both.near.told("closed", near.id)
            assert both.near.count("closed", near.id) == 1

    run_once(main())


@pytest.mark.spec("BLE-50")
def test_closing_towards_a_dead_side_is_bounded(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_link, "CLOSE_STALL_S", 0.05)
    monkeypatch.setattr(ble_link, "HANG_UP_S", 0.05)

    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            both.radio.fault = lambda _: None
            both.send(near, b"x")
            near.close()
            await both.near.told("gone", near.id)
            both.radio.fault = lambda _: 0.0
            both.radio.pace = 60.0
            both.send(far, *[b"x"] * 100)
            far.close()
            await both.far.told_one_of(far.id, "gone", "closed")

    run_once(main())


@pytest.mark.spec("BLE-50")
def test_packets_that_came_before_the_end_are_told_before_it(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            near.stop_reading()
            both.send(far, *[b"x"] * 10)
            far.report_drained()
            far.flush()
            await both.far.told("drained", far.id)
            near.start_reading()
            both.radio.cut()
            await both.near.told("closed", near.id)
            assert both.near.packets[near.id] == [b"x"] * 10

    run_once(main())


@pytest.mark.spec("BLE-50")
def test_a_host_may_close_in_answer_to_the_last_packets(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            near, far = await both.connect()
            near.stop_reading()
            both.send(far, *[b"x"] * 10)
            far.report_drained()
            far.flush()
            await both.far.told("drained", far.id)
            both.near.on_bytes = lambda _: near.close()
            near.start_reading()
            both.radio.cut()
            await both.near.told("gone", near.id)
            assert both.near.count("closed", near.id) == 0
            assert both.near.packets[near.id] == [b"x"]

    run_once(main())


@pytest.mark.spec("BLE-52")
@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("turns", [0, 1, 5, 30, 60, 100])
def test_a_link_that_is_closed_while_it_opens(run_once: Run, how: str, turns: int) -> None:
    async def main() -> None:
        async with pair() as both:
            opening = both.central.open(CENTRAL, NAME)
            for _ in range(turns):
                await asyncio.sleep(0)
            getattr(opening, how)()
            await both.near.told("gone", CENTRAL)
            assert both.near.count("failed", CENTRAL) == both.near.count("closed", CENTRAL) == 0
            await both.connect(LinkId(CENTRAL + 1))  # the peripheral is free again

    run_once(main())


# ---- listeners


@pytest.mark.spec("BLE-53")
def test_a_listener_that_is_closed_gives_its_controller_back(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            controllers = both.radio.controllers
            assert len(controllers) == 1
            both.listener.close()
            both.listener.close()
            await both.listener.wait_closed()
            assert not controllers
            await both.listen()
            near, far = await both.connect()
            both.listener.close()
            await asyncio.sleep(0.01)
            assert len(controllers) == 2
            both.send(near, b"links live on")
            await both.far.until(lambda: bool(both.far.packets[far.id]))
            near.close()
            await both.listener.wait_closed()
            assert len(controllers) == 1

    run_once(main())


@pytest.mark.spec("BLE-54")
def test_there_is_room_for_one_central(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble, "SCAN_S", 0.5)

    async def main() -> None:
        async with pair() as both:
            near, _ = await both.connect()
            second = LinkId(2)
            both.central.open(second, NAME)
            assert "was heard" in await both.near.told("failed", second)
            near.close()
            await both.near.told("gone", near.id)
            await both.connect(LinkId(3))

    run_once(main())


@pytest.mark.spec("BLE-55")
def test_the_controller_goes_away(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            _, far = await both.connect()
            both.listener._controller.source.terminated.set_result(None)
            assert "controller is gone" in await both.far.told("closed", far.id)

    run_once(main())


@pytest.mark.spec("BLE-12", "BLE-13")
@pytest.mark.parametrize(
    ("address", "says"),
    [
        (NAME, "NAME@CONTROLLER"),
        ("@usb:0", "NAME@CONTROLLER"),
        ("name@", "NAME@CONTROLLER"),
        (f"{'x' * 27}@usb:0", "26 bytes"),
        (f"{'é' * 14}@usb:0", "26 bytes"),
    ],
)
def test_addresses_that_cannot_be_listened_at(run_once: Run, address: str, says: str) -> None:
    async def main() -> None:
        with pytest.raises(MisuseError, match=says) as caught:
            await ble.BleTransport(NotingHost()).listen(address, lambda _: None)
        assert caught.value.code is ErrorCode.BAD_ADDRESS

    run_once(main())


@pytest.mark.spec("BLE-56")
@pytest.mark.parametrize(
    "moniker", ["nonsense:0", "nonsense", "tcp-client:127.0.0.1:1", "serial:/dev/not-there", "usb:99"]
)
def test_controllers_that_are_not_there(run_once: Run, moniker: str) -> None:
    async def main() -> None:
        with pytest.raises(OckamError, match=r"cannot listen on ble .*: the Bluetooth controller") as caught:
            await ble.BleTransport(NotingHost()).listen(f"{NAME}@{moniker}", lambda _: None)
        assert caught.value.code is ErrorCode.LINK_FAILED

    run_once(main())


@pytest.mark.spec("BLE-56")
def test_a_controller_that_does_not_answer(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_peripheral, "SET_UP_S", 0.05)
    monkeypatch.setattr(ble_peripheral, "HANG_UP_S", 0.05)

    async def main() -> None:
        closed = asyncio.Event()

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1000):
                pass
            writer.close()
            closed.set()

        async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(OckamError, match="not ready"):
                await ble.BleTransport(NotingHost()).listen(f"{NAME}@tcp-client:127.0.0.1:{port}", lambda _: None)
            await closed.wait()  # it was given back

    run_once(main())


@pytest.mark.spec("BLE-57")
def test_a_missing_extra_is_named(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bleak", None)
    monkeypatch.setitem(__import__("sys").modules, "ockam_transports.ble_peripheral", None)
    monkeypatch.delattr("ockam_transports.ble_peripheral")

    async def main() -> None:
        host = NotingHost()
        transport = ble.BleTransport(host)
        transport.open(CENTRAL, NAME)
        assert "ockam-ref[ble]" in await host.told("failed", CENTRAL)
        with pytest.raises(OckamError, match=r"ockam-ref\[ble-peripheral\]"):
            await transport.listen(f"{NAME}@usb:0", lambda _: None)

    run_once(main())


# ---- who is connected to


@pytest.mark.spec("BLE-10", "BLE-14")
def test_the_name_is_matched_exactly(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble, "SCAN_S", 0.5)

    async def main() -> None:
        async with pair(name=f"{NAME}2") as both:
            both.central.open(CENTRAL, NAME)
            assert await both.near.told("failed", CENTRAL) == (
                "ble 'ockam_ble_1': no Bluetooth peripheral of that name was heard within 0.5 s"
            )
            await both.connect(LinkId(2), f"{NAME}2")

    run_once(main())


@pytest.mark.spec("BLE-11")
def test_a_device_address_will_do(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both:
            address = both.listener._device.random_address.to_string(with_type_qualifier=False)
            await both.connect(target=address.lower())

    run_once(main())


@pytest.mark.spec("BLE-12")
@pytest.mark.parametrize("target", ["", "x" * 27, "é" * 14])
def test_names_that_nobody_can_have(run_once: Run, target: str) -> None:
    async def main() -> None:
        host = NotingHost()
        ble.BleTransport(host).open(CENTRAL, target)
        assert "1 to 26 bytes" in await host.told("failed", CENTRAL)

    run_once(main())


@pytest.mark.spec("BLE-56")
def test_a_machine_without_bluetooth(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def missing(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("bleak.BleakScanner.find_device_by_filter", missing)

    async def main() -> None:
        host = NotingHost()
        ble.BleTransport(host).open(CENTRAL, NAME)
        assert "no Bluetooth service" in await host.told("failed", CENTRAL)

    run_once(main())


@pytest.mark.spec("BLE-14")
@pytest.mark.parametrize("takes_connection", [True, False])
def test_a_peripheral_that_vanishes_after_it_was_heard(
    run_once: Run, monkeypatch: pytest.MonkeyPatch, *, takes_connection: bool
) -> None:
    monkeypatch.setattr(ble, "CONNECT_S", 0.1)
    monkeypatch.setattr(ble, "HANG_UP_S", 0.05)

    async def main() -> None:
        async with pair() as both:
            heard = both.central._scanner
            assert heard is not None
            stop = heard.stop

            async def stop_and_vanish(scanner: Any) -> None:
                await stop(scanner)
                if takes_connection:  # and says no more
                    both.radio.fault = lambda _: None
                else:
                    await both.listener._device.stop_advertising()

            monkeypatch.setattr(heard, "stop", stop_and_vanish)
            both.central.open(CENTRAL, NAME)
            assert "ockam_ble_1" in await both.near.told("failed", CENTRAL)
            assert both.near.count("failed", CENTRAL) == 1
            both.radio.fault = lambda _: 0.0

    run_once(main())


async def impostor(radio: Radio, characteristics: list[Any]) -> Device:
    """A peripheral of that name with a profile of its own."""
    device = await radio.device("F1:F1:F1:F1:F1:F1")
    device.add_service(Service(SERVICE, characteristics))
    device.advertising_data = bytes([2, 1, 6, len(NAME) + 1, 8]) + NAME.encode()
    await device.start_advertising(auto_restart=True, advertising_interval_min=20, advertising_interval_max=20)
    return device


def characteristic(uuid: str, properties: int, write: Any = None, value: bytes = b"") -> Any:
    rights = Characteristic.READABLE | Characteristic.WRITEABLE
    kinds = Characteristic.Properties(properties)
    return Characteristic(uuid, kinds, rights, CharacteristicValue(lambda _: value, write or (lambda *_: None)))


READ, COMMAND, WRITE, NOTIFY = 2, 4, 8, 16


@pytest.mark.spec("BLE-2", "BLE-3", "BLE-15")
@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ([], "no Ockam peripheral"),
        ([(TO_PERIPHERAL, WRITE)], "to notify"),
        ([(TO_PERIPHERAL, COMMAND), (TO_CENTRAL, NOTIFY)], "to write"),
        ([(TO_PERIPHERAL, WRITE), (TO_CENTRAL, NOTIFY)], "mode of 2022"),
        ([(TO_PERIPHERAL, WRITE), (TO_CENTRAL, NOTIFY), (AGREEMENT, READ | WRITE)], "does not know"),
    ],
)
def test_peripherals_that_we_cannot_talk_with(run_once: Run, profile: list[tuple[str, int]], says: str) -> None:
    async def main() -> None:
        async with virtual_radio() as (radio, transport):
            other = await impostor(radio, [characteristic(*one, value=b"\x07") for one in profile])
            host = NotingHost()
            transport(host).open(CENTRAL, NAME)
            assert says in await host.told("failed", CENTRAL)
            assert not other.connections  # it is disconnected again

    run_once(main())


@pytest.mark.spec("BLE-15")
def test_the_two_modes_do_not_mix(run_once: Run) -> None:
    async def main() -> None:
        async with virtual_radio() as (radio, transport):
            own, compat = Pair(radio, transport, compat=False), Pair(radio, transport, compat=True)
            await own.listen("own")
            await compat.listen("old")
            own.central.open(CENTRAL, "old")
            assert "'ble-compat'" in await own.near.told("failed", CENTRAL)
            compat.central.open(CENTRAL, "own")
            assert "open it as 'ble'" in await compat.near.told("failed", CENTRAL)
            await own.connect(LinkId(2), "own")
            own.listener.close()
            compat.listener.close()

    run_once(main())


# ---- centrals that do not behave


@asynccontextmanager
async def stranger(both: Pair) -> AsyncIterator[dict[str, Any]]:
    """A central that has connected and looked around; its characteristics by UUID."""
    device = await both.radio.device("E1:E1:E1:E1:E1:E1")
    address = both.listener._device.random_address
    connection = await device.connect(address, timeout=5)
    peer = Peer(connection)
    await peer.discover_services()
    await peer.discover_characteristics()
    found = {uuid: peer.get_characteristics_by_uuid(UUID(uuid))[0] for uuid in (TO_PERIPHERAL, TO_CENTRAL, AGREEMENT)}
    yield {"connection": connection, **found}


async def ended(found: dict[str, Any]) -> int:
    """Wait until the peripheral has hung up; return the reason."""
    over = asyncio.get_running_loop().create_future()
    connection = found["connection"]
    connection.once("disconnection", over.set_result)
    if connection.handle not in connection.device.connections:
        return int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)
    return int(await over)


@pytest.mark.spec("BLE-15")
@pytest.mark.parametrize("is_request", [True, False])
def test_a_central_that_has_agreed_on_nothing(run_once: Run, *, is_request: bool) -> None:
    async def main() -> None:
        async with pair() as both, stranger(both) as found:
            await found[TO_PERIPHERAL].write_value(b"\x00" * 7 + b"\x05", with_response=is_request)
            assert await ended(found) == 0x13
            assert not both.far.accepted

    run_once(main())


@pytest.mark.spec("BLE-15", "BLE-54")
def test_a_central_that_only_stays(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_peripheral, "AGREE_S", 0.5)

    async def main() -> None:
        async with pair() as both, stranger(both) as found:
            assert await ended(found) == 0x13
            assert not both.far.accepted
            await both.connect()

    run_once(main())


@pytest.mark.spec("BLE-15")
def test_agreeing_without_listening_is_refused(run_once: Run) -> None:
    async def main() -> None:
        async with pair() as both, stranger(both) as found:
            agreement = found[AGREEMENT]
            assert await agreement.read_value() == OWN_MODE
            for value in (OWN_MODE, b"", b"\x02"):
                with pytest.raises(Exception, match="UNLIKELY"):
                    await agreement.write_value(value, with_response=True)
            await found[TO_CENTRAL].subscribe(lambda _: None)
            with pytest.raises(Exception, match="UNLIKELY"):
                await agreement.write_value(b"\x02", with_response=True)
            assert not both.far.accepted
            await agreement.write_value(OWN_MODE + b"and more", with_response=True)
            await agreement.write_value(OWN_MODE, with_response=True)
            assert len(both.far.accepted) == 1
            await found[TO_CENTRAL].unsubscribe()
            assert "stopped to listen" in await both.far.told("closed", both.far.accepted[0].id)
            assert await ended(found) == 0x13

    run_once(main())


# ---- compat


@pytest.mark.spec("BLE-4", "BLE-42")
def test_a_board_gets_commands_of_18_bytes(run_once: Run) -> None:
    """A recording board: what a central of 2022 would have sent, and nothing else."""

    async def main() -> None:
        async with virtual_radio() as (radio, transport):
            got: list[bytes] = []
            arrived = asyncio.Event()
            opcodes: list[int] = []

            def note_opcode(frame: bytes) -> float:
                opcodes.append(att_opcode(frame))
                return 0.0

            def note(_: Any, value: bytes) -> None:
                got.append(bytes(value))
                arrived.set()

            to_board = characteristic(TO_PERIPHERAL, WRITE | COMMAND, note)
            await impostor(radio, [to_board, characteristic(TO_CENTRAL, NOTIFY)])
            radio.fault = note_opcode
            host = NotingHost()
            link = transport(host, compat=True).open(CENTRAL, "ble_1")  # a part of the name, as in 2022
            await host.told("opened", CENTRAL)
            assert link.mtu == 18
            opcodes.clear()
            packets = [bytes(packet) for packet in fragment(bytes(range(100)), 18, compat=True)]
            link.write(packets[:1])
            for packet in packets[1:]:
                link.write((packet,))
            link.flush()
            while len(got) < len(packets):
                arrived.clear()
                await arrived.wait()
            assert got == packets
            assert max(map(len, got)) == 18
            assert set(opcodes) == {WRITE_COMMAND}

    run_once(main())


@pytest.mark.spec("BLE-4")
def test_a_board_is_given_time(run_once: Run) -> None:
    async def main() -> None:
        async with virtual_radio() as (radio, transport):
            await impostor(radio, [characteristic(TO_PERIPHERAL, WRITE | COMMAND), characteristic(TO_CENTRAL, NOTIFY)])
            host = NotingHost()
            central = transport(host, compat=True)
            central._pause_s = 0.03
            link = central.open(CENTRAL, NAME)
            await host.told("opened", CENTRAL)
            for packet in (b"\x00" * 8, b"x", b"y"):
                link.write((packet,))
            link.report_drained()
            before = asyncio.get_running_loop().time()
            link.flush()
            await host.told("drained", CENTRAL)
            assert asyncio.get_running_loop().time() - before >= 0.06

    run_once(main())


@pytest.mark.spec("BLE-4")
def test_compat_between_our_own_ends(run_once: Run) -> None:
    async def main() -> None:
        async with pair(compat=True) as both:
            near, far = await both.connect()
            assert near.mtu == 18
            both.send(near, b"ping")
            both.send(far, b"pong")
            await both.far.until(lambda: both.far.packets[far.id] == [b"ping"])
            await both.near.until(lambda: both.near.packets[near.id] == [b"pong"])

    run_once(main())
