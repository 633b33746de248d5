"""Both event loops, TCP services to tunnel to, and a hub."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest
import uvloop

from ockam_ref.asyncio import Node

LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}
LIMIT_S: Final = 20


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine on each kind of loop, for a bounded time; nothing may be left running."""

    def run_it(coroutine: Coroutine[Any, Any, None]) -> None:
        problems: list[dict[str, Any]] = []

        async def bounded() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: problems.append(context))
            async with asyncio.timeout(LIMIT_S):
                await coroutine
            for _ in range(20):  # what a test has closed needs a few turns of the loop to be gone
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks are left: {left}"

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(bounded())
        assert not problems

    return run_it


class Target:
    """A TCP service: ``serve`` handles each connection; ``address`` is where it listens."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.accepted = 0
        self.received = 0
        self.ends: list[str] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._changed = asyncio.Event()

    def note(self) -> None:
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at after every event of the service."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()


Serve = Callable[[Target, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serve_echo(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send everything back; finish after the client has finished."""
    while data := await reader.read(1 << 18):
        target.received += len(data)
        writer.write(data)
        await writer.drain()


async def serve_sink(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything, while ``may_read`` is set, and answer with how much it was."""
    del writer
    while True:
        await target.may_read.wait()
        data = await reader.read(1 << 18)
        if not data:
            return
        target.received += len(data)
        target.note()


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[Target]:
    """Run a service on a free port."""
    tasks: set[asyncio.Task[None]] = set()
    target = Target("")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        target.accepted += 1
        target.note()
        try:
            await serve(target, reader, writer)
            target.ends.append("finished")
        except ConnectionError as error:
            target.ends.append(type(error).__name__)
        finally:
            tasks.discard(task)
            writer.close()
            target.note()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 16)
    host, port = server.sockets[0].getsockname()
    target.address = f"{host}:{port}"
    try:
        yield target
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as a client of a portal would."""
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def exchange(address: str, request: bytes) -> bytes:
    """Send a request, finish, and return everything that comes back."""
    reader, writer = await connect(address)

    async def push() -> None:
        writer.write(request)
        await writer.drain()
        writer.write_eof()

    try:
        _, answer = await asyncio.gather(push(), reader.read(-1))
    finally:
        writer.close()
    return answer


def free_port() -> int:
    """Return a port where nothing listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@asynccontextmanager
async def hub(address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Run a hub as the command line does; return where it listens."""
    async with Node.create() as node:
        listener = await node.tcp_listen(address)
        await node.create_relay_service(consumer_of=(listener,), relays_consumer_of=(listener,))
        await node.start_echo(consumer_of=(listener,))
        yield listener.address


class Portal:
    """An outlet's node and an inlet's node, joined in one of four ways; ``address`` is where clients connect."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def open(self, target: str, way: str, *, datagrams: bool = False, **options: Any) -> str:
        enter = self._stack.enter_async_context
        self.outlet_node, self.inlet_node = await enter(Node.create()), await enter(Node.create())
        flow: Any
        self.entrance: Any = None
        if way in ("plain", "channel"):
            flow = self.entrance = await self.outlet_node.tcp_listen("127.0.0.1:0")
            hop = await self.inlet_node.tcp_connect(flow.address)
            hops: tuple[Any, ...] = (hop,)
        else:
            address = await enter(hub())
            flow = await self.outlet_node.tcp_connect(address)
            relay = await self.outlet_node.create_relay(flow, name="bob")
            hops = (await self.inlet_node.tcp_connect(address), relay.remote_address)
        self.connection = hops[0]
        if way.endswith("channel"):
            bob = self.outlet_node.create_identity()
            flow = await self.outlet_node.create_secure_channel_listener(bob, "api", consumer_of=(flow,))
            alice = self.inlet_node.create_identity()
            hops = (await self.inlet_node.create_secure_channel(alice, (*hops, "api"), trust=bob.identifier),)
        self.hops, self.flow = hops, flow
        create_outlet: Any = self.outlet_node.create_udp_outlet if datagrams else self.outlet_node.create_outlet
        create_inlet: Any = self.inlet_node.create_udp_inlet if datagrams else self.inlet_node.create_inlet
        self.outlet = await create_outlet("outlet", target, consumer_of=(flow,), **options)
        self.inlet = await create_inlet("127.0.0.1:0", (*hops, "outlet"), **options)
        listening: str = self.inlet.address
        return listening


WAYS: Final = ("plain", "channel", "relay", "relay-channel")


@asynccontextmanager
async def portal() -> AsyncIterator[Portal]:
    """Make a portal; ``open`` says which."""
    async with AsyncExitStack() as stack:
        yield Portal(stack)
