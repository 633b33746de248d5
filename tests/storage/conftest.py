"""A folder for the state, and a loop that runs for a bounded time."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pytest

from ockam_ref.storage.home import HOME_VARIABLE
from ockam_ref.storage.passphrases import PASSPHRASE_VARIABLE

LIMIT_S: Final = 60

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the state, which is not there yet."""
    folder = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    return folder


@pytest.fixture
def path(home: Path) -> Path:
    """The file of the store, which is not there yet."""
    return home / "state.db"


@pytest.fixture
def run() -> Run:
    """Run a coroutine; nothing may be left running."""

    def run_it(coroutine: Coroutine[Any, Any, None]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(LIMIT_S):
                await coroutine
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks are left: {left}"

        asyncio.run(bounded())

    return run_it
