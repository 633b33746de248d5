"""The processes that the tests of this folder talk to, and the record of what they proved."""

import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.interop.build_peer import AUTHORITY, PEER, PeerBuildError, RustProgram, build
from tests.interop.harness import (
    AuthorityProgram,
    CommandLine,
    Implementation,
    Peers,
    Program,
    python_authority_program,
    python_program,
    rust_authority_program,
    rust_program,
)
from tests.interop.matrix import Cell
from tests.interop.record import CELL_PROPERTY, Record
from tests.interop.traffic import Target

NO_PEER: Final = "there is no Rust peer: cargo is not installed, or could not build it"

_BINARIES: Final = pytest.StashKey[dict[RustProgram, Path | None]]()
_AUTHORITY_FIXTURE: Final = "authority_of"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Record(), "interop-record")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        cell = _cell_of(item)
        if cell is not None and cell.in_table:
            item.user_properties.append((CELL_PROPERTY, cell.id))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is needed before the first test, whose time-out is shorter than a first build."""
    if session.config.option.collectonly:
        return
    needed = {program for item in session.items for program in _needed(item)}
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        session.config.stash[_BINARIES] = {
            program: _build(program) for program in (PEER, AUTHORITY) if program in needed
        }


def _build(program: RustProgram) -> Path | None:
    try:
        return build(program)
    except PeerBuildError as error:
        print(error, file=sys.stderr)
        return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give all tests that miss the peer the same place, so that the summary says it in one line."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and NO_PEER in report.longrepr[2]:
        report.longrepr = (str(Path(__file__).parent), None, NO_PEER)  # type: ignore[assignment]  # it may be None
    return report


def _needed(item: pytest.Item) -> Iterator[RustProgram]:
    cell = _cell_of(item)
    if item.get_closest_marker("interop") is None or (cell is not None and "rust" not in cell.implementations):
        return
    yield PEER
    if _AUTHORITY_FIXTURE in getattr(item, "fixturenames", ()):
        yield AUTHORITY


def _cell_of(item: pytest.Item) -> Cell | None:
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return None
    cell = item.callspec.params.get("cell")
    return cell if isinstance(cell, Cell) else None


@pytest.fixture
def peers() -> Iterator[Peers]:
    """The processes of one test; what they wrote to standard error is shown if the test fails."""
    started = Peers()
    try:
        with started:
            yield started
    finally:
        for peer in started.started:
            if errors := peer.errors():
                print(f"--- {peer.name} (pid {peer.pid}) ---\n{errors}")


@pytest.fixture
def rust(peers: Peers, pytestconfig: pytest.Config) -> Program:
    """The Rust implementation; without it the test is skipped, and fails where it must not be missing."""
    return rust_program(_binary(pytestconfig, PEER), peers)


@pytest.fixture
def rust_authority(peers: Peers, pytestconfig: pytest.Config) -> AuthorityProgram:
    """The Rust authority and its clients; without it as without ``rust``."""
    return rust_authority_program(_binary(pytestconfig, AUTHORITY), peers)


@pytest.fixture
def python_authority(peers: Peers) -> AuthorityProgram:
    """Our authority and its clients."""
    return python_authority_program(peers)


@pytest.fixture
def program_of(request: pytest.FixtureRequest) -> Callable[[str], Program]:
    """Return the program of an implementation that has the options of ``ockam-peer``."""
    fixtures = {"rust": "rust", "python": "program"}
    return lambda name: request.getfixturevalue(fixtures[name])


@pytest.fixture
def authority_of(request: pytest.FixtureRequest) -> Callable[[str], AuthorityProgram]:
    """Return the authority of an implementation, and its clients."""
    return lambda name: request.getfixturevalue(f"{name}_authority")


def _binary(config: pytest.Config, program: RustProgram) -> Path:
    binary = config.stash[_BINARIES][program]
    if binary is not None:
        return binary
    if os.environ.get("CI") == "true":
        pytest.fail(NO_PEER, pytrace=False)
    pytest.skip(NO_PEER)


@pytest.fixture
def python(peers: Peers) -> CommandLine:
    """This implementation."""
    return CommandLine(peers)


@pytest.fixture
def program(peers: Peers) -> Program:
    """This implementation without its command line, for what that does not offer."""
    return python_program(peers)


@pytest.fixture
def implementation(request: pytest.FixtureRequest) -> Callable[[str], Implementation]:
    """Return either implementation by its name; one that is not asked for is not needed."""
    return request.getfixturevalue


@pytest.fixture
def target() -> Iterator[Target]:
    """A server behind a portal."""
    with Target() as started:
        yield started
