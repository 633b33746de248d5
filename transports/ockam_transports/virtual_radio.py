"""A radio in memory: controllers of bumble that hear each other, with faults, and bleak on top of one of them.

Above HCI nothing is mocked: ATT, GATT, subscriptions, L2CAP and the exchange of the MTU are what runs with hardware.
What is not here are bleak's backends of the operating systems, the timing of a real radio, and pairing.
"""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, TypeVar

import bumble.controller
import bumble.link
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from bumble import hci
from bumble.att import ATT_Error
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, Peer
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from ockam_transports.ble import BleTransport
from ockam_transports.ble_link import ATT_OVERHEAD, MAX_VALUE

CENTRAL: Final = "F0:F0:F0:F0:F0:F0"
NAME: Final = "ockam_ble_1"
WRITE_COMMAND, WRITE_REQUEST, WRITE_RESPONSE, NOTIFICATION = 0x52, 0x12, 0x13, 0x1B

T = TypeVar("T")


def att_opcode(frame: bytes) -> int:
    """What an L2CAP frame asks for, when it is one of the attribute protocol."""
    return frame[4] if frame[2:4] == b"\x04\x00" else -1


class Radio(bumble.link.LocalLink):
    """The air, with faults: ``fault(frame)`` says how many seconds a frame is late, or ``None`` to lose it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fault: Callable[[bytes], float | None] = lambda _: 0.0
        self.pace = 0.0
        self.lost = 0
        self._last = 0.0
        self._names = 0
        self._central: Device | None = None
        self._turn = asyncio.Lock()
        self.ports: dict[str, Port] = {}
        self.scans = 0

    def send_acl_data(self, sender_controller: Any, destination_address: Any, transport: Any, data: bytes) -> None:
        delay = self.fault(data)
        if delay is None:
            self.lost += 1
            return
        if not delay:
            super().send_acl_data(sender_controller, destination_address, transport, data)
            return
        loop = asyncio.get_running_loop()
        self._last = max(loop.time() + delay, self._last + 1e-7)  # keeps the order
        loop.call_at(self._last, super().send_acl_data, sender_controller, destination_address, transport, data)

    def cut(self, reason: int = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR) -> None:
        """Do what a supervision time-out does: both sides lose every connection, with no word between them."""
        for controller in self.controllers:
            for connection in list(controller.le_connections.values()):
                controller.on_le_disconnected(connection, reason)

    def controller(self, address: str = "00:00:00:00:00:00") -> "Controller":
        """Return a new controller on this air."""
        self._names += 1
        return Controller(f"C{self._names}", link=self, public_address=address)

    async def open_controller(self, moniker: str) -> "Port":
        """Stand for ``bumble.transport.open_transport``; a controller serves one program, as a dongle does."""
        if moniker in self.ports:
            raise OSError(errno.EBUSY, "Device or resource busy")
        port = self.ports[moniker] = Port(self, moniker)
        return port

    async def central(self) -> Device:
        """Return the device that bleak works with; it is made when it is first used."""
        async with self._turn:
            if self._central is None:
                self._central = await self.device()
        return self._central

    async def device(self, address: str = CENTRAL) -> Device:
        """Return a device with a controller of its own."""
        controller = self.controller(address)
        device = Device(name="device", address=hci.Address(address), host=Host(controller, AsyncPipeSink(controller)))
        await device.power_on()
        return device


class Controller(bumble.controller.Controller):
    """A controller whose completions come late where the radio has a pace, as on the air."""

    _free = 0.0

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        pace = getattr(self.link, "pace", 0.0)
        if pace and isinstance(packet, hci.HCI_Number_Of_Completed_Packets_Event):
            loop = asyncio.get_running_loop()
            self._free = max(loop.time(), self._free) + pace
            loop.call_at(self._free, super().send_hci_packet, packet)
        else:
            super().send_hci_packet(packet)

    def on_hci_le_create_connection_cancel_command(self, command: Any) -> Any:
        """Answer as a controller should; that of bumble 0.0.236 says "success", does nothing, and ``connect`` hangs."""
        if pending := self.pending_le_connection:
            self.pending_le_connection = None
            self.send_hci_packet(
                hci.HCI_LE_Connection_Complete_Event(
                    status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                    connection_handle=0,
                    role=hci.Role.CENTRAL,
                    peer_address_type=pending.peer_address_type,
                    peer_address=pending.peer_address,
                    connection_interval=0,
                    peripheral_latency=0,
                    supervision_timeout=0,
                    central_clock_accuracy=0,
                )
            )
        return super().on_hci_le_create_connection_cancel_command(command)


class Port:
    """A virtual controller as what ``open_transport`` returns."""

    def __init__(self, radio: Radio, moniker: str) -> None:
        self.source: Any = radio.controller()
        self.source.terminated = asyncio.get_running_loop().create_future()
        self.sink = AsyncPipeSink(self.source)
        self._radio = radio
        self._moniker = moniker

    async def close(self) -> None:
        del self._radio.ports[self._moniker]
        self._radio.remove_controller(self.source)


def bleak_on(radio: Radio, *, mtu: int = 517) -> tuple[type[BaseBleakScanner], type[BaseBleakClient]]:
    """Return what bleak calls backends, classes bound to one radio.  ``mtu`` is what this side asks for."""

    class Scanner(BaseBleakScanner):
        def __init__(self, detection_callback: Any, service_uuids: Any, *_: Any, **__: Any) -> None:
            super().__init__(detection_callback, service_uuids)

        async def start(self) -> None:
            self.seen_devices = {}
            device = await radio.central()
            device.on("advertisement", self._on_advertisement)
            radio.scans += 1
            if radio.scans == 1:
                await device.start_scanning(active=True, filter_duplicates=False)

        async def stop(self) -> None:
            device = await radio.central()
            device.remove_listener("advertisement", self._on_advertisement)
            radio.scans -= 1
            if radio.scans == 0:
                await device.stop_scanning()

        def _on_advertisement(self, seen: Any) -> None:
            kinds = AdvertisingData.Type
            name = seen.data.get(kinds.COMPLETE_LOCAL_NAME) or seen.data.get(kinds.SHORTENED_LOCAL_NAME)
            uuids = [dashed(uuid) for uuid in seen.data.get(kinds.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS) or []]
            address = seen.address.to_string(False)
            if known := self.seen_devices.get(address):  # the scan response comes apart from the advertisement
                name, uuids = name or known[1].local_name, uuids or known[1].service_uuids
            data = AdvertisementData(name, {}, {}, uuids, None, seen.rssi, ())
            device = self.create_or_update_device(address, address, name, seen.address, data)
            if self.is_allowed_uuid(uuids):
                self.call_detection_callbacks(device, data)

    class Client(BaseBleakClient):
        def __init__(self, address_or_ble_device: Any, **kwargs: Any) -> None:
            super().__init__(address_or_ble_device, **kwargs)
            is_known = isinstance(address_or_ble_device, BLEDevice)
            self._target = address_or_ble_device.details if is_known else hci.Address(address_or_ble_device)
            self._connection: Connection | None = None

        @property
        def name(self) -> str:
            return self.address

        @property
        def is_connected(self) -> bool:
            return self._connection is not None

        @property
        def mtu_size(self) -> int:
            return 23 if self._connection is None else self._connection.att_mtu

        async def connect(self, pair: bool = False, **_: Any) -> None:  # noqa: FBT001, FBT002
            device = await radio.central()
            try:
                connection = await device.connect(self._target, timeout=self._timeout)
            except Exception as error:  # bumble's own error types must not leak
                raise BleakError(f"cannot connect to {self.address}: {error!r}") from error
            self._connection = connection
            connection.on("disconnection", self._on_disconnection)
            peer = Peer(connection)
            await self._ask(peer.request_mtu(mtu))
            await self._ask(peer.discover_services())
            self.services = BleakGATTServiceCollection()
            for service in peer.services:
                target = BleakGATTService(service, service.handle, dashed(service.uuid))
                self.services.add_service(target)
                for char in await self._ask(service.discover_characteristics()):
                    properties = list(gatt_char_props_to_strs(int(char.properties)))
                    self.services.add_characteristic(
                        BleakGATTCharacteristic(char, char.handle, dashed(char.uuid), properties, self._most, target)
                    )

        def _most(self) -> int:
            return min(self.mtu_size - ATT_OVERHEAD, MAX_VALUE)

        def _on_disconnection(self, _reason: int) -> None:
            self._connection = None
            if self._disconnected_callback:
                self._disconnected_callback()

        async def _ask(self, request: Awaitable[T]) -> T:
            """Wait for an answer; bumble *cancels* a request whose connection ends, a caller must see an error.

            A caller that gives up does not take the request back: bumble would stumble over the answer.
            """
            asked = asyncio.ensure_future(request)
            asked.add_done_callback(_look_at)
            try:
                return await asyncio.shield(asked)
            except ATT_Error as error:
                raise BleakError(f"refused by the peer: {error.error_code}") from error
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._connection is None and task is not None and not task.cancelling():
                    raise BleakError("disconnected during a request") from None
                raise

        async def disconnect(self) -> None:
            if self._connection is not None:
                await self._ask(self._connection.disconnect())

        async def write_gatt_char(self, characteristic: Any, data: Any, response: bool) -> None:  # noqa: FBT001
            connection = self._connection
            if connection is None:
                raise BleakError("Not connected")
            # the virtual link would carry it, and a long request as several: a real one does not, and it hides faults
            if len(data) > characteristic.max_write_without_response_size:
                raise BleakError("value too long for the MTU")
            if response:
                await self._ask(characteristic.obj.write_value(bytes(data), with_response=True))
                return
            await characteristic.obj.write_value(bytes(data), with_response=False)
            await drain(connection)

        async def start_notify(self, characteristic: Any, callback: Any, **_: Any) -> None:
            await self._ask(characteristic.obj.subscribe(lambda value: callback(bytearray(value))))

        async def stop_notify(self, characteristic: Any) -> None:
            await self._ask(characteristic.obj.unsubscribe())

        async def read_gatt_char(self, characteristic: Any, **_: Any) -> bytearray:
            return bytearray(await self._ask(characteristic.obj.read_value()))

        async def _unsupported(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

        pair = unpair = read_gatt_descriptor = write_gatt_descriptor = _unsupported

    return Scanner, Client


def _look_at(done: "asyncio.Future[Any]") -> None:
    """Whoever gave up on a request does not want its error either."""
    if not done.cancelled():
        done.exception()


async def drain(connection: Connection) -> None:
    """Wait until the controller has sent what it was given."""
    with suppress(ValueError):  # nothing was ever sent on it, or it is gone
        await connection.drain()


def dashed(uuid: UUID) -> str:
    """Return a UUID as bleak writes it."""
    if len(uuid.to_bytes()) == 16:
        return uuid.to_hex_str("-").lower()
    return f"0000{uuid.to_hex_str().lower()}-0000-1000-8000-00805f9b34fb"


@contextmanager
def silence() -> Iterator[None]:
    """Keep bumble's log to itself: it tells of every request that a disconnection has ended."""
    logger = logging.getLogger("bumble")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


@asynccontextmanager
async def virtual_radio(*, mtu: int = 517) -> AsyncIterator[tuple[Radio, Callable[..., BleTransport]]]:
    """Yield the air, and what makes a transport for a host on it: ``transport(host, compat=True)``."""
    radio = Radio()
    with silence():
        scanner, client = bleak_on(radio, mtu=mtu)

        def transport(host: Any, *, compat: bool = False) -> BleTransport:
            return BleTransport(
                host, compat=compat, pause_s=0, scanner=scanner, client=client, open_controller=radio.open_controller
            )

        try:
            yield radio, transport
        finally:
            radio.fault = lambda _: 0.0
            radio.cut()
            for _ in range(20):  # what the disconnections set off may end
                await asyncio.sleep(0)
