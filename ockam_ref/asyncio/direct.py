"""What moves a steady link to a puncture while there is one, and back to its first path when there is none."""

import asyncio
import random
from collections.abc import Iterator
from typing import Final

from ockam_ref.asyncio.handles import Puncture, SteadyLink
from ockam_ref.asyncio.hops import RouteLike
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.watching import Stream
from ockam_ref.errors import OckamError
from ockam_ref.observations import Observation, PunctureClosed, PunctureOpened, PunctureSilent
from ockam_ref.steady.limits import RELAYED_PACKET_BYTES
from ockam_ref.steady.link import DIRECT_PACKET_BYTES

FIRST_PAUSE_S: Final = 1.0
"""The pause before a puncture is tried again; each further pause is twice as long, until one has opened."""

LAST_PAUSE_S: Final = 60.0
"""The longest pause."""


class DirectPath:
    """Tries to puncture along ``route``, which leads to the puncture listener of the node at the link's other end."""

    def __init__(
        self,
        node: Node,
        link: SteadyLink,
        base: RouteLike,
        *,
        route: RouteLike,
        rendezvous: str,
        jitter: random.Random,
    ) -> None:
        self._node = node
        self._link = link
        self._base = base
        self._route = route
        self._rendezvous = rendezvous
        self._jitter = jitter
        self._opened = False
        self._is_direct = False
        self._task = asyncio.ensure_future(self._run())

    def change_base(self, base: RouteLike) -> None:
        """The path to go along while there is no direct one is another from now on."""
        self._base = base
        if not self._is_direct:
            self._go_back()

    async def close(self) -> None:
        """End; the link stays where it is."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pauses = self._pauses()
        while not self._link.closed:
            observations = self._node.observe()
            try:
                puncture = await self._node.puncture(self._route, rendezvous=self._rendezvous)
            except OckamError:
                puncture = None
            if puncture is not None:
                self._opened = False
                async with puncture:
                    await self._follow(puncture, observations)
                if self._opened:
                    pauses = self._pauses()
            await asyncio.sleep(next(pauses))

    async def _follow(self, puncture: Puncture, observations: Stream[Observation]) -> None:
        """Move with the fortunes of one puncture, until it has ended."""
        async for observation in observations:
            if isinstance(observation, PunctureOpened | PunctureSilent | PunctureClosed):
                if observation.worker != puncture.hop:
                    continue
                if isinstance(observation, PunctureOpened):
                    self._opened = self._is_direct = True
                    self._link.move(puncture, packet=DIRECT_PACKET_BYTES)
                elif self._is_direct:
                    self._go_back()
                if isinstance(observation, PunctureClosed):
                    return

    def _go_back(self) -> None:
        self._is_direct = False
        self._link.move(self._base, packet=RELAYED_PACKET_BYTES)

    def _pauses(self) -> Iterator[float]:
        pause = FIRST_PAUSE_S
        while True:
            yield pause * self._jitter.uniform(0.5, 1.0)
            pause = min(2 * pause, LAST_PAUSE_S)
