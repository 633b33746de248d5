"""``ockam-ref demo``: a request crosses an encrypted portal, and what the hub saw of it."""

import http.client
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

import click

from ockam_ref.cli.output import fail

if TYPE_CHECKING:
    from ockam_ref.cli.recorded import Recording, SeenFrame

ANSWER: Final = "The answer is 42, and the hub must not know."
BULK_BYTES: Final = 32 * 1024 * 1024
ROUND_TRIPS: Final = 200
START_TIMEOUT_S: Final = 10.0
END_TIMEOUT_S: Final = 0.6
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
FRAMES_SHOWN: Final = 4
HEX_BYTES_SHOWN: Final = 96


@click.command()
def demo() -> None:
    """Watch a request cross an encrypted portal, in ten seconds.

    A web server, a hub, an outlet and an inlet run as four processes on free ports of this machine. A request goes
    through them; then you see what the hub saw, and how long things took.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ockam-ref-demo-")))
        _run(folder, stack.enter_context(Children()))


def _run(folder: Path, children: "Children") -> None:
    began = time.monotonic()
    recording = folder / "hub.jsonl"
    (folder / "answer.txt").write_text(ANSWER + "\n", encoding="utf-8")
    with (folder / "bulk.bin").open("wb") as file:
        file.truncate(BULK_BYTES)

    web_server = children.start(lambda: WebServer(folder))
    hub = children.start(lambda: Role("hub", "--listen", "127.0.0.1:0", "--record", str(recording)))
    hub_address = hub.ready("listen")
    target = web_server.address()
    click.echo(f"web server   {target}")
    click.echo(f"hub          {hub_address}")
    outlet = children.start(lambda: Role("outlet", target, "--hub", hub_address))
    identifier, forwarding_address = outlet.ready("identifier"), outlet.ready("forwarding_address")
    click.echo(f"outlet       {identifier}\n             at the hub: {forwarding_address}")
    inlet = children.start(
        lambda: Role("inlet", "127.0.0.1:0", "--hub", hub_address, forwarding_address, "--expect", identifier)
    )
    inlet_address = inlet.ready("listen")
    click.echo(f"inlet        {inlet_address}\n")

    answer = _get(inlet_address, "/answer.txt").decode().strip()
    first_byte_s = time.monotonic() - began
    click.echo(f"GET http://{inlet_address}/answer.txt\n  -> {answer}\n")
    if answer != ANSWER:
        fail("the answer is not what the web server has; please report this")

    from ockam_ref.cli.recorded import read_recording  # slow to import, and the first answer has been seen by now

    _show_what_the_hub_saw(read_recording(recording))
    _show_timing(inlet_address, first_byte_s)


def _show_what_the_hub_saw(recording: "Recording") -> None:
    data = [frame for frame in recording.frames if frame.is_channel_data]
    click.secho("What the hub saw", bold=True)
    for frame in data[:FRAMES_SHOWN]:
        _show_frame(frame)
    leaked = recording.contains(ANSWER.encode()) or recording.contains(b"GET /answer.txt")
    verdict = "FOUND, which must not be" if leaked else "not there"
    click.echo(
        f"  All {recording.length:,} bytes that came in at the hub so far were searched for the request and for the\n"
        f"  answer: {verdict}.\n"
    )
    if leaked:
        fail("the hub could read the request or the answer; please report this")


def _show_frame(frame: "SeenFrame") -> None:
    shown = frame.encoded[:HEX_BYTES_SHOWN].hex(" ")
    more = " ..." if len(frame.encoded) > HEX_BYTES_SHOWN else ""
    click.echo(f"  frame {frame.number}: {len(frame.encoded)} bytes, on connection {frame.link}")
    for start in range(0, len(shown), 96):
        click.secho(f"    {shown[start : start + 96]}{more if start + 96 >= len(shown) else ''}", dim=True)
    click.echo(f"    can read     next hops {frame.onward}; way back {frame.back or '(none yet)'}")
    click.echo(f"    cannot read  {frame.payload_length} bytes: packet {frame.nonce} of the channel, AES-256-GCM\n")


def _show_timing(inlet: str, first_byte_s: float) -> None:
    host, _, port = inlet.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=START_TIMEOUT_S)
    samples = []
    for _ in range(ROUND_TRIPS):
        began = time.perf_counter()
        connection.request("HEAD", "/answer.txt")
        connection.getresponse().read()
        samples.append(time.perf_counter() - began)
    began = time.perf_counter()
    length = len(_get(inlet, "/bulk.bin"))
    bulk_s = time.perf_counter() - began
    small_ms = statistics.median(samples) * 1e3
    rate = length / bulk_s / 1e6
    click.secho("Timing", bold=True)
    for what, figure in (
        ("from nothing to the first answer, four processes started", f"{first_byte_s:.2f} s"),
        (f"a small HTTP request and its answer, median of {ROUND_TRIPS}", f"{small_ms:.2f} ms"),
        (f"{length // 2**20} MiB through the portal", f"{rate:.0f} MB/s"),
    ):
        click.echo(f"  {what:<60} {figure:>9}")


def _get(address: str, path: str) -> bytes:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=START_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


class Child:
    """A process of the demo."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and modules
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def terminate(self) -> None:
        """Ask the process to end."""
        self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for its end until the deadline; kill it then."""
        try:
            self._process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def line(self) -> str:
        """Return the next line that the process prints; a process that ends instead ends the demo with what it said."""
        line = "" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            fail(f"a process of the demo ended at once, with exit code {self._process.wait()}")
        return line


ChildT = TypeVar("ChildT", bound=Child)


class Children:
    """All processes of the demo; they end with it, together."""

    def __init__(self) -> None:
        self._all: list[Child] = []

    def start(self, start: Callable[[], ChildT]) -> ChildT:
        """Start one; a signal that comes meanwhile is acted on when its process is known here."""
        with _signals_later():
            child = start()
            self._all.append(child)
        return child

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in _SIGNALS:  # we are leaving already, and leave nothing behind
            signal.signal(number, signal.SIG_IGN)
        deadline = time.monotonic() + END_TIMEOUT_S
        for child in self._all:
            child.terminate()
        for child in self._all:
            child.wait(deadline)


@contextmanager
def _signals_later() -> Iterator[None]:
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        sys.exit(0)


class WebServer(Child):
    """The web server of the standard library, on a free port."""

    def __init__(self, folder: Path) -> None:
        super().__init__("-u", "-c", _WEB_SERVER, str(folder))

    def address(self) -> str:
        """Return where it listens."""
        return self.line().strip()


class Role(Child):
    """One of our own commands."""

    def __init__(self, role: str, *arguments: str) -> None:
        super().__init__("-m", "ockam_ref", role, *arguments, "--ephemeral", "--json")
        self._ready: dict[str, str] | None = None

    def ready(self, field: str) -> str:
        """Return a field of the command's first event, once it is ready."""
        if self._ready is None:
            line = self.line()
            try:
                self._ready = json.loads(line)
            except ValueError:
                fail(f"a process of the demo could not start: {line.strip()}")
        return str(self._ready[field])


_WEB_SERVER: Final = """
import functools, http.server, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
handler = functools.partial(Quiet, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(f"127.0.0.1:{server.server_port}")
server.serve_forever()
"""
