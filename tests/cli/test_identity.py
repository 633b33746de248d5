"""``ockam-ref identity``: what it prints for people and for programs, and what it refuses."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.cli.ages import since, span
from ockam_ref.cli.identity_tree import identity_tree
from ockam_ref.identities.change_history import VerifiedIdentity, create_identity, rotate_identity
from ockam_ref.identities.keys import ed25519_from_seed, p256_from_secret
from ockam_ref.identities.purpose_keys import AttestationData, CredentialSigningKey, SecureChannelKey
from tests.commands import OURS, Finished, environment, run
from tests.processes import REPOSITORY

NOW = 1_800_000_000
FIRST, SECOND, THIRD = (bytes([number]) * 32 for number in (1, 2, 3))
DAY = 86_400
YEAR = 365 * DAY
IDENTIFIER = re.compile(r"I[0-9a-f]{64}")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("OCKAM_REF_HOME", str(folder))
    return folder


def identity(*words: str) -> Finished:
    return run("identity", *words, variables=environment())


def good(*words: str) -> str:
    done = identity(*words)
    assert (done.code, done.errors) == (0, "")
    return done.output


def lines(*words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in good(*words, "--json").splitlines()]


def refused(*words: str) -> str:
    done = identity(*words)
    assert (done.code, done.output) == (1, "")
    return done.errors


def rotated_identity() -> VerifiedIdentity:
    first, second = ed25519_from_seed(FIRST), p256_from_secret(SECOND)
    made = create_identity(first, valid_from=NOW - 3 * YEAR, valid_until=NOW)
    return rotate_identity(made, first, second, valid_from=NOW - 2 * DAY, valid_until=NOW + YEAR)


@pytest.mark.spec("ID-40")
def test_from_the_first_to_the_last() -> None:
    assert "identity create" in good("list")
    created = good("create", "work")
    assert "work is I" in created
    assert "It is the default identity." in created
    [made] = lines("create", "--kind", "p256")
    assert made["event"] == "identity-created"
    assert (made["name"], made["default"], made["changes"][0]["kind"]) == ("me", False, "p256")
    assert [line["name"] for line in lines("list")] == ["me", "work"]
    text = good("list")
    assert re.search(r"^\* work +I[0-9a-f]{64}  Ed25519, made ", text, re.MULTILINE)
    assert re.search(r"^  me +I[0-9a-f]{64}  P-256, made ", text, re.MULTILINE)
    assert "me is the default identity" in good("default", "me")
    assert lines("default")[0]["identifier"] == made["identifier"]
    [rotated] = lines("rotate", "--kind", "ed25519")
    assert (rotated["event"], rotated["identifier"]) == ("identity-rotated", made["identifier"])
    assert [change["kind"] for change in rotated["changes"]] == ["p256", "ed25519"]
    assert "its key number 3" in good("rotate", "me")
    assert "work is gone for ever" in good("delete", "work", "--yes")
    assert [line["name"] for line in lines("list")] == ["me"]


@pytest.mark.spec("ID-41")
def test_show() -> None:
    good("create", "work")
    good("rotate", "work")
    heading, first, second, key = good("show").splitlines()
    assert heading.startswith("work (default): I")
    assert first.startswith("├─ 1  Ed25519  ")
    assert "replaced after" in first
    assert second.startswith("└─ 2  Ed25519  ")
    assert "for 10 years more" in second
    assert key.startswith("   └─ secure channels  ")
    [shown] = lines("show", "work")
    assert shown["history"] == lines("export")[0]["history"] == good("export").strip()
    assert [entry["purpose"] for entry in shown["purpose_keys"]] == ["secure-channels"]
    assert lines("show", shown["identifier"]) == [shown]


@pytest.mark.spec("ID-41")
def test_the_tree() -> None:
    found = rotated_identity()
    current, void = found.latest_change_hash, bytes(32)
    attested = [
        AttestationData(found.identifier, current, SecureChannelKey(THIRD), NOW - DAY, NOW + 90 * DAY),
        AttestationData(
            found.identifier, void, CredentialSigningKey(ed25519_from_seed(THIRD).public), NOW - 9 * DAY, NOW + DAY
        ),
    ]
    assert identity_tree(found, attested, NOW).splitlines() == [
        str(found.identifier),
        "├─ 1  Ed25519  8a88e3dd7409f195…  made 3 years ago, replaced after 3 years",
        f"└─ 2  P-256    {found.latest_key.data.hex()[:16]}…  made 2 days ago, for 1 year more",
        "   ├─ secure channels  0303030303030303…  made 1 day ago, for 3 months more",
        "   └─ credentials      ed4928c628d1c2c6…  made 9 days ago, void: replaced when it is needed",
    ]
    late = identity_tree(found, [], NOW + 2 * YEAR)
    assert "ended 1 year ago: rotate it" in late


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (89, "1 minute"),
        (90, "2 minutes"),
        (DAY - 1, "24 hours"),
        (DAY, "1 day"),
        (400 * DAY, "1 year"),
        (-10 * YEAR, "10 years"),
    ],
)
def test_spans(seconds: int, text: str) -> None:
    assert span(seconds) == text


def test_since() -> None:
    assert (since(NOW, NOW), since(NOW - 5, NOW), since(NOW + 60, NOW)) == ("now", "5 seconds ago", "in 1 minute")


@pytest.mark.spec("ID-38", "ID-40", "ID-41")
def test_somebody_else(tmp_path: Path) -> None:
    first = ed25519_from_seed(FIRST)
    made = create_identity(first, valid_from=NOW, valid_until=NOW + YEAR)
    newer, fork = (
        rotate_identity(made, first, ed25519_from_seed(seed), valid_from=NOW, valid_until=NOW + YEAR)
        for seed in (SECOND, THIRD)
    )
    old, new, other = (found.history.encoded.hex() for found in (made, newer, fork))
    assert refused("show", str(made.identifier)).startswith("ockam-ref: there is no identity")
    assert lines("import", old)[0]["comparison"] == "unknown"
    assert "is known already" in good("import", old)
    file = tmp_path / "history"
    file.write_text(f"{new}\n")
    assert lines("import", f"@{file}")[0]["comparison"] == "newer"
    assert "a rollback" in refused("import", old)
    assert "a fork" in refused("import", other)
    assert good("show", str(made.identifier)).startswith(f"Somebody else: {made.identifier}\n├─ 1  Ed25519")
    assert lines("list") == []


def test_from_the_standard_input() -> None:
    history = rotated_identity().history.encoded.hex()
    done = subprocess.run(
        [*OURS, "identity", "import", "-"],
        cwd=REPOSITORY,
        input=history,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert IDENTIFIER.match(done.stdout)


@pytest.mark.spec("ID-40", "ID-42")
def test_an_identity_of_ones_own_from_elsewhere(tmp_path: Path) -> None:
    made = create_identity(ed25519_from_seed(FIRST), valid_from=NOW - 5 * YEAR, valid_until=NOW + 20 * YEAR)
    history, file = made.history.encoded.hex(), tmp_path / "key"
    file.write_text(FIRST.hex() + "\n")
    options = ("import", history, "--name", "mine", "--secret-key-file", str(file))
    assert f"chmod 600 {file}" in refused(*options)
    file.chmod(0o600)
    assert lines(*options)[0]["name"] == "mine"
    assert lines("show", "mine")[0]["identifier"] == str(made.identifier)
    file.write_text("no key")
    assert "is no secret key" in refused(*options)
    assert "No such file" in refused(*options[:-1], str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("show",), "'ockam-ref identity create' makes one"),
        (("default",), "'ockam-ref identity create' makes one"),
        (("rotate", "nobody"), "there is no identity 'nobody'"),
        (("export", "nobody"), "there is no identity 'nobody'"),
        (("delete", "nobody", "--yes"), "there is no identity 'nobody'"),
        (("create", "two words"), "'two words' is no name"),
        (("import", "zz"), "a change history is hexadecimal"),
        (("import", "80"), "at least one change"),
        (("import", "@/no/such/file"), "/no/such/file"),
    ],
)
def test_refused(words: tuple[str, ...], text: str) -> None:
    assert text in refused(*words)


def test_names_are_for_ones_own() -> None:
    done = identity("import", "80", "--name", "mine")
    assert done.code == 2
    assert "--secret-key-file" in done.errors


def test_deleting_asks() -> None:
    good("create", "work")
    done = identity("delete", "work")
    assert done.code == 1
    assert "Destroy the keys of work for ever?" in done.errors
    assert [line["name"] for line in lines("list")] == ["work"]
