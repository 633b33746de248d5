"""Running a command to its end: the event loop, signals, and errors as sentences with an exit code."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn, TypeVar

import click

from ockam_ref.cli.allocator import keep_freed_buffers
from ockam_ref.errors import OckamError

T = TypeVar("T")

EXIT_FAILED: Final = 1
"""The command understood what to do and could not: a hub that cannot be reached, a port that is taken."""

LOOP_VARIABLE: Final = "OCKAM_REF_LOOP"
"""``asyncio``, ``uvloop``, or nothing: uvloop where it is installed."""


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run an asynchronous command until it ends, or until Ctrl-C or SIGTERM ask it to; those end with exit code 0."""
    keep_freed_buffers()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_until_signalled(main))
    except OckamError as error:
        fail(str(error))


def fail(sentence: str) -> NoReturn:
    """End the command with a sentence that says what to do, and exit code 1."""
    click.echo(f"ockam-ref: {sentence}", err=True)
    sys.exit(EXIT_FAILED)


async def _until_signalled(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    choice = os.environ.get(LOOP_VARIABLE, "")
    if choice not in ("", "asyncio", "uvloop"):
        message = f"{LOOP_VARIABLE} is {choice!r}; it may be 'asyncio' or 'uvloop'"
        raise click.UsageError(message)
    if choice == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if choice == "uvloop":
            fail("uvloop is not installed: run 'pip install uvloop', or leave OCKAM_REF_LOOP unset")
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
