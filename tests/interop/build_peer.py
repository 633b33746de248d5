"""Build the Rust peer of the interoperability tests and benchmarks, once per version of its sources.

``build()`` returns the path of a ready binary. Run as a script, this prints that path on standard output and
what it is doing on standard error.

Everything is kept under ``~/.cache/ockam-ref``: the binaries in ``rust-peer/<hash of the sources>/``, each beside
the ``Cargo.lock`` it was built with, and the compiled dependencies in ``cargo-target/``, shared by all versions.
The environment variable ``OCKAM_REF_RUST_PEER`` names a ready binary and overrides all of this.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

BINARY_VARIABLE: Final = "OCKAM_REF_RUST_PEER"
BINARY_NAME: Final = "ockam-peer"
SOURCES: Final = Path(__file__).resolve().parent / "rust_peer"

_TAIL_LINES: Final = 40
_CRATES_PER_PROGRESS_LINE: Final = 50

_PROBE_MANIFEST: Final = """\
[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[dependencies]
memchr = "2"

[workspace]
"""

# The ockam crates depend on core2 0.4.0, which is yanked: cargo uses such a version only if a lock file already
# names it. This one entry is enough, cargo adds all the others.
_SEED_LOCK: Final = """\
version = 4

[[package]]
name = "core2"
version = "0.4.0"
source = "{source}"
checksum = "b49ba7ef1ad6107f8824dbe97de947cbaac53c44e7f9756a1fba0d37c1eec505"
dependencies = [
 "memchr",
]
"""


class PeerBuildError(Exception):
    """The peer could not be built. The text ends with the last lines that cargo printed."""


def build(cache_dir: Path | None = None, *, quiet: bool = False) -> Path | None:
    """Return the path of a ready peer binary, building it if need be.

    ``cache_dir`` replaces ``~/.cache/ockam-ref``. Returns ``None``, after printing one line, if there is neither
    a ready binary nor cargo to build one. Several processes may call this at the same time: one builds and the
    others wait for it.
    """
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        return _checked_binary(Path(named))

    root = (cache_dir if cache_dir is not None else Path.home() / ".cache" / "ockam-ref").absolute()
    folder = root / "rust-peer" / source_hash()
    binary = folder / BINARY_NAME
    if binary.is_file():
        return binary
    cargo = _find_cargo()
    if cargo is None:
        _say("cargo is not installed: there is no Rust peer to test against")
        return None

    with _exclusive(root / "rust-peer.lock", quiet=quiet):
        # Whoever held the lock before us may have built this very version.
        if not binary.is_file():
            _build_into(folder, target=root / "cargo-target", cargo=cargo, quiet=quiet)
    return binary


def source_hash() -> str:
    """Return 16 hex digits that change with any change of the manifest or the sources."""
    digest = hashlib.sha256()
    for path in _source_files():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCES).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _source_files() -> list[Path]:
    return [SOURCES / "Cargo.toml", *sorted((SOURCES / "src").rglob("*.rs"))]


def _checked_binary(path: Path) -> Path:
    if not path.is_file() or not os.access(path, os.X_OK):
        raise PeerBuildError(f"{BINARY_VARIABLE} names {path}, which is not a program")
    return path.absolute()


def _find_cargo() -> str | None:
    # rustup's folder is often missing from the path of shells that are not login shells.
    rustup = Path.home() / ".cargo" / "bin"
    return shutil.which("cargo") or shutil.which("cargo", path=str(rustup))


@contextlib.contextmanager
def _exclusive(path: Path, *, quiet: bool) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another build of the Rust peer", unless=quiet)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_into(folder: Path, *, target: Path, cargo: str, quiet: bool) -> None:
    target.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / "source"
    if package.exists():
        shutil.rmtree(package)
    for path in _source_files():
        copy = package / path.relative_to(SOURCES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)

    # The versions chosen by the first build serve all later ones, so that a change of the program changes nothing
    # else, and no dependency is compiled again.
    lock = package / "Cargo.lock"
    shared_lock = target / f"{BINARY_NAME}.Cargo.lock"
    if shared_lock.is_file():
        shutil.copyfile(shared_lock, lock)
    else:
        lock.write_text(_SEED_LOCK.format(source=_default_registry(cargo)))

    _say("building the Rust peer; the first time takes about three minutes", unless=quiet)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    # A cross-compiling default would put the result elsewhere, and it could not run here.
    environment.pop("CARGO_BUILD_TARGET", None)
    _run([cargo, "build", "--release"], directory=package, environment=environment, quiet=quiet)

    _publish(lock, shared_lock)
    _publish(lock, folder / "Cargo.lock")
    # Last, because its presence is what makes the folder count as built.
    _publish(target / "release" / BINARY_NAME, folder / BINARY_NAME)


def _default_registry(cargo: str) -> str:
    """Return the text by which cargo calls its default registry in a lock file."""
    with tempfile.TemporaryDirectory(prefix="ockam-ref-probe-") as name:
        probe = Path(name)
        (probe / "src").mkdir()
        (probe / "src" / "lib.rs").touch()
        (probe / "Cargo.toml").write_text(_PROBE_MANIFEST)
        _run([cargo, "generate-lockfile"], directory=probe, environment=os.environ.copy(), quiet=True)
        packages = tomllib.loads((probe / "Cargo.lock").read_text())["package"]
        return str(next(package["source"] for package in packages if package["name"] == "memchr"))


def _run(command: list[str], *, directory: Path, environment: dict[str, str], quiet: bool) -> None:
    environment = {**environment, "CARGO_TERM_COLOR": "never", "CARGO_TERM_PROGRESS_WHEN": "never"}
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    compiled = 0
    with subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                tail.append(line.rstrip())
                if line.lstrip().startswith("Compiling "):
                    compiled += 1
                    if compiled % _CRATES_PER_PROGRESS_LINE == 0:
                        _say(f"{compiled} crates", unless=quiet)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        output = "\n".join(tail)
        raise PeerBuildError(f"`{' '.join(command)}` failed with code {process.returncode}:\n{output}")


def _publish(source: Path, destination: Path) -> None:
    """Copy a file so that it appears whole or not at all."""
    partial = destination.with_name(f".{destination.name}.{os.getpid()}")
    shutil.copy2(source, partial)
    partial.replace(destination)


def _say(text: str, *, unless: bool = False) -> None:
    if not unless:
        print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Build the peer and print where it is."""
    try:
        binary = build()
    except PeerBuildError as error:
        _say(str(error))
        return 1
    if binary is None:
        return 1
    print(binary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
