"""The load of the benchmarks works, and its check of the data can fail."""

import sys
from collections.abc import Iterator

import pytest

from tests.benchmarks import load
from tests.interop.harness import Peers


@pytest.fixture
def server() -> Iterator[str]:
    with Peers() as peers:
        yield peers.start("target", [sys.executable, "-m", "tests.benchmarks.load"]).ready()["listen"]


def test_every_kind_of_load(server: str) -> None:
    load.first_byte(server)
    load.check(server)
    assert load.download(server, load.CHECKED_BYTES) > 0
    assert load.upload(server, load.CHECKED_BYTES) > 0
    assert load.connections(server, 3) > 0
    trips = load.round_trips(server, 5, warm_up=1)
    assert trips == sorted(trips)
    assert len(trips) == 5


def test_wrong_data_is_noticed(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "pattern", lambda: bytes(load.PATTERN_BYTES))
    with pytest.raises(ValueError, match="wrong"):
        load.check(server)
