"""Bluetooth LE: the peripheral, on bumble, with a controller that it has for itself (facts 09 sections 3 and 7).

The same code drives a real controller (``usb:0``, ``serial:/dev/ttyACM0,1000000``, ``hci-socket:0``), one that another
process holds (``tcp-client:127.0.0.1:9001``), and a virtual one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from bumble import data_types, hci
from bumble.att import ATT_UNLIKELY_ERROR_ERROR, ATT_Error
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.transport import open_transport
from bumble.transport.common import Transport

from ockam_ref.errors import ErrorCode, OckamError
from ockam_transports.base import Acceptor, LinkHost
from ockam_transports.ble_link import (
    AGREEMENT,
    ATT_OVERHEAD,
    HANG_UP_S,
    MAX_VALUE,
    OWN_MODE,
    SERVICE,
    TO_CENTRAL,
    TO_PERIPHERAL,
    WINDOW,
    BleLink,
    GattError,
)
from ockam_transports.reasons import describe

ADVERTISING_MS: Final = 30.0
"""Time between two advertisements."""
MAX_MTU: Final = 517
"""The largest attribute packet we take: a value of 512 bytes in any kind of packet."""
SET_UP_S: Final = 10.0
"""A controller must be ready within this time."""
AGREE_S: Final = 10.0
"""A central must have subscribed, and in our own mode agreed, within this time: there is room for one."""
HOLD_S: Final = 20.0
"""How long a write of the central is kept waiting for its answer while our inbox is full; GATT gives it 30 s."""

_ENDS: Final = {
    hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR: "the other side has disconnected",
    hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR: "the other side is out of reach (timed out)",
}


class Peripherals:
    """The peripherals of one transport, each with a controller that it has for itself."""

    def __init__(
        self, host: LinkHost, *, compat: bool, open_controller: Callable[[str], Awaitable[Transport]] | None
    ) -> None:
        self._host = host
        self._compat = compat
        self._open_controller = open_controller or open_transport
        self._of: dict[str, Peripheral] = {}

    async def listen(self, name: str, moniker: str, accept: Acceptor, place: str) -> "Peripheral":
        """Advertise the name; see ``BleTransport.listen``.  ``place`` is what people call it."""
        before = self._of.get(moniker)
        if before is not None and before.is_closing:
            await before.wait_closed()
        peripheral = Peripheral(name, f"{name}@{moniker}", accept, self._host, compat=self._compat)
        try:
            async with asyncio.timeout(SET_UP_S):
                await peripheral.start(await self._open_controller(moniker))
        except TimeoutError:
            reason = f"it is not ready within {SET_UP_S:g} s"
        except OSError as error:
            reason = describe(error)
        except Exception as error:  # noqa: BLE001  # bumble, libusb and pyserial raise what they like, even Exception
            reason = str(error) or "it cannot be opened"
        else:
            self._of[moniker] = peripheral
            return peripheral
        await peripheral.shut_down()
        raise OckamError(ErrorCode.LINK_FAILED, f"cannot listen on {place}: the Bluetooth controller: {reason}")


class Peripheral:
    """A peripheral that advertises; it hands the one central that may be connected to the host as a link."""

    def __init__(self, name: str, address: str, accept: Acceptor, host: LinkHost, *, compat: bool) -> None:
        self.address = address
        self._name = name
        self._accept = accept
        self._host = host
        self._compat = compat
        self._controller: Transport | None = None
        self._device: Device | None = None
        self._connection: Connection | None = None
        self._link: BleLink | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()  # what is said to the controller about advertising is said one after the other
        self._closed = False
        self._over = asyncio.Event()
        self._out = Characteristic(TO_CENTRAL, Characteristic.Properties.NOTIFY, Characteristic.Permissions(0), b"")
        self._out.on(Characteristic.EVENT_SUBSCRIPTION, self._on_subscription)

    async def start(self, controller: Transport) -> None:
        """Make the controller ours, set up the profile, advertise."""
        self._controller = controller
        controller.source.terminated.add_done_callback(self._on_controller_lost)
        address = hci.Address.generate_static_address()
        device = self._device = Device.with_hci(self._name, address, controller.source, controller.sink)
        await device.power_on()
        device.gatt_server.max_mtu = MAX_MTU
        device.add_service(Service(SERVICE, self._profile()))
        flags = AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE | AdvertisingData.Flags.BR_EDR_NOT_SUPPORTED
        device.advertising_data = bytes(
            AdvertisingData([data_types.Flags(flags), data_types.ShortenedLocalName(self._name)])
        )
        if not self._compat:  # the board of 2022 leaves its scan response empty
            services = data_types.CompleteListOf128BitServiceUUIDs([UUID(SERVICE)])
            device.scan_response_data = bytes(AdvertisingData([services]))
        device.on("connection", self._on_connection)
        await self._advertise()

    def close(self) -> None:
        """Accept no more: stop advertising, and give the controller back once no central is connected."""
        if not self._closed:
            self._closed = True
            self._run(self._wind_up())

    @property
    def is_closing(self) -> bool:
        """Whether nobody is accepted any more."""
        return self._closed

    async def wait_closed(self) -> None:
        """Return once the controller was given back, or after ``SET_UP_S``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SET_UP_S):
                await self._over.wait()

    async def shut_down(self) -> None:
        """Give the controller back."""
        self._closed = True
        device, self._device = self._device, None
        controller, self._controller = self._controller, None
        try:
            if device is not None:
                async with asyncio.timeout(HANG_UP_S):
                    await _forgive(device.power_off())
        finally:
            if controller is not None:
                await controller.close()
            self._over.set()

    # ---- the profile

    def _profile(self) -> list[Characteristic[Any]]:
        properties = Characteristic.Properties
        write = properties.WRITE | properties.WRITE_WITHOUT_RESPONSE
        on_packet: CharacteristicValue[bytes] = CharacteristicValue(write=self._on_packet)  # type: ignore[arg-type]  # both
        incoming: Characteristic[bytes] = Characteristic(TO_PERIPHERAL, write, Characteristic.WRITEABLE, on_packet)
        if self._compat:
            return [incoming, self._out]
        on_agreement: CharacteristicValue[bytes] = CharacteristicValue(lambda _: OWN_MODE, self._on_agreement)
        rights = Characteristic.READABLE | Characteristic.WRITEABLE
        kinds = properties.READ | properties.WRITE
        agreement: Characteristic[bytes] = Characteristic(AGREEMENT, kinds, rights, on_agreement)
        return [incoming, self._out, agreement]

    def _on_packet(self, connection: Connection, packet: bytes) -> Awaitable[None] | None:
        """Take a write; never a coroutine function, since bumble's tasks would then overtake each other (facts 09, 6).

        What is returned delays the answer to a request, and so the central, after the packet was taken.
        """
        link = self._link
        if link is None or connection is not self._connection:
            # a central of 2022, or one that does not wait for its agreement: its packets would mean something else
            self._run(_disconnect(connection))
            return None
        link.packet_received(bytes(packet))
        room = link.inbox.room()
        return None if room is None else _wait_for(room)

    def _on_agreement(self, connection: Connection, value: bytes) -> None:
        if bytes(value[:1]) != OWN_MODE or not self._is_subscribed(connection):
            raise ATT_Error(ATT_UNLIKELY_ERROR_ERROR)
        self._begin(connection)

    def _on_subscription(self, connection: Connection, notify: bool, _indicate: bool) -> None:  # noqa: FBT001
        if connection is not self._connection:
            return
        if notify and self._compat:
            self._begin(connection)
        elif not notify and self._link is not None:  # nothing that we send would arrive any more
            self._link.fail("the other side has stopped to listen")

    def _is_subscribed(self, connection: Connection) -> bool:
        device = self._device
        subscriptions = {} if device is None else device.gatt_server.subscribers.get(connection, {})
        return bool(subscriptions.get(self._out.handle, b"\x00")[0] & 1)

    # ---- the connection

    async def _advertise(self) -> None:
        """Advertise, unless meanwhile there is no use in it."""
        async with self._turn:
            if self._device is not None and self._connection is None and not self._closed:
                await self._device.start_advertising(
                    advertising_interval_min=ADVERTISING_MS, advertising_interval_max=ADVERTISING_MS
                )

    def _on_connection(self, connection: Connection) -> None:
        if self._closed or self._connection is not None:
            self._run(_disconnect(connection))
            return
        self._connection = connection
        connection.on("disconnection", self._on_disconnection)
        connection.on("connection_att_mtu_update", self._on_mtu)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(AGREE_S, lambda: self._run(_disconnect(connection)))

    def _begin(self, connection: Connection) -> None:
        """The central is one of ours, or in compat one of theirs: from now on there is a link."""
        if self._link is not None or connection is not self._connection or self._device is None:
            return
        self._stop_deadline()
        link = self._link = BleLink(self._host.new_link(), self._host, self._on_link_gone)
        link.attach(PeripheralEnd(self._device, connection, self._out))
        self._accept(link)

    def _on_mtu(self) -> None:
        if self._link is not None:
            self._link.mtu_may_have_changed()

    def _on_disconnection(self, reason: int) -> None:
        self._stop_deadline()
        link, self._link, self._connection = self._link, None, None
        if link is not None:
            link.lost(_ENDS.get(hci.HCI_ErrorCode(reason), "the Bluetooth connection is gone"))
        self._run(self._wind_up() if self._closed else self._advertise())

    def _on_link_gone(self, link: BleLink) -> None:
        if self._link is link:
            self._link = None

    def _on_controller_lost(self, terminated: "asyncio.Future[None]") -> None:
        with suppress(asyncio.CancelledError):
            terminated.exception()  # looked at, since nobody else does
        self._stop_deadline()
        link, self._link, self._connection = self._link, None, None
        if link is not None:
            link.lost("the Bluetooth controller is gone")

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    async def _wind_up(self) -> None:
        try:
            async with asyncio.timeout(HANG_UP_S), self._turn:
                if self._device is not None:
                    await self._device.stop_advertising()
        except asyncio.CancelledError:
            self._device = None  # say nothing more to the controller, its answers would find nobody
            await self.shut_down()
            raise
        finally:
            if self._connection is None:
                await self.shut_down()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_forgive(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class PeripheralEnd:
    """The peripheral's end of one connection."""

    def __init__(self, device: Device, connection: Connection, out: Characteristic[Any]) -> None:
        self._device = device
        self._connection = connection
        self._out = out
        self._unsent = 0

    @property
    def mtu(self) -> int:
        """Bytes of the largest notification."""
        return min(self._connection.att_mtu - ATT_OVERHEAD, MAX_VALUE)

    async def send(self, packet: bytes, *, is_last: bool) -> None:
        """Notify; wait until the controller has sent everything after the last packet and after every eighth."""
        try:
            await self._device.notify_subscriber(self._connection, self._out, packet)
            self._unsent += 1
            if is_last or self._unsent >= WINDOW:
                self._unsent = 0
                with suppress(ValueError):  # nothing was ever sent on it, or it is gone; ``lost`` tells
                    await self._connection.drain()
        except (BaseBumbleError, OSError) as error:
            raise GattError(f"the Bluetooth connection failed: {error}") from None

    async def hang_up(self) -> None:
        """Disconnect; errors do not matter any more."""
        await _disconnect(self._connection)


async def _forgive(work: Coroutine[Any, Any, None]) -> None:
    """Do something with the controller, which may be gone; then there is nothing left to do."""
    with suppress(BaseBumbleError, TimeoutError, OSError):
        await work


async def _disconnect(connection: Connection) -> None:
    """Disconnect; bumble cancels the wait when the connection ends meanwhile."""
    task = asyncio.current_task()
    try:
        await _forgive(connection.disconnect())
    except asyncio.CancelledError:
        if task is None or task.cancelling():
            raise


async def _wait_for(room: "asyncio.Future[None]") -> None:
    await asyncio.wait((room,), timeout=HOLD_S)
