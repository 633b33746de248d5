"""Every installed transport is given every kind of nonsense: it answers with a sentence, and loses nothing."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import pytest

from ockam_ref.errors import OckamError
from ockam_ref.testing.contract import Rig
from ockam_ref.testing.contract.leaks import Leaks
from ockam_ref.testing.contract.scene import LOOPS, Run, Stage, run_on
from ockam_transports.base import DatagramTransport, LinkKind, Transport, TransportPlugin
from ockam_transports.plugins import find_plugin, installed_plugins
from tests.processes import REPOSITORY

GARBAGE: Final = (
    "",
    " ",
    "\n",
    "\x00",
    "a\x00b",
    ":",
    "::",
    "[::1",
    "127.0.0.1:99999",
    "127.0.0.1:-1",
    "127.0.0.1:1e3",
    "bad host:1",
    "-:1",
    "http://[",
    "wss://",
    "\u00fcml\u00e4ut:\u0661",
    "\ud800",
    "x" * 5000,
    "../" * 2000,
    "a." * 3000 + ":1",
)
NOWHERE: Final = tuple(text for text in GARBAGE if not text or "\x00" in text or len(text) > 300)
"""What no transport can listen at; of the rest, some is a name or a path to one of them."""

FAILURES: Final = 1000
INSTALLED: Final = [
    pytest.param(
        one.plugin,
        id=one.plugin.name,
        marks=pytest.mark.skipif(bool(one.missing), reason=f"{', '.join(one.missing)} is not installed"),
    )
    for one in installed_plugins()
    if one.plugin is not None
]


class Bad(NamedTuple):
    """Addresses of one transport that are in good form and of no use; ``None`` where there is no such thing."""

    refused: str | None
    unresolvable: str | None = None
    forbidden: str | None = None


KNOWN: Final = {
    "memory": Bad(refused="nobody"),
    "tcp": Bad("127.0.0.1:1", "no-such-host.invalid:80", "127.0.0.1:1"),
    "udp": Bad(None, "no-such-host.invalid:80", "127.0.0.1:1"),
    "uds": Bad("/tmp/no-such-folder/no.sock", None, "/proc/1/no.sock"),
    "ws": Bad("127.0.0.1:1", "no-such-host.invalid:80", "127.0.0.1:1"),
}

FORBIDDEN_AS_NOBODY: Final = """
import asyncio, os, sys
from ockam_ref.errors import OckamError
from ockam_ref.testing.contract import NotingHost
from ockam_transports.base import LinkKind
from ockam_transports.plugins import find_plugin

plugin = find_plugin(sys.argv[1])

async def main():
    host = NotingHost()
    transport = plugin.create(host)
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 1)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        if plugin.kind is LinkKind.DATAGRAM:
            await transport.bind(host.new_link(), sys.argv[2])
        else:
            await transport.listen(sys.argv[2], host.accept)
    except OckamError as error:
        print(error)

asyncio.run(main())
"""


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on each kind of event loop."""
    return run_on(LOOPS[request.param])


class Trial(Stage):
    """A transport that is given one address after the other."""

    def __init__(self, plugin: TransportPlugin) -> None:
        super().__init__(Rig())
        self.plugin = plugin
        self.transport: Any = plugin.create(self.host)

    async def opened(self, target: str) -> str:
        """Try to open a link; return why it failed, or nothing if it did not."""
        link = self.host.new_link()
        with self.host.calling():
            opening = cast("Transport | DatagramTransport", self.transport).open(link, target)
        kind = await self.host.told_one_of(link, "failed", "opened")
        reason = await self.host.told(kind, link)
        if kind == "opened":
            opening.abort()
        return reason

    async def listened(self, address: str) -> str:
        """Try to listen, or to bind; return why it failed."""
        is_datagram = self.plugin.kind is LinkKind.DATAGRAM
        where = (self.host.new_link(), address) if is_datagram else (address, self.host.accept)
        take = self.transport.bind if is_datagram else self.transport.listen
        with pytest.raises(OckamError) as caught:
            await take(*where)
        return str(caught.value)

    def check(self, reason: str, address: str) -> None:
        """A sentence names the transport and the address, or as much of it as can be shown, and nothing of Python."""
        assert self.plugin.name in reason.lower(), reason
        assert any(text in reason for text in (address, repr(address), repr(address)[1:-1][:40])), reason
        assert "Errno" not in reason
        assert "Error" not in reason
        assert len(reason) < len(address) * 6 + 400


