"""A process that is killed while it rotates leaves an identity that goes on: the one before, or the one after."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ockam_ref.asyncio.home import Home
from ockam_ref.identities.change_history import Comparison, compare_histories, decode_change_history
from ockam_ref.storage.secret_keys import SecretRepository, SecretUse
from tests.processes import REPOSITORY

ROTATES: Final = """
import asyncio, sys
from pathlib import Path
from ockam_ref.asyncio.home import Home

async def main():
    async with await Home.open(Path(sys.argv[1])) as home:
        while True:
            rotated = await home.identities.rotate()
            print(rotated.identity.history.encoded.hex(), flush=True)

asyncio.run(main())
"""


@pytest.mark.spec("ID-35", "ID-39")
def test_killed_again_and_again(tmp_path: Path) -> None:
    file = tmp_path / "home" / "state.db"
    history = asyncio.run(created(file))
    for kills in range(1, 6):
        with subprocess.Popen(
            [sys.executable, "-c", ROTATES, str(file)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(kills):
                acknowledged = process.stdout.readline().strip()
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().splitlines(keepends=True)
            *_, acknowledged = [acknowledged, *(line.strip() for line in rest if line.endswith("\n"))]
        history = asyncio.run(continued(file, history, bytes.fromhex(acknowledged), kills))


async def created(file: Path) -> bytes:
    async with await Home.open(file) as home:
        return (await home.identities.open(create=True)).identity.history.encoded


async def continued(file: Path, before: bytes, acknowledged: bytes, kills: int) -> bytes:
    """Check that nothing acknowledged is lost, and that the identity can be used and rotated."""
    async with await Home.open(file) as home:
        local = await home.identities.open()
        history = local.identity.history
        assert compare_histories(history, decode_change_history(before)) is Comparison.NEWER
        assert compare_histories(history, decode_change_history(acknowledged)) in (Comparison.EQUAL, Comparison.NEWER)
        secrets = SecretRepository(home.store)
        assert len(await secrets.handles(SecretUse.SIGNING)) <= 1 + kills
        assert len(await secrets.handles(SecretUse.X25519)) <= 1 + kills
        rotated = await home.identities.rotate()
        return rotated.identity.history.encoded
