"""``ockam-ref transports``: our own transports, those of strangers, and broken ones."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.commands import environment, run

PIGEON = """
from ockam_transports.base import LinkKind, TransportPlugin
PLUGIN = TransportPlugin(
    name="{name}", transport_type={number}, kind=LinkKind.PACKET, form="packet", address_form="loft/\\x1b[31mname",
    summary="Slow and sure", create=print, needs=("no_such_package",), extra="feed",
)
"""


@pytest.fixture
def strangers(tmp_path: Path) -> dict[str, str]:
    """An environment with four plug-ins of strangers, three of them with something wrong."""
    for distribution, source in {
        "pigeon": PIGEON.format(name="pigeon", number=77),
        "rival": PIGEON.format(name="pigeon", number=78),
        "twin": PIGEON.format(name="dove", number=77),
        "wreck": "raise ImportError('lost at sea')",
    }.items():
        (tmp_path / f"{distribution}.py").write_text(source, encoding="utf-8")
        metadata = tmp_path / f"{distribution}-2.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.0\n")
        (metadata / "entry_points.txt").write_text(f"[ockam_ref.transports]\n{distribution} = {distribution}:PLUGIN\n")
    return {**environment(), "PYTHONPATH": str(tmp_path)}


@pytest.mark.spec("CLI-55")
def test_a_table_for_people() -> None:
    done = run("transports")
    assert (done.code, done.errors) == (0, "")
    heading, *rows = done.output.splitlines()
    assert heading.split() == ["NAME", "KIND", "NUMBER", "ADDRESS", "FROM", "SUMMARY"]
    (tcp,) = (row for row in rows if row.startswith("tcp "))
    assert tcp.split()[:6] == ["tcp", "stream", "1", "host:port", "ockam-ref", version("ockam-ref")]


@pytest.mark.spec("CLI-55")
def test_lines_for_programs() -> None:
    done = run("transports", "--json")
    found = {line["name"]: line for line in map(json.loads, done.output.splitlines())}
    assert {"memory", "tcp"} <= set(found)
    assert {line["event"] for line in found.values()} == {"transport"}
    tcp = found["tcp"]
    assert (tcp["distribution"], tcp["version"]) == ("ockam-ref", version("ockam-ref"))
    assert (tcp["kind"], tcp["transport_type"], tcp["form"], tcp["missing"]) == ("stream", 1, "framed", [])


@pytest.mark.spec("CLI-55", "CLI-56", "CLI-57")
def test_strangers_are_listed_with_what_is_wrong(strangers: dict[str, str]) -> None:
    done = run("transports", variables=strangers)
    assert (done.code, done.errors) == (0, "")
    assert "\x1b" not in done.output
    assert "pigeon needs no_such_package, not installed: pip install 'pigeon[feed]'" in done.output
    assert "pigeon of rival is not used: pigeon has one of the same name" in done.output
    assert "dove of twin has the number 77, which in a route means pigeon of pigeon" in done.output
    assert "wreck of wreck cannot be used: ImportError: lost at sea" in done.output


@pytest.mark.spec("CLI-56", "CLI-57")
def test_programs_are_told_too(strangers: dict[str, str]) -> None:
    done = run("transports", "--json", variables=strangers)
    found = {line["distribution"]: line for line in map(json.loads, done.output.splitlines())}
    assert found["pigeon"]["missing"] == ["no_such_package"]
    assert found["rival"]["hidden_by"] == "pigeon"
    assert found["twin"]["number_is_of"] == "pigeon"
    assert found["wreck"]["problem"] == "ImportError: lost at sea"
    assert "kind" not in found["wreck"]
