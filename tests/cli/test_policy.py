"""``ockam-ref policy``: what is kept, what is shown, and what a rule would say."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Finished, environment, run

IDENTIFIER = f"I{'ab' * 32}"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("OCKAM_REF_HOME", str(folder))
    return folder


def policy(*words: str) -> Finished:
    return run("policy", *words, variables=environment())


def good(*words: str) -> str:
    done = policy(*words)
    assert (done.code, done.errors) == (0, "")
    return done.output


def lines(*words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in good(*words, "--json").splitlines()]


@pytest.mark.spec("POL-50", "POL-51")
def test_from_the_first_to_the_last() -> None:
    assert "policy create" in good("list")
    assert lines("list") == []
    assert good("create", "role=admin and not suspended", "--resource", "db") == "db: role=admin and not suspended\n"
    of_type = {"event": "policy-created", "type": "relay", "expression": "(= subject.has_credential true)"}
    assert lines("create", "(= subject.has_credential true)", "--resource-type", "relay") == [of_type]
    assert good("list").splitlines() == [
        "db           role=admin and not suspended",
        "every relay  (= subject.has_credential true)",
    ]
    by_name = {"event": "policy", "resource": "db", "expression": "role=admin and not suspended"}
    assert lines("list") == [by_name, of_type | {"event": "policy"}]
    in_full = '(and (= subject.role "admin") (not (= subject.suspended "true")))'
    assert good("show", "--resource", "db") == f"db: role=admin and not suspended\nIn full: {in_full}\n"
    assert lines("show", "--resource", "db") == [by_name | {"in_full": in_full}]
    assert good("create", "a", "--resource", "db") == "db: a\n"
    assert "it was: a" in good("delete", "--resource", "db")
    assert "Every relay has no rule" in good("delete", "--resource-type", "relay")
    for command in ("show", "delete"):
        for option in (("--resource", "db"), ("--resource-type", "relay")):
            done = policy(command, *option)
            assert (done.code, done.output) == (1, "")
            assert "has no rule of its own; 'ockam-ref policy list'" in done.errors


@pytest.mark.spec("POL-51")
@pytest.mark.parametrize("command", [("create", "--resource", "db"), ("check",)])
def test_a_rule_that_cannot_be_read_shows_the_place(command: tuple[str, ...]) -> None:
    done = policy(command[0], "role = admin", *command[1:])
    assert (done.code, done.output) == (2, "")
    assert "line 1, column 5: 'and', 'or' or the end expected; write name=value without white space" in done.errors
    assert done.errors.endswith("    role = admin\n        ^\n")


@pytest.mark.spec("POL-51")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("create", "a"), "give either --resource NAME or --resource-type TYPE"),
        (("show",), "give either --resource NAME or --resource-type TYPE"),
        (("delete", "--resource", "a", "--resource-type", "relay"), "give either"),
        (("create", "a", "--resource-type", "door"), "is not one of"),
        (("check", "a", "--subject", "role"), "write it as NAME=VALUE"),
        (("check", "a", "--subject", "role=x", "--no-authority"), "without an authority nobody vouches"),
    ],
)
def test_arguments_that_cannot_be_understood(words: tuple[str, ...], sentence: str) -> None:
    done = policy(*words)
    assert (done.code, done.output) == (2, "")
    assert sentence in done.errors


@pytest.mark.spec("POL-52")
@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("role=admin", "--subject", "role=admin"), "allowed: the rule is true"),
        (("role=admin", "--subject", "role=guest"), "refused: the rule is false"),
        (("role=admin",), "refused: subject.role is not known, so the rule has no answer; the subject showed no valid"),
        (
            ("role=admin", "--no-authority"),
            "refused: subject.role is not known, so the rule has no answer; no authority",
        ),
        ((IDENTIFIER, "--identifier", IDENTIFIER), "allowed: the rule is true"),
        (('(= resource.id "db")', "--name", "resource.id=db"), "allowed: the rule is true"),
        (("(= subject.has_credential true)", "--subject", "a=b=c"), "allowed: the rule is true"),
        (('a="b=c"', "--subject", "a=b=c"), "allowed: the rule is true"),
    ],
)
def test_what_a_rule_would_say(words: tuple[str, ...], answer: str) -> None:
    done = policy("check", *words)
    assert done.errors == ""
    assert done.output.startswith(answer)
    assert done.code == (0 if answer.startswith("allowed") else 1)


@pytest.mark.spec("POL-52")
def test_every_name_and_every_comparison() -> None:
    done = policy("check", "role=admin and not suspended", "--subject", "role=admin", "--explain")
    assert done.code == 1
    assert done.output.splitlines() == [
        "refused: subject.suspended is not known, so the rule has no answer",
        '  rule: (and (= subject.role "admin") (not (= subject.suspended "true")))',
        '  subject.role = "admin"',
        "  subject.suspended = not known",
        '  + (= subject.role "admin") is true: subject.role is "admin"',
        '  - (= subject.suspended "true") has no answer: subject.suspended is not known',
    ]
    [told] = lines("check", "a or b", "--subject", "a=true")
    assert told == {
        "event": "policy-checked",
        "allowed": True,
        "reason": "allowed: the rule is true",
        "policy": "a or b",
        "in_full": '(or (= subject.a "true") (= subject.b "true"))',
        "inputs": {"subject.a": '"true"', "subject.b": "not known"},
        "terms": [
            {"text": '(= subject.a "true")', "answer": "true", "because": 'subject.a is "true"'},
            {"text": '(= subject.b "true")', "answer": None, "because": "subject.b is not known"},
        ],
    }
