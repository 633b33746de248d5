"""Application workers: messages from the core, one at a time, to an ``async def`` or a class."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, ParamSpec, TypeAlias, TypeVar

from ockam_ref.asyncio.driver import Driver
from ockam_ref.asyncio.hops import RouteLike, to_route
from ockam_ref.effects import Deliver
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.wire.address import Address
from ockam_ref.wire.body import Body, Cbor, decode_body, encode_body
from ockam_ref.wire.local_message import LocalMessage, find_channel_identifier
from ockam_ref.wire.route import Route

if TYPE_CHECKING:
    from ockam_ref.asyncio.node import Node

MAILBOX_MESSAGES: Final = 8
"""Messages that may wait for a worker before whatever sends them is held back; the peer's mailboxes have this size."""

_RESUME_AT_MESSAGES: Final = MAILBOX_MESSAGES // 2

_LOG: Final = logging.getLogger("ockam_ref.asyncio")

B = TypeVar("B", str, bytes, Cbor)
P = ParamSpec("P")


class Routed:
    """A message that reached one of our mailboxes, and the means to answer it."""

    __slots__ = ("_driver", "_message", "destination", "source")

    def __init__(self, driver: Driver, delivery: Deliver) -> None:
        self._driver = driver
        self._message = delivery.message
        self.destination = delivery.destination
        self.source = delivery.source

    def __repr__(self) -> str:
        return f"Routed({len(self._message.payload)} bytes from {self.source} for {self.destination})"

    @property
    def payload(self) -> bytes:
        """The body as it came."""
        return bytes(self._message.payload)

    @property
    def onward_route(self) -> Route:
        """The hops still to go; the first is our own mailbox, ``destination``."""
        return self._message.onward_route

    @property
    def return_route(self) -> Route:
        """The way back to whoever sent it."""
        return self._message.return_route

    @property
    def peer(self) -> Identifier | None:
        """The verified identifier of the other end of the secure channel it came through, if it did."""
        value = find_channel_identifier(self._message.local_info)
        return None if value is None else Identifier(value)

    def body(self, kind: type[B]) -> B:
        """Read the payload as ``str``, ``bytes`` or ``Cbor``.

        Raises:
            DecodeError: the payload is no such body.
        """
        return decode_body(self._message.payload, kind)

    async def reply(self, body: Body) -> None:
        """Send a body along the return route, from our mailbox.

        Raises:
            MisuseError: the message has no return route, or its first hop is gone.
        """
        route = self._message.return_route
        if not route:
            raise MisuseError(ErrorCode.INCOMPLETE_ROUTE, "the message has no return route, so nobody can be answered")
        await self._driver.send(self.destination, LocalMessage(route, (self.destination,), encode_body(body)))

    async def forward(
        self, route: RouteLike, *, add_return_hop: bool = False, open_flow_controls: bool = False
    ) -> None:
        """Send the message on, its payload and origin unchanged.

        Args:
            route: the whole onward route from here; ``onward_route[1:]`` is what the sender wrote behind us.
            add_return_hop: put our mailbox in front of the way back, so that answers pass through us.
            open_flow_controls: let the hop behind us and the hop before us send to each other; needed where answers do
                not pass through us.
        """
        onward, back = to_route(route), self._message.return_route
        if open_flow_controls and onward and back:
            flow_controls = self._driver.core.flow_controls
            flow_controls.add_consumer_of_producer(back[0], producer=onward[0])
            flow_controls.add_consumer_of_producer(onward[0], producer=back[0])
        if add_return_hop:
            back = (self.destination, *back)
        message = self._message
        passed_on = LocalMessage(onward, back, message.payload, message.local_info, message.tracing_context)
        await self._driver.send(self.destination, passed_on)


class Worker:
    """Base of workers that keep something between messages; override what you need."""

    async def initialize(self, node: "Node") -> None:
        """Prepare, before the first message is handled; messages wait meanwhile."""

    async def handle_message(self, message: Routed) -> None:
        """Handle one message; the next one waits until this returns.  An exception is logged, the worker goes on."""

    async def shutdown(self) -> None:
        """Clean up, after the last message."""


Handler: TypeAlias = Callable[[Routed], Awaitable[None]]


class FunctionWorker(Worker):
    """A worker that is one ``async def``."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def handle_message(self, message: Routed) -> None:
        """Call the function."""
        await self._handler(message)


class WorkerTask:
    """The task of one worker and the messages that wait for it."""

    __slots__ = ("_address", "_driver", "_full", "_node", "_queue", "_stopping", "_wake", "_worker", "task")

    def __init__(self, driver: Driver, node: "Node", address: Address, worker: Worker) -> None:
        self._driver = driver
        self._node = node
        self._address = address
        self._worker = worker
        self._queue: deque[Deliver] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._full = False
        self._stopping = False
        self.task = asyncio.ensure_future(self._run())

    def deliver(self, delivery: Deliver) -> bool:
        """Queue a message; say when its source must wait.  A worker never waits for itself."""
        if self._stopping:
            return False
        self._queue.append(delivery)
        self._awake()
        if len(self._queue) < MAILBOX_MESSAGES or asyncio.current_task() is self.task:
            return False
        self._full = True
        return True

    async def stop(self) -> None:
        """Handle what is queued, shut the worker down, end the task."""
        self._stopping = True
        self._awake()
        if asyncio.current_task() is not self.task:
            await asyncio.wait((self.task,))

    def _awake(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _run(self) -> None:
        try:
            if await self._guard("initialize", self._worker.initialize, self._node):
                await self._handle_all()
        finally:
            self._stopping = True
            self._driver.relieved(self._address)
            self._driver.receivers.pop(self._address, None)
            self._driver.stop(self._address, "the worker has ended")
            await self._guard("shut down", self._worker.shutdown)

    async def _handle_all(self) -> None:
        queue, driver, handle = self._queue, self._driver, self._worker.handle_message
        while True:
            while queue:
                delivery = queue.popleft()
                if self._full and len(queue) <= _RESUME_AT_MESSAGES:
                    self._full = False
                    driver.relieved(self._address)
                await self._guard("handle a message", handle, Routed(driver, delivery))
            if self._stopping:
                return
            self._wake = driver.loop.create_future()
            await self._wake

    async def _guard(self, what: str, step: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whatever application code raises is logged with its trace, and ends nothing but this step."""
        try:
            await step(*args, **kwargs)
        except Exception:  # noqa: BLE001  # the peer's runtime guards handlers in the same way (facts 06 section 1.5)
            _LOG.exception("the worker %s failed to %s", self._address, what)
            return False
        return True
