"""What every part of a node needs: its driver, and the ways to start something and to learn what became of it."""

import asyncio
import os
from time import monotonic
from typing import TypeVar

from ockam_ref.asyncio.driver import Driver
from ockam_ref.asyncio.handles import (
    Service,
)
from ockam_ref.asyncio.hops import Flow, Hop, to_address, to_flow_controls
from ockam_ref.asyncio.watching import Life
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.machine import FlowControlId
from ockam_ref.observations import (
    ChannelOpened,
    HopReached,
    PunctureNegotiated,
    RelayReady,
    SteadyLinkMoved,
)
from ockam_ref.wire.address import Address

Begun = TypeVar("Begun", ChannelOpened, HopReached, PunctureNegotiated, RelayReady, SteadyLinkMoved)


class Running:
    """The common base of the parts that make a node."""

    _driver: Driver

    def add_consumer(self, consumer: Hop, flow: Flow) -> None:
        """Let messages that come through a listener, connection or channel reach one of our workers from now on."""
        for flow_control_id in to_flow_controls((flow,)):
            self._driver.core.flow_controls.add_consumer(to_address(consumer), flow_control_id)

    def _service(self, config: object) -> Service:
        return Service(self._driver, self._driver.start(config))

    async def _begin(self, worker: Address, life: Life, kind: type[Begun], failure: str, deadline: float) -> Begun:
        """Wait until the worker has begun and return what it said; raise why it has not."""
        try:
            await asyncio.wait((life.begun, life.ended), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._driver.stop(worker, "given up")
            raise
        if life.begun.done() and isinstance(begun := life.begun.result(), kind):
            return begun
        code = ErrorCode.TIMEOUT if monotonic() >= deadline else ErrorCode.REFUSED
        raise OckamError(code, f"{failure}: {life.ended.result()}")


def fresh_address() -> Address:
    """Return a random local address in the form of the peer's: 32 hexadecimal digits."""
    return Address(0, os.urandom(16).hex().encode())


def fresh_flow_control_id() -> FlowControlId:
    """Return a random flow control id."""
    return os.urandom(16).hex()
