"""Bluetooth LE over the virtual radio, beside a bare loop of GATT on bumble: ``python -m tests.benchmarks.ble``.

Both move the same bytes in packets of the same size between the same kind of virtual controllers, in one process and one
direction at a time, in turns in every round.  *Bare* writes commands, or notifies, and waits for the controller after
each packet; *ours* is a message from one node to the other.  No radio is involved: the figures compare programs.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import median
from typing import Any, Final

from bumble.core import UUID
from bumble.device import Peer
from bumble.gatt import Characteristic, CharacteristicValue, Service

from ockam_ref.asyncio import Node, Routed
from ockam_transports.ble import PLUGIN
from ockam_transports.ble_link import ATT_OVERHEAD, MAX_VALUE, SERVICE, TO_CENTRAL, TO_PERIPHERAL
from ockam_transports.virtual_radio import NAME, Radio, drain, silence, virtual_radio

TOTAL_BYTES: Final = 512 * 1024
MESSAGE_BYTES: Final = 60_000


@dataclass(frozen=True, slots=True)
class BleRates:
    """Bytes a second of payload from central to peripheral (``up``) and back (``down``); medians of the rounds."""

    up: float
    bare_up: float
    down: float
    bare_down: float

    @property
    def ratio(self) -> float:
        """What ours is of bare, both directions together."""
        return (1 / self.bare_up + 1 / self.bare_down) / (1 / self.up + 1 / self.down)


def measure_ble(total_bytes: int = TOTAL_BYTES, *, rounds: int = 3, mtu: int = 517) -> BleRates:
    """Measure both, ``rounds`` times in turns."""
    bare: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    with silence():
        for _ in range(rounds):
            bare.append(asyncio.run(_bare(total_bytes, mtu)))
            ours.append(asyncio.run(_ours(total_bytes, mtu)))
    return BleRates(
        up=median(one[0] for one in ours),
        bare_up=median(one[0] for one in bare),
        down=median(one[1] for one in ours),
        bare_down=median(one[1] for one in bare),
    )


class Counter:
    """Counts what arrives, and tells when it is all."""

    def __init__(self, total: int) -> None:
        self.left = total
        self.done = asyncio.Event()

    def take(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left <= 0:
            self.done.set()


async def _bare(total: int, mtu: int) -> tuple[float, float]:
    radio = Radio()
    near, far = await radio.device(), await radio.device("F1:F1:F1:F1:F1:F1")
    up, down = Counter(total), Counter(total)
    kinds = Characteristic.Properties
    value: CharacteristicValue[bytes] = CharacteristicValue(write=lambda _, data: up.take(data))
    incoming: Characteristic[bytes] = Characteristic(
        TO_PERIPHERAL, kinds.WRITE_WITHOUT_RESPONSE, Characteristic.WRITEABLE, value
    )
    outgoing = Characteristic(TO_CENTRAL, kinds.NOTIFY, Characteristic.Permissions(0), b"")
    far.add_service(Service(SERVICE, [incoming, outgoing]))
    accepted: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    far.on("connection", accepted.set_result)
    await far.start_advertising(advertising_interval_min=20, advertising_interval_max=20)
    connection = await near.connect(far.random_address, timeout=5)
    peer = Peer(connection)
    await peer.request_mtu(mtu)
    await peer.discover_services()
    await peer.discover_characteristics()
    (to_peripheral,) = peer.get_characteristics_by_uuid(UUID(TO_PERIPHERAL))
    (to_central,) = peer.get_characteristics_by_uuid(UUID(TO_CENTRAL))
    await to_central.subscribe(down.take)
    far_connection = await accepted
    packet = os.urandom(min(mtu - ATT_OVERHEAD, MAX_VALUE))

    async def write() -> None:
        while up.left > 0 and not up.done.is_set():
            await to_peripheral.write_value(packet, with_response=False)
            await drain(connection)

    async def notify() -> None:
        while down.left > 0 and not down.done.is_set():
            await far.notify_subscriber(far_connection, outgoing, packet)
            await drain(far_connection)

    rates = total / await _timed(write, up), total / await _timed(notify, down)
    await connection.disconnect()
    return rates


async def _timed(send: Any, counter: Counter) -> float:
    begin = time.perf_counter()
    await send()
    await counter.done.wait()
    return time.perf_counter() - begin


async def _ours(total: int, mtu: int) -> tuple[float, float]:
    async with virtual_radio(mtu=mtu) as (_, make):
        plugin = replace(PLUGIN, create=partial(make))
        async with Node.create(transports=[plugin]) as far, Node.create(transports=[plugin]) as near:
            listener = await far.listen("ble", f"{NAME}@virtual:0")
            connection = await near.connect("ble", NAME)
            up, down = Counter(total), Counter(total)
            back: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            async def take_up(message: Routed) -> None:
                if not back.done():
                    back.set_result(message.return_route)
                up.take(bytes(message.payload))

            async def take_down(message: Routed) -> None:
                down.take(bytes(message.payload))

            await far.start_worker("sink", take_up, consumer_of=[listener])
            await near.start_worker("sink", take_down, consumer_of=[connection])
            payload = os.urandom(MESSAGE_BYTES)

            async def send(node: Node, hop: Any) -> None:
                for start in range(0, total, MESSAGE_BYTES):
                    await node.send([hop, "sink"], payload[: total - start])

            seconds_up = await _timed(partial(send, near, connection), up)
            hop = (await back)[0]
            seconds_down = await _timed(partial(send, far, hop), down)
            return total / seconds_up, total / seconds_down


def main() -> None:
    """Print the figures, as JSON with ``--json``."""
    rates = measure_ble()
    if "--json" in sys.argv:
        print(json.dumps(asdict(rates) | {"ratio": rates.ratio}))
        return
    print(f"Medians of 3 rounds, {TOTAL_BYTES >> 10} KiB each way, MTU 517, one process, virtual radio.\n")
    for name, ours, bare in (("up", rates.up, rates.bare_up), ("down", rates.down, rates.bare_down)):
        print(f"{name:5} ours {ours / 1e3:7.0f} kB/s   bare {bare / 1e3:7.0f} kB/s   x{ours / bare:.2f}")
    print(f"both  x{rates.ratio:.2f} of bare; the goal is 0.8")


if __name__ == "__main__":
    main()
