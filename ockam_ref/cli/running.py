"""Running a command to its end: the event loop, signals, and errors as sentences with an exit code."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import click

from ockam_ref.asyncio.allocator import keep_freed_buffers
from ockam_ref.cli.output import Output, fail
from ockam_ref.errors import ErrorCode, OckamError

LOOP_VARIABLE: Final = "OCKAM_REF_LOOP"
"""``asyncio``, ``uvloop``, or nothing: uvloop where it is installed."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_OWN_HOP: Final = re.compile(r"0#[0-9a-f]{32} => ")
_LOCAL_HOP: Final = re.compile(r"\b0#")


def run(output: Output, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run an asynchronous command until it ends, or until Ctrl-C or SIGTERM ask it to; those end with exit code 0."""
    keep_freed_buffers()
    _fill_standard_descriptors()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_until_signalled(main))
    except OckamError as error:
        fail(_for_people(str(error)))
    except KeyboardInterrupt:  # while the terminal was asked for a passphrase
        sys.exit(0)
    finally:
        for number in _SIGNALS:  # the end is near, and the loop's handlers are gone
            signal.signal(number, signal.SIG_IGN)
        output.close()


def _fill_standard_descriptors() -> None:
    """Give a process that was started without one of its standard streams something in its place.

    A socket could get the number of that stream otherwise; uvloop aborts the process when one does.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


@contextmanager
def advising(advice: Mapping[ErrorCode, str]) -> Iterator[None]:
    """Add what to do to an error that only says what went wrong."""
    try:
        yield
    except OckamError as error:
        if error.code not in advice or str(error).startswith("cannot listen"):  # that one says it itself
            raise
        raise OckamError(error.code, f"{error}. {advice[error.code]}") from None


def no_node_advice(address: str, *, is_hub: bool) -> str:
    """Return what to do when nobody listens at the address of a hub or node."""
    if is_hub:
        return f"Start a hub there with 'ockam-ref hub --listen {address}', or correct --hub"
    return "Start the outlet there with --listen, or correct --node"


def _for_people(text: str) -> str:
    """Leave out of the routes in a text what only this node knows: the names it gave to its own hops."""
    return _LOCAL_HOP.sub("", _OWN_HOP.sub("", text))


async def _until_signalled(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, signalled.set)
    task = asyncio.ensure_future(main())
    waiting = asyncio.ensure_future(signalled.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()
    else:
        task.cancel()
        await asyncio.wait((task,))


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
