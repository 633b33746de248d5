"""Bluetooth LE over the virtual radio passes the contract suite, with smaller amounts: its links are slow."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from bumble.core import UUID
from bumble.device import Connection, Device, Peer

from ockam_ref.testing.contract import PacketContract, Rig
from ockam_transports import ble, ble_link
from ockam_transports.base import LinkHost
from ockam_transports.ble_link import AGREEMENT, OWN_MODE, TO_CENTRAL, TO_PERIPHERAL
from ockam_transports.virtual_radio import Radio, bleak_on, silence

LOW_WATER = 16_000
NUMBERS = count()


class BleRig(Rig):
    nonsense = ("", "x" * 27, "\u00e9" * 14, "name@", "@usb:0")
    big_bytes = 100_000
    low_water_bytes = LOW_WATER
    settling_turns = 400  # a packet takes many turns from one end to the other
    many_links = False
    half_close = False

    def __init__(self) -> None:
        self.plugin = replace(ble.PLUGIN, create=self.create)
        self._radios: WeakKeyDictionary[asyncio.AbstractEventLoop, Radio] = WeakKeyDictionary()

    @property
    def radio(self) -> Radio:
        """The air of the event loop that runs."""
        loop = asyncio.get_running_loop()
        if loop not in self._radios:
            self._radios[loop] = Radio()
        return self._radios[loop]

    def create(self, host: LinkHost) -> ble.BleTransport:
        scanner, client = bleak_on(self.radio)
        return ble.BleTransport(host, scanner=scanner, client=client, open_controller=self.radio.open_controller)

    def listen_at(self) -> str:
        number = next(NUMBERS)
        return f"node {number}@virtual:{number}"

    def target_of(self, address: str) -> str:
        return address.partition("@")[0]

    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ble_link, "CLOSE_STALL_S", 0.02)

    async def raw_peer(self, target: str) -> "RawCentral":
        device = await self.radio.device("E1:E1:E1:E1:E1:E1")
        name = target.encode()
        found = asyncio.get_running_loop().create_future()

        def look(seen: Any) -> None:
            if name in bytes(seen.data) and not found.done():
                found.set_result(seen)

        device.on("advertisement", look)
        await device.start_scanning(active=True)
        address = (await found).address
        await device.stop_scanning()
        connection = await device.connect(address, timeout=5)
        peer = Peer(connection)
        await peer.request_mtu(517)
        await peer.discover_services()
        await peer.discover_characteristics()
        to_peripheral, to_central, agreement = (
            peer.get_characteristics_by_uuid(UUID(uuid))[0] for uuid in (TO_PERIPHERAL, TO_CENTRAL, AGREEMENT)
        )
        await to_central.subscribe(lambda _: None)
        await agreement.write_value(OWN_MODE, with_response=True)
        return RawCentral(self.radio, device, connection, to_peripheral)


class RawCentral:
    """A central of bumble that writes what it likes."""

    def __init__(self, radio: Radio, device: Device, connection: Connection, to_peripheral: object) -> None:
        self._radio = radio
        self._device = device
        self._connection = connection
        self._to_peripheral: object = to_peripheral

    async def send(self, data: bytes) -> None:
        for start in range(0, len(data), 512):
            await self._to_peripheral.write_value(data[start : start + 512], with_response=False)  # type: ignore[attr-defined]

    def reset(self) -> None:
        self._radio.cut()

    def close(self) -> None:
        """It is gone with the connection."""


class TestBle(PacketContract):
    @pytest.fixture
    def rig(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[BleRig]:
        rig = BleRig()
        monkeypatch.setattr(ble, "SCAN_S", 0.1 if "thousand" in request.node.name else 1.0)
        monkeypatch.setattr(ble_link, "HOLD_INBOX_BYTES", 16_000)
        monkeypatch.setattr(ble_link, "LOW_WATER_BYTES", LOW_WATER)
        with silence():
            yield rig
