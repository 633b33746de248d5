"""The transport of a stranger: a wheel of its own beside ours, used and tested without touching anything of ours."""

import json
import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.packaging.conftest import CHECKOUT, build, make_environment, run

PROJECT: Final = CHECKOUT / "docs" / "examples" / "ockam_transport_pipe"

TALK: Final = """
import asyncio
import sys

from ockam_ref.asyncio import Node


async def main() -> None:
    folder = sys.argv[1]
    async with Node.create() as bob, Node.create() as alice:
        listener = await bob.listen("pipe", folder)
        channels = await bob.create_secure_channel_listener(bob.create_identity(), "api", consumer_of=[listener])
        await bob.start_uppercase("uppercase", consumer_of=[channels])
        connection = await alice.connect("pipe", listener.address)
        channel = await alice.create_secure_channel(alice.create_identity(), [connection, "api"])
        reply = await alice.send_and_receive([channel, "uppercase"], "through pipes")
        print(reply.body(str))


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def third_party(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the example, built from a copy: a build leaves nothing in the checkout."""
    copy = tmp_path_factory.mktemp("project") / PROJECT.name
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return build(copy, tmp_path_factory.mktemp("third-party"))


@pytest.fixture(scope="module")
def environment(wheel: Path, third_party: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with both wheels, and pytest."""
    return make_environment(tmp_path_factory.mktemp("environment"), wheel, third_party, linked=("pytest",))


@pytest.mark.spec("TRN-2")
def test_it_is_listed_beside_ours(environment: Path, tmp_path: Path) -> None:
    lines = run(environment / "ockam-ref", "transports", "--json", cwd=tmp_path).splitlines()
    found = {line["name"]: line for line in map(json.loads, lines)}
    assert {"memory", "tcp"} <= set(found)
    pipe = found["pipe"]
    assert (pipe["distribution"], pipe["version"]) == ("ockam-transport-pipe", "1.0")
    assert (pipe["kind"], pipe["transport_type"], pipe["address_form"]) == ("stream", 201, "a folder")
    table = run(environment / "ockam-ref", "transports", cwd=tmp_path)
    assert re.search(r"^pipe +stream +201 +a folder +ockam-transport-pipe 1\.0", table, re.MULTILINE)


@pytest.mark.spec("TRN-2")
def test_two_nodes_talk_over_a_secure_channel_through_it(environment: Path, tmp_path: Path) -> None:
    said = run(environment / "python", "-I", "-c", TALK, tmp_path / "bob", cwd=tmp_path)
    assert said == "THROUGH PIPES\n"
    assert list((tmp_path / "bob").iterdir()) == []


@pytest.mark.spec("TRN-3")
def test_its_contract_tests_run_there(environment: Path, tmp_path: Path) -> None:
    shutil.copy(PROJECT / "test_pipe.py", tmp_path)
    output = run(
        environment / "python", "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_pipe.py", cwd=tmp_path
    )
    passed = re.search(r"(\d+) passed", output)
    assert passed is not None
    assert int(passed[1]) >= 40
    assert "failed" not in output