def test_all_of_ours_are_known_here() -> None:
    ours = {one.entry_point for one in installed_plugins() if one.distribution == "ockam-ref"}
    assert ours - {"ble", "ble-compat"} <= set(KNOWN)


def test_all_of_ours_can_be_used() -> None:
    problems = {one.entry_point: one.problem for one in installed_plugins() if one.distribution == "ockam-ref"}
    assert {name: problem for name, problem in problems.items() if problem is not None} == {}


@pytest.mark.spec("TRN-24")
@pytest.mark.parametrize("plugin", INSTALLED)
def test_garbage_is_a_sentence(run: Run, plugin: TransportPlugin) -> None:
    async def main() -> None:
        async with Trial(plugin) as trial:
            for address in GARBAGE:
                if reason := await trial.opened(address):
                    trial.check(reason, address)
            for address in NOWHERE:
                trial.check(await trial.listened(address), address)

    run(main(), 30)


@pytest.mark.spec("TRN-17", "TRN-24")
@pytest.mark.parametrize("plugin", INSTALLED)
@pytest.mark.parametrize("which", ["refused", "unresolvable"])
def test_who_is_not_there_is_a_sentence(run: Run, plugin: TransportPlugin, which: str) -> None:
    address = getattr(KNOWN.get(plugin.name, Bad(None)), which)
    if address is None:
        pytest.skip("there is no such thing")

    async def main() -> None:
        async with Trial(plugin) as trial:
            trial.check(await trial.opened(address), address)

    run(main(), 30)


@pytest.mark.spec("TRN-17", "TRN-24")
@pytest.mark.skipif(not hasattr(os, "setuid"), reason="no users to be another one of")
@pytest.mark.parametrize("plugin", INSTALLED)
def test_what_is_not_permitted_is_a_sentence(plugin: TransportPlugin) -> None:
    address = KNOWN.get(plugin.name, Bad(None)).forbidden
    if address is None:
        pytest.skip("everything is permitted")
    lowest = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if address.endswith(":1") and lowest.exists() and int(lowest.read_text()) <= 1:
        pytest.skip("every port may be taken here")
    command = [sys.executable, "-c", FORBIDDEN_AS_NOBODY, plugin.name, address]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert plugin.name in done.stdout.lower()
    assert address in done.stdout
    assert os.strerror(errno.EACCES) not in done.stdout
    assert "Errno" not in done.stdout


@pytest.mark.spec("TRN-19", "TRN-24")
@pytest.mark.parametrize("plugin", INSTALLED)
def test_a_thousand_failures_of_all_kinds_leave_nothing(run: Run, plugin: TransportPlugin) -> None:
    known = KNOWN.get(plugin.name, Bad(None))
    addresses = [*GARBAGE[:18], *([known.refused] if known.refused else [])]

    async def main() -> None:
        async with Trial(plugin) as trial:

            async def fail(times: int) -> None:
                for number in range(times):
                    await trial.opened(addresses[number % len(addresses)])
                    if number % 10 == 0:
                        await trial.listened(NOWHERE[number // 10 % len(NOWHERE)])
                    trial.host.forget()

            await fail(FAILURES // 10)
            leaks = Leaks()
            await fail(FAILURES)
            leaks.check()

    run(main(), 100)


@pytest.mark.spec("TRN-1", "TRN-4")
def test_a_node_says_which_transports_there_are() -> None:
    with pytest.raises(OckamError, match="no transport 'smoke' is installed"):
        find_plugin("smoke")
