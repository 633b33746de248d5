"""Nodes of an experiment in processes of their own: one JSON object a line, questions in, answers out.

``python -m ockam_ref.lab.processes`` is such a process.  It ends when nobody asks any more.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any, Final

from ockam_ref.asyncio import keep_freed_buffers
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.lab.description import Hop
from ockam_ref.lab.nodes import Counts, LocalNode, Setup

IN_ONE_PROCESS: Final = ("memory", "ble")
"""Transports of an experiment whose two ends must be in the same process: the virtual radio is in its memory too."""

QUESTIONS: Final = ("serve", "listen", "connect", "open", "exchange", "fetch", "probe", "count")

STOP_S: Final = 5.0
"""How long a process may take to end after its last question."""

MAX_LINE_BYTES: Final = 4 * 1024 * 1024


# ---- the side that asks


@asynccontextmanager
async def node_in_process(setup: Setup) -> AsyncIterator["RemoteNode"]:
    """Start a node in a process of its own, and end it.

    Raises:
        OckamError: one of its hops cannot leave a process.
    """
    for hop in (setup.before, setup.after):
        if hop is not None and hop.transport in IN_ONE_PROCESS:
            raise OckamError(ErrorCode.MISUSE, f"a hop over {hop.transport} cannot join two processes")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MAX_LINE_BYTES,
        start_new_session=True,  # Ctrl-C is for us; the node ends with its questions
    )
    node = RemoteNode(setup.name, process)
    try:
        await node.ask("start", setup=_as_text(setup))
        yield node
    finally:
        await node.close()


class RemoteNode:
    """A node in another process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process

    async def ask(self, question: str, **arguments: Any) -> Any:  # noqa: ANN401  # plain data of any kind
        """Ask and wait for the answer.

        Raises:
            OckamError: what the node could not do, or that it is gone.
        """
        streams = self._process.stdin, self._process.stdout
        if streams[0] is None or streams[1] is None:
            raise OckamError(ErrorCode.CLOSED, f"the process of {self._name} cannot be talked to")
        streams[0].write(json.dumps({"ask": question, "with": arguments}).encode() + b"\n")
        try:
            line = await streams[1].readline()
        except ConnectionError:
            line = b""
        if not line:
            raise OckamError(ErrorCode.CLOSED, f"the process of {self._name} has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise OckamError(ErrorCode(answer["code"]), answer["error"])
        return answer["answer"]

    async def close(self) -> None:
        """Ask nothing any more, and wait until the process has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def serve(self) -> dict[str, str]:
        """Be the last node."""
        served: dict[str, str] = await self.ask("serve")
        return served

    async def listen(self) -> str:
        """Open the hop before this node."""
        return str(await self.ask("listen"))

    async def connect(self, address: str) -> str:
        """Open the hop behind this node."""
        return str(await self.ask("connect", address=address))

    async def open(self, route: Sequence[str], expect: str) -> float:
        """Be the first node."""
        return float(await self.ask("open", route=list(route), expect=expect))

    async def exchange(self, size: int, count: int) -> list[float | None]:
        """Send messages to the far end and back."""
        took: list[float | None] = await self.ask("exchange", size=size, count=count)
        return took

    async def fetch(self, length: int) -> dict[str, Any]:
        """Fetch bytes through the portal."""
        fetched: dict[str, Any] = await self.ask("fetch", length=length)
        return fetched

    async def probe(self, count: int) -> list[float | None]:
        """Measure the hop behind this node alone."""
        took: list[float | None] = await self.ask("probe", count=count)
        return took

    async def count(self) -> Counts:
        """Return what was counted so far."""
        counted: Counts = await self.ask("count")
        return counted


def _as_text(setup: Setup) -> dict[str, Any]:
    return asdict(setup) | {"mark": setup.mark.hex()}


# ---- the side that answers


class _Asking(asyncio.StreamReaderProtocol):
    """Notices at once that nobody asks any more, also while a question is being answered."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self.gone = asyncio.Event()

    def eof_received(self) -> bool:
        """Whoever asked has ended, or has closed its end."""
        self.gone.set()
        return False


async def answer_questions() -> None:
    """Be the node that the question ``start`` describes, until nobody asks any more."""
    reader = asyncio.StreamReader(MAX_LINE_BYTES)
    asking = _Asking(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asking, sys.stdin)
    answering, gone = asyncio.ensure_future(_answer(reader)), asyncio.ensure_future(asking.gone.wait())
    await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if answering.done():
        answering.result()
    answering.cancel()
    await asyncio.wait((answering,))


async def _answer(reader: asyncio.StreamReader) -> None:
    async with AsyncExitStack() as stack:
        answers: dict[str, Any] = {}

        async def start(setup: dict[str, Any]) -> None:
            node = await stack.enter_async_context(LocalNode(_setup(setup)))
            answers.update({question: getattr(node, question) for question in QUESTIONS})

        answers["start"] = start
        while line := await reader.readline():
            asked = json.loads(line)
            try:
                _say({"answer": await answers[asked["ask"]](**asked["with"])})
            except OckamError as error:
                _say({"error": str(error), "code": error.code})


def _setup(text: dict[str, Any]) -> Setup:
    sides = {name: None if text[name] is None else Hop(**text[name]) for name in ("before", "after")}
    return Setup(**text | sides | {"mark": bytes.fromhex(text["mark"])})


def _say(answer: dict[str, Any]) -> None:
    """Answer past ``sys.stdout``, in whose buffer something would be left if whoever asked has gone."""
    left = json.dumps(answer).encode() + b"\n"
    with suppress(BrokenPipeError):
        while left:
            left = left[os.write(1, left) :]


if __name__ == "__main__":
    keep_freed_buffers()
    asyncio.run(answer_questions())
