"""The stage of each test: one transport, one listener, pairs of links; at the end nothing of it is left."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from inspect import Parameter, signature
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, Self, TypeAlias

import pytest

from ockam_ref.testing.contract.held import HeldLink
from ockam_ref.testing.contract.noting_host import NotingHost
from ockam_ref.testing.contract.rig import Rig
from ockam_transports.base import Listener

try:
    import uvloop
except ImportError:  # an extra, and not there on every system
    _UVLOOP: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {}
else:
    _UVLOOP = {"uvloop": uvloop.new_event_loop}

LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {"asyncio": asyncio.new_event_loop, **_UVLOOP}
"""The event loops that every adapter has to work on."""

Run: TypeAlias = Callable[[Coroutine[Any, Any, None], float], None]
P = ParamSpec("P")


class Pair(NamedTuple):
    """The two ends of one link: ``near`` was opened, ``far`` accepted."""

    near: HeldLink
    far: HeldLink


class Stage:
    """A host with the links and endpoints that it holds; leaving it ends all and looks for what is left."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.host = NotingHost()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.end()
        if error is None:
            await self.until_nothing_is_left()
        elif isinstance(error, AssertionError | asyncio.CancelledError):
            error.add_note(f"the adapter told: {self.host.events[-20:]}")

    def end(self) -> None:
        """Abort all that is held."""
        for held in list(self.host.held.values()):
            held.abort()

    async def until_nothing_is_left(self) -> None:
        """Wait until every link has said its last word and every task of the adapter has ended."""
        await self.host.until(lambda: all(map(self.host.is_over, self.host.held)))
        while len(tasks := asyncio.all_tasks()) > 1:
            await asyncio.wait(tasks - {asyncio.current_task()}, return_when=asyncio.FIRST_COMPLETED)
        self.host.check()

    async def turns(self) -> None:
        """Give the adapter some turns of the event loop to do what it should not."""
        for _ in range(self.rig.settling_turns):
            await asyncio.sleep(0)
        self.host.check()

    async def received(self, link: HeldLink, count: int) -> bytes:
        """Wait for that many bytes of a link; return all that came."""
        await self.host.until(lambda: len(self.host.received[link.id]) >= count)
        return bytes(self.host.received[link.id])


class Scene(Stage):
    """A host with one transport of the rig and a listener."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self.transport = rig.transport(self.host)
        self.listeners: list[Listener] = []

    async def __aenter__(self) -> Self:
        self.listener = await self.listen()
        return self

    def end(self) -> None:
        """Close all listeners and abort all links."""
        for listener in self.listeners:
            listener.close()
        for link in self.host.accepted:
            if link.id not in self.host.held:
                self.hold(link)
        super().end()

    # ---- making things

    async def listen(self, address: str | None = None) -> Listener:
        """Listen at an address, or at a fresh one."""
        listener = await self.transport.listen(self.rig.listen_at() if address is None else address, self.host.accept)
        self.listeners.append(listener)
        return listener

    def open(self, target: str) -> HeldLink:
        """Begin to open a link."""
        with self.host.calling():
            link = self.transport.open(self.host.new_link(), target)
        return self.hold(link)

    def hold(self, link: Any) -> HeldLink:  # noqa: ANN401  # the link of any adapter
        """Take the link as the host does."""
        return HeldLink(self.host, link)

    async def accepted(self, before: int) -> HeldLink:
        """Wait for the link that is accepted after so many."""
        await self.host.until(lambda: len(self.host.accepted) > before)
        return self.hold(self.host.accepted[before])

    async def pair(self, listener: Listener | None = None) -> Pair:
        """Open a link to the listener; neither end is read yet."""
        before = len(self.host.accepted)
        near = self.open(self.rig.target_of((listener or self.listener).address))
        await self.host.told("opened", near.id)
        return Pair(near, await self.accepted(before))

    async def reading_pair(self, listener: Listener | None = None) -> Pair:
        """Open a link that is read at both ends."""
        pair = await self.pair(listener)
        pair.near.start_reading()
        pair.far.start_reading()
        return pair

    # ---- waiting

    async def settle(self) -> None:
        """Give the adapter the chance to do what it should not: some turns, and a whole exchange over another link."""
        await self.turns()
        if self.rig.many_links and self.listener in self.listeners:
            await self.exchange(await self.reading_pair())
        self.host.check()

    async def exchange(self, pair: Pair) -> None:
        """Send a word there and one back, over a link that is read at both ends."""
        there, back = (len(self.host.received[link.id]) for link in (pair.far, pair.near))
        pair.near.write(b"ping?")
        assert (await self.received(pair.far, there + 5))[there:] == b"ping?"
        pair.far.write(b"pong!")
        assert (await self.received(pair.near, back + 5))[back:] == b"pong!"


def scenario(test: Callable[Concatenate[Any, Scene, P], Awaitable[None]]) -> Callable[..., None]:
    """Make a test method out of a coroutine that is given the scene; it runs once on each kind of event loop."""
    return on_stage(Scene, test)


def on_stage(stage: Callable[[Rig], Stage], test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a test method out of a coroutine that is given that stage."""

    @wraps(test)
    def wrapped(self: object, run: Run, rig: Rig, **more: Any) -> None:  # noqa: ANN401  # what the test is parametrized with
        async def main() -> None:
            async with stage(rig) as scene:
                await test(self, scene, **more)

        run(main(), rig.deadline_s)

    own, _, *others = signature(test).parameters.values()
    fixtures = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("run", "rig")]
    wrapped.__signature__ = signature(test).replace(parameters=[own, *fixtures, *others])  # type: ignore[attr-defined]
    return wrapped


def run_on(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Run:
    """Return what runs a coroutine on such a loop; an exception that only the loop heard of fails it too."""

    def run(coroutine: Coroutine[Any, Any, None], deadline_s: float) -> None:
        unheard: list[dict[str, Any]] = []

        async def bounded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
            async with asyncio.timeout(deadline_s):
                await coroutine

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(bounded())
        assert not unheard, f"the event loop caught what the adapter did not: {unheard[0]}"

    return run


class Contract:
    """A part of the contract.  A class of yours overrides the fixture ``rig``; pytest finds the rest."""

    @pytest.fixture
    def rig(self) -> Rig:
        """Return the rig of the adapter."""
        pytest.fail("the contract suite needs to know your adapter: override the fixture `rig`")

    @pytest.fixture(params=list(LOOPS))
    def run(self, request: pytest.FixtureRequest) -> Run:
        """Run a coroutine on each kind of event loop."""
        return run_on(LOOPS[request.param])
