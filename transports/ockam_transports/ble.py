"""Bluetooth LE: the central on bleak, and the way to the peripheral (``ble_peripheral``, on bumble).

Who opens a link is the central, who listens is the peripheral (facts 02 section 8, 09 section 7).  Needs the extra
``ble``, listening ``ble-peripheral``.  Framing has no checksum and there is no pairing: run a secure channel over it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.machine import LinkId
from ockam_transports.base import Acceptor, LinkHost, LinkKind, Listener, TransportPlugin
from ockam_transports.ble_link import (
    AGREEMENT,
    HANG_UP_S,
    MAX_NAME_BYTES,
    MAX_VALUE,
    OWN_MODE,
    TO_CENTRAL,
    TO_PERIPHERAL,
    WINDOW,
    BleLink,
    GattError,
)
from ockam_transports.reasons import describe

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData, BaseBleakScanner

    from ockam_transports.ble_peripheral import Peripherals

SCAN_S: Final = 10.0
"""How long to listen for the advertisement of a peripheral."""
CONNECT_S: Final = 10.0
"""How long one that was heard may take until everything is agreed."""
COMPAT_PAUSE_S: Final = 0.1
"""How long a central of 2022 waits after each piece of a message, so that a board can take it."""
COMPAT_PIECE_BYTES: Final = 18
"""The largest packet of a board."""
LENGTH_BYTES: Final = 8
"""The packet after which it does not wait: the length of a message."""

PEER_OF_A_BOARD: Final = "ble_client_addr"
"""The name by which a peripheral of 2022 knows its central (facts 02 section 8.3); a central uses the peripheral's."""

_BYTE_PAIRS: Final = r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}"
_UUID: Final = r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"
_DEVICE_ADDRESS: Final = re.compile(f"{_BYTE_PAIRS}|{_UUID}", re.IGNORECASE)


class BleTransport:
    """Bluetooth LE for one host on the running event loop.

    ``compat`` speaks with programs and boards of 2022, and with nobody else; its central waits ``pause_s`` seconds
    after each piece of a message.  The other arguments stand in for the radio of the operating system: the two classes
    that bleak calls backends, and what opens a controller of bumble by its moniker.
    """

    def __init__(
        self,
        host: LinkHost,
        *,
        compat: bool = False,
        pause_s: float = COMPAT_PAUSE_S,
        scanner: "type[BaseBleakScanner] | None" = None,
        client: "type[BaseBleakClient] | None" = None,
        open_controller: Callable[[str], Awaitable[Any]] | None = None,
    ) -> None:
        self._host = host
        self._compat = compat
        self._pause_s = pause_s
        self._scanner = scanner
        self._client = client
        self._open_controller = open_controller
        self._name = "ble-compat" if compat else "ble"
        self._peripherals: Peripherals | None = None
        self._turn = asyncio.Lock()  # a radio makes one connection at a time

    def open(self, link: LinkId, target: str) -> BleLink:
        """Begin to connect to the peripheral that advertises the name ``target``, or has that device address."""
        opening = BleLink(link, self._host, lambda _: None)
        opening.open(partial(self._connect, opening, target))
        return opening

    async def listen(self, address: str, accept: Acceptor) -> Listener:
        """Advertise as a peripheral at ``NAME@CONTROLLER``, for example ``ockam_ble_1@usb:0``.

        Raises:
            MisuseError: ``address`` cannot be read, or the name is too long to be advertised.
            OckamError: the extra is not installed, or there is no such controller.
        """
        name, _, moniker = address.partition("@")
        place = f"{self._name} {address!r}"
        if not moniker or not 0 < len(name.encode()) <= MAX_NAME_BYTES:
            raise MisuseError(
                ErrorCode.BAD_ADDRESS,
                f"cannot listen on {place}: it is not NAME@CONTROLLER, as in ockam_ble_1@usb:0, "
                f"with a name of 1 to {MAX_NAME_BYTES} bytes",
            )
        try:
            from ockam_transports import ble_peripheral  # noqa: PLC0415  # bumble is heavy, and an extra
        except ImportError:
            reason = _install("ble-peripheral")
            raise OckamError(ErrorCode.NOT_INSTALLED, f"cannot listen on {place}: {reason}") from None
        if self._peripherals is None:
            self._peripherals = ble_peripheral.Peripherals(
                self._host, compat=self._compat, open_controller=self._open_controller
            )
        return await self._peripherals.listen(name, moniker, accept, place)

    async def _connect(self, link: BleLink, target: str) -> "CentralEnd":
        try:
            return await self._find(link, target)
        except GattError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001  # bleak lets whatever its platforms raise through
            reason = _explain(error)
        raise GattError(f"{self._name} {target!r}: {reason}")

    async def _find(self, link: BleLink, target: str) -> "CentralEnd":
        if not (0 < len(target.encode()) <= MAX_NAME_BYTES or _DEVICE_ADDRESS.fullmatch(target)):
            raise GattError(f"it is no name of a peripheral, which has 1 to {MAX_NAME_BYTES} bytes")
        try:
            import bleak  # noqa: PLC0415  # an extra
        except ImportError:
            raise GattError(_install("ble")) from None
        backend: Any = {} if self._scanner is None else {"backend": self._scanner}
        device = await bleak.BleakScanner.find_device_by_filter(
            partial(_is_wanted, target, self._compat), timeout=SCAN_S, **backend
        )
        if device is None:
            raise GattError(f"no Bluetooth peripheral of that name was heard within {SCAN_S:g} s")
        end = CentralEnd(link, compat=self._compat, pause_s=self._pause_s)
        end.client = bleak.BleakClient(device, end.on_lost, timeout=CONNECT_S, backend=self._client)
        async with self._turn, asyncio.timeout(CONNECT_S):
            await end.set_up()
        return end


