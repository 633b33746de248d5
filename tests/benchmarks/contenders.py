"""The tunnels that are compared, each as the processes that a user would start."""

import getpass
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.benchmarks import load
from tests.benchmarks.processes import with_descendants
from tests.interop.build_peer import PeerBuildError, build
from tests.interop.harness import CommandLine, Implementation, Peers, Relayed, rust_program

_SSH_READY_S: Final = 20.0
_SSH_POLL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A way to the target: where to connect, and the processes that carry it, none for the direct way."""

    address: str
    pids: list[int]


@dataclass(frozen=True, slots=True)
class Contender:
    """One column of the comparison; ``missing`` says why it cannot be measured here, if so."""

    name: str
    missing: str | None
    open: Callable[[str], AbstractContextManager[Tunnel]]


def environment(**more: str) -> dict[str, str]:
    """Return the environment for a measured Python program: with its compiled modules kept, as users have them."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | more


def contenders() -> list[Contender]:
    """Return all of them, in the order of the table."""
    return [
        Contender("direct", None, _direct),
        Contender("ssh", _ssh_missing(), _ssh),
        _rust(),
        Contender("ours-asyncio", _ours_missing("asyncio"), lambda target: _ours("asyncio", target)),
        Contender("ours-uvloop", _ours_missing("uvloop"), lambda target: _ours("uvloop", target)),
    ]


def rust_binary() -> tuple[Path | None, str | None]:
    """Return the program of the Rust peer, or why there is none."""
    try:
        binary = build()
    except PeerBuildError as error:
        return None, str(error).splitlines()[0]
    return binary, None if binary else "cargo is not installed"


@contextmanager
def _direct(target: str) -> Iterator[Tunnel]:
    yield Tunnel(target, [])


def _rust() -> Contender:
    binary, missing = rust_binary()

    @contextmanager
    def opened(target: str) -> Iterator[Tunnel]:
        assert binary is not None
        with Peers() as peers:
            yield _portal(rust_program(binary, peers), peers, target)

    return Contender("rust", missing, opened)


def _ours_missing(loop: str) -> str | None:
    if loop == "uvloop" and find_spec("uvloop") is None:
        return "uvloop is not installed"
    return None


@contextmanager
def _ours(loop: str, target: str) -> Iterator[Tunnel]:
    with Peers(environment(OCKAM_REF_LOOP=loop)) as peers:
        yield _portal(CommandLine(peers), peers, target)


def _portal(implementation: Implementation, peers: Peers, target: str) -> Tunnel:
    """Start hub, outlet and inlet, one after the other as each tells where it is; the channel is end to end."""
    hub = implementation.hub()["listen"]
    _, outlet = implementation.outlet(target, hub=hub)
    _, inlet = implementation.inlet(Relayed(hub, outlet["forwarding_address"]), expect=outlet["identifier"])
    return Tunnel(inlet["listen"], [peer.pid for peer in peers.started])


# ---- ssh


def _ssh_missing() -> str | None:
    for program in ("ssh", "ssh-keygen"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None if _sshd() else "sshd is not installed"


def _sshd() -> str | None:
    # It refuses to run by a relative name, and its folder is often not on the path of people.
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def _ssh(target: str) -> Iterator[Tunnel]:
    """``ssh -L`` to a server that is reached by ``ssh -W`` through the same server, with keys of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ockam-ref-ssh-")))
        port, local_port = _free_ports(2)
        log, local = folder / "log", f"127.0.0.1:{local_port}"
        server = stack.enter_context(_running(_ssh_server(folder, port), log))
        # It is not asked by connecting, because the process that answers would linger among those that are measured.
        _await(lambda: "Server listening" in log.read_text(), server, log)
        client = stack.enter_context(_running(_ssh_client(folder, port, local, target), log))
        _await(lambda: _listens(local), client, log)
        load.first_byte(local)  # from then on the processes that only sshd's authentication needs are gone
        yield Tunnel(local, with_descendants([server.pid, client.pid]))


def _ssh_server(folder: Path, port: int) -> list[str]:
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it when it is started by root
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "AllowTcpForwarding": "yes",
    }
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    return [_sshd() or "sshd", "-D", "-e", "-f", str(folder / "sshd_config")]


def _ssh_client(folder: Path, port: int, listen: str, target: str) -> list[str]:
    options = {
        "UserKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "no",
        "IdentitiesOnly": "yes",
        "IdentityFile": folder / "user",
        "BatchMode": "yes",
        "ExitOnForwardFailure": "yes",
        "LogLevel": "ERROR",
    }
    common = ["-F", "none", "-p", str(port), *(f"-o{name}={value}" for name, value in options.items())]
    server = f"{getpass.getuser()}@127.0.0.1"
    hop = " ".join(["ssh", *common, "-W", "%h:%p", server])
    return ["ssh", *common, "-N", "-L", f"{listen}:{target}", "-o", f"ProxyCommand={hop}", server]


@contextmanager
def _running(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as errors, subprocess.Popen(command, stderr=errors, stdin=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def _await(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _SSH_READY_S
    while not ready():
        if time.monotonic() > deadline or process.poll() is not None:
            raise RuntimeError(f"{process.args!r} does not listen:\n{log.read_text()}")
        time.sleep(_SSH_POLL_S)  # neither program has a way to tell that it is ready


def _listens(address: str) -> bool:
    try:
        load.connect(address).close()
    except ConnectionRefusedError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(load.listen()) for _ in range(count)]
        return [listener.getsockname()[1] for listener in sockets]
