"""A whole session of the command line: none of its processes writes a byte of a secret key anywhere but into the store."""

import json
import re
from pathlib import Path

import pytest

from tests.commands import environment, open_portal, run
from tests.interop.harness import CommandLine
from tests.interop.traffic import Target, connect
from tests.secret_bytes import forms_of, found_in, secrets_of

SEED = bytes(range(100, 132))
HISTORY_ERROR = "@no-such-file"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("OCKAM_REF_HOME", str(folder))
    monkeypatch.setenv("PYTHONDEVMODE", "1")
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    return folder


def files_of(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file() and not path.name.startswith("state.db")]


@pytest.mark.spec("ID-10", "ID-42", "ID-43", "VLT-10")
def test_a_whole_session(home: Path, tmp_path: Path, command_line: CommandLine, target: Target) -> None:
    from ockam_ref.identities.change_history import create_identity
    from ockam_ref.identities.keys import ed25519_from_seed

    history = create_identity(ed25519_from_seed(SEED), valid_from=1_700_000_000, valid_until=2_000_000_000).history
    secret_file = tmp_path / "secret"
    secret_file.write_text(SEED.hex())
    secret_file.chmod(0o600)
    wrong_file = tmp_path / "wrong"
    wrong_file.write_text(SEED[:31].hex())
    wrong_file.chmod(0o600)
    other_file = tmp_path / "other"
    other_file.write_text(SEED[::-1].hex())
    other_file.chmod(0o600)
    written = b""
    seen = set[bytes]()

    def note(*words: str, code: int = 0) -> str:
        nonlocal written
        done = run("identity", *words, variables=environment())
        assert done.code == code, done.errors
        written += f"{done.output}\n{done.errors}\n".encode()
        seen.update(secrets_of(home))
        return done.output

    note("create", "work")
    note("import", history.encoded.hex(), "--secret-key-file", str(secret_file), "--name", "mine")
    for faulty in (wrong_file, other_file):
        note("import", history.encoded.hex(), "--secret-key-file", str(faulty), code=1)
    secret_file.chmod(0o644)
    note("import", history.encoded.hex(), "--secret-key-file", str(secret_file), code=1)
    note("import", history.encoded.hex()[:-2], code=1)
    note("import", HISTORY_ERROR, code=1)
    note("rotate", "mine", "--kind", "p256")
    note("default", "mine")
    for words in (("list",), ("show", "mine"), ("show", "mine", "--json"), ("export", "mine"), ("show", "nobody")):
        note(*words, code=1 if "nobody" in words else 0)

    portal = open_portal(command_line, target.address)
    with connect(portal.address) as client:
        client.sendall(b"through the portal")
    note("rotate")
    note("delete", "work", "--yes")
    for process in portal.processes:
        process.stop()
        process.rest()
        written += "\n".join([*process.lines, process.errors()]).encode()

    assert len(seen) >= 6
    assert SEED in seen
    assert SEED not in secrets_of(home)  # rotated, and destroyed
    assert not any(form in path.read_bytes() for path in home.iterdir() for form in forms_of(SEED))
    assert files_of(home) == []
    assert len(written) > 2000
    assert found_in(written, seen) == []


@pytest.mark.spec("ID-43")
def test_the_search_finds_what_is_there() -> None:
    import base64

    for text in (
        SEED.hex(),
        SEED.hex().upper(),
        SEED.hex(":"),
        repr(SEED),
        repr([*SEED]),
        json.dumps([*SEED], separators=(",", ":")),
        *(base64.b64encode(b"x" * offset + SEED).decode() for offset in range(3)),
        *(base64.urlsafe_b64encode(b"x" * offset + bytes([251]) * 2 + SEED).decode() for offset in range(3)),
    ):
        assert found_in(b"before " + text.encode() + b" after", [SEED]), text
    assert found_in(b"\x00" + SEED + b"\x00", [SEED])
    assert found_in(re.sub(rb"..", b"", SEED), [SEED]) == []