class CentralEnd:
    """The central's end of one connection."""

    client: "BleakClient"
    _out: "BleakGATTCharacteristic"

    def __init__(self, link: BleLink, *, compat: bool, pause_s: float) -> None:
        self._link = link
        self._compat = compat
        self._pause_s = pause_s
        self._unacknowledged = 0
        self._is_open = self._is_lost = False

    async def set_up(self) -> None:
        """Connect, look at the profile, subscribe, agree on the mode.

        Raises:
            GattError: this is no peripheral that we can talk with; it was disconnected again.
        """
        try:
            await self.client.connect()
            self._out = self._look_up(TO_PERIPHERAL, "write")
            incoming = self._look_up(TO_CENTRAL, "notify")
            agreement = self.client.services.get_characteristic(AGREEMENT)
            if (agreement is None) is not self._compat:
                raise GattError(_other_mode(compat=self._compat))
            await self.client.start_notify(incoming, lambda _, packet: self._link.packet_received(bytes(packet)))
            if agreement is not None:
                if bytes(await self.client.read_gatt_char(agreement))[:1] != OWN_MODE:
                    raise GattError("it speaks a mode that this version does not know")
                await self.client.write_gatt_char(agreement, OWN_MODE, response=True)
            if self._is_lost:
                raise GattError("it disconnected at once")
            self._is_open = True
        finally:
            if not self._is_open:
                await self._hang_up_soon()

    def _look_up(self, uuid: str, needed: str) -> "BleakGATTCharacteristic":
        found = self.client.services.get_characteristic(uuid)
        if found is None or needed not in found.properties:
            raise GattError(f"it is no Ockam peripheral: it has no characteristic {uuid} to {needed}")
        return found

    def on_lost(self, _: object) -> None:
        """Take bleak's word that the connection is gone."""
        self._is_lost = True
        if self._is_open:
            self._link.lost("the Bluetooth connection is gone: the other side has disconnected, or is out of reach")

    @property
    def mtu(self) -> int:
        """Bytes of the largest packet; bleak learns it late on some systems, so it is asked again and again."""
        if self._compat:
            return COMPAT_PIECE_BYTES
        return min(self._out.max_write_without_response_size, MAX_VALUE)

    async def send(self, packet: bytes, *, is_last: bool) -> None:
        """Write a packet: a command, but every eighth and the last one a request, which is answered.

        So no more than seven packets are in the operating system's queue, which on some systems loses them silently.
        Compat writes commands only, and pauses after pieces, as the central of 2022 did.
        """
        self._unacknowledged += 1
        asks = not self._compat and (is_last or self._unacknowledged >= WINDOW)
        try:
            await self.client.write_gatt_char(self._out, packet, response=asks)
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            raise GattError(_explain(error)) from None
        if asks:
            self._unacknowledged = 0
        if self._compat and len(packet) != LENGTH_BYTES:
            await asyncio.sleep(self._pause_s)

    async def hang_up(self) -> None:
        """Disconnect; errors do not matter any more."""
        with suppress(Exception):
            await self.client.disconnect()

    async def _hang_up_soon(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(HANG_UP_S):
                await self.hang_up()


def _is_wanted(target: str, compat: bool, device: "BLEDevice", seen: "AdvertisementData") -> bool:  # noqa: FBT001
    """Whether this is the peripheral; the central of 2022 takes the first whose name contains the text."""
    if _DEVICE_ADDRESS.fullmatch(target):
        return target.upper() == device.address.upper()
    name = seen.local_name or ""
    return target in name if compat else target == name


def _explain(error: Exception) -> str:
    """Return why it did not work, in words."""
    if isinstance(error, TimeoutError):
        return "it does not answer (timed out)"
    if isinstance(error, FileNotFoundError):
        return "Bluetooth cannot be used: this system runs no Bluetooth service (on Linux: bluetoothd and D-Bus)"
    if isinstance(error, OSError):
        return f"Bluetooth cannot be used: {describe(error)}"
    return f"the Bluetooth connection failed: {error}"


def _other_mode(*, compat: bool) -> str:
    if compat:
        return "it is a node of our kind: open it as 'ble', not as 'ble-compat'"
    return "it speaks the mode of 2022 only: open it as 'ble-compat'"


def _install(extra: str) -> str:
    return f"this needs the extra {extra!r}: pip install 'ockam-ref[{extra}]'"


def make_plugin(
    *,
    compat: bool = False,
    pause_s: float = COMPAT_PAUSE_S,
    scanner: "type[BaseBleakScanner] | None" = None,
    client: "type[BaseBleakClient] | None" = None,
    open_controller: Callable[[str], Awaitable[Any]] | None = None,
) -> TransportPlugin:
    """Return the plug-in with settings of your own, for ``Node.create(transports=(...,))``; see ``BleTransport``."""
    create = partial(
        BleTransport, compat=compat, pause_s=pause_s, scanner=scanner, client=client, open_controller=open_controller
    )
    address_form = "NAME; to listen, NAME@CONTROLLER"
    if compat:
        return TransportPlugin(
            name="ble-compat",
            transport_type=4,
            kind=LinkKind.PACKET,
            form="ble-compat",
            address_form=address_form,
            summary="Bluetooth LE with programs and boards of 2022: pieces of 18 bytes, messages of 1024",
            create=create,
            link_alias=lambda target: PEER_OF_A_BOARD if target is None else target,
            needs=("bleak",),
            extra="ble",
        )
    return TransportPlugin(
        name="ble",
        transport_type=4,
        kind=LinkKind.PACKET,
        form="ble",
        address_form=address_form,
        summary="Bluetooth LE between our own ends: central on bleak, peripheral on bumble",
        create=create,
        needs=("bleak",),
        extra="ble",
    )


PLUGIN: Final = make_plugin()
COMPAT_PLUGIN: Final = make_plugin(compat=True)
