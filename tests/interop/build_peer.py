"""Build the Rust programs of the interoperability tests and benchmarks, once per version of their sources.

There are two: the peer, a node of crate ``ockam``, and the authority, which needs the much larger crate ``ockam_api``.
``build()`` returns the path of a ready binary. Run as a script, this prints both paths on standard output and
what it is doing on standard error.

Everything is kept under ``~/.cache/ockam-ref``: the binaries in ``rust-peer/<hash of the sources>/`` and
``rust-authority/<hash of the sources>/``, each beside the ``Cargo.lock`` it was built with, and the compiled
dependencies in ``cargo-target/``, shared by all versions. The environment variables ``OCKAM_REF_RUST_PEER`` and
``OCKAM_REF_RUST_AUTHORITY`` name a ready binary and override all of this.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class RustProgram:
    """One program: its binary, the folder of its package, what else it is made of, and how long a first build takes."""

    binary: str
    package: str
    borrowed: tuple[str, ...]
    variable: str
    minutes: str

    @property
    def cache_name(self) -> str:
        """The folder of its binaries."""
        return self.package.replace("_", "-")

    def source_files(self) -> list[Path]:
        """All files that it is made of."""
        own = SOURCES / self.package
        found = [*own.rglob("Cargo.toml"), *own.rglob("*.rs"), *(SOURCES / name for name in self.borrowed)]
        return sorted(found)


PEER: Final = RustProgram("ockam-peer", "rust_peer", (), "OCKAM_REF_RUST_PEER", "three minutes")
AUTHORITY: Final = RustProgram(
    "ockam-authority",
    "rust_authority",
    tuple(f"rust_peer/src/{name}.rs" for name in ("args", "identity", "lifetime", "report")),
    "OCKAM_REF_RUST_AUTHORITY",
    "five minutes",
)

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
    """A program could not be built. The text ends with the last lines that cargo printed."""


def build(program: RustProgram = PEER, cache_dir: Path | None = None, *, quiet: bool = False) -> Path | None:
    """Return the path of a ready binary, building it if need be.

    ``cache_dir`` replaces ``~/.cache/ockam-ref``. Returns ``None``, after printing one line, if there is neither
    a ready binary nor cargo to build one. Several processes may call this at the same time: one builds and the
    others wait for it.
    """
    named = os.environ.get(program.variable)
    if named:
        return _checked_binary(Path(named), program.variable)

    root = (cache_dir if cache_dir is not None else Path.home() / ".cache" / "ockam-ref").absolute()
    folder = root / program.cache_name / source_hash(program)
    binary = folder / program.binary
    if binary.is_file():
        return binary
    cargo = _find_cargo()
    if cargo is None:
        _say("cargo is not installed: there is no Rust peer to test against")
        return None

    with _exclusive(root / "rust-peer.lock", quiet=quiet):
        # Whoever held the lock before us may have built this very version.
        if not binary.is_file():
            _build_into(folder, program, target=root / "cargo-target", cargo=cargo, quiet=quiet)
    return binary


def source_hash(program: RustProgram) -> str:
    """Return 16 hex digits that change with any change of the manifest or the sources."""
    digest = hashlib.sha256()
    for path in program.source_files():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCES).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _checked_binary(path: Path, variable: str) -> Path:
    if not path.is_file() or not os.access(path, os.X_OK):
        raise PeerBuildError(f"{variable} names {path}, which is not a program")
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


def _build_into(folder: Path, program: RustProgram, *, target: Path, cargo: str, quiet: bool) -> None:
    target.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    sources = folder / "source"
    if sources.exists():
        shutil.rmtree(sources)
    for path in program.source_files():
        copy = sources / path.relative_to(SOURCES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    package = sources / program.package

    # The versions chosen by the first build serve all later ones, so that a change of the program changes nothing
    # else, and no dependency is compiled again.
    lock = package / "Cargo.lock"
    shared_lock = target / f"{program.binary}.Cargo.lock"
    if shared_lock.is_file():
        shutil.copyfile(shared_lock, lock)
    else:
        lock.write_text(_SEED_LOCK.format(source=_default_registry(cargo)))

    _say(f"building {program.binary}; the first time takes about {program.minutes}", unless=quiet)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    # A cross-compiling default would put the result elsewhere, and it could not run here.
    environment.pop("CARGO_BUILD_TARGET", None)
    _run([cargo, "build", "--release"], directory=package, environment=environment, quiet=quiet)

    _publish(lock, shared_lock)
    _publish(lock, folder / "Cargo.lock")
    # Last, because its presence is what makes the folder count as built.
    _publish(target / "release" / program.binary, folder / program.binary)


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
    """Build both programs and print where they are."""
    for program in (PEER, AUTHORITY):
        try:
            binary = build(program)
        except PeerBuildError as error:
            _say(str(error))
            return 1
        if binary is None:
            return 1
        print(binary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
