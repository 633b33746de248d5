"""Decisions: what is bound, what refuses, and how it is explained."""

import pytest

from ockam_ref.policies.decision import Subject, bind_names, decide, explain_decision
from ockam_ref.policies.expression import FALSE, TRUE, Int, Str
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.policy import HAS_CREDENTIAL, Policy, policy_of
from ockam_ref.policies.syntax import PolicySyntaxError

IDENTIFIER = bytes(range(32))
TEXT = f"I{IDENTIFIER.hex()}"
STRANGER = Subject(IDENTIFIER, None, has_authority=False)
UNKNOWN = Subject(IDENTIFIER, None, has_authority=True)


def member(**attributes: str) -> Subject:
    pairs = tuple(sorted((name.encode(), value.encode()) for name, value in attributes.items()))
    return Subject(IDENTIFIER, pairs, has_authority=True)


@pytest.mark.spec("POL-30")
def test_what_is_bound() -> None:
    assert bind_names(STRANGER) == {"subject.identifier": Str(TEXT)}
    assert bind_names(UNKNOWN) == {"subject.identifier": Str(TEXT), "subject.has_credential": FALSE}
    assert bind_names(member(role="admin"), {"resource.id": Str("outlet")}) == {
        "resource.id": Str("outlet"),
        "subject.identifier": Str(TEXT),
        "subject.has_credential": TRUE,
        "subject.role": Str("admin"),
    }


@pytest.mark.spec("POL-30", "POL-31")
def test_who_is_allowed() -> None:
    assert decide(HAS_CREDENTIAL, member())
    assert not decide(HAS_CREDENTIAL, UNKNOWN)
    assert not decide(HAS_CREDENTIAL, STRANGER)
    assert decide(parse_policy(TEXT), STRANGER)
    assert decide(parse_policy("role=admin and not suspended"), member(role="admin", suspended="no"))


@pytest.mark.spec("POL-31")
@pytest.mark.parametrize("text", ["not a", "a or b", "(and subject.b)", "has_credential", "(= subject.b 1)"])
def test_no_answer_is_a_no(text: str) -> None:
    assert not decide(parse_policy(text), member(b="true"))


@pytest.mark.spec("POL-32")
def test_an_authority_cannot_vouch_for_who_somebody_is() -> None:
    subject = member(identifier="someone", has_credential="true")
    assert bind_names(subject) == {"subject.identifier": Str(TEXT), "subject.has_credential": TRUE}
    assert not decide(parse_policy('(= subject.identifier "someone")'), subject)
    assert decide(HAS_CREDENTIAL, subject)


@pytest.mark.spec("POL-33")
def test_attributes_that_are_passed_over() -> None:
    raw = ((b"\xff", b"x"), (b"a", b"\xff"), (b"b", b"x"), (b"resource.id", b"x"), (b"subject.b", b"y"))
    subject = Subject(IDENTIFIER, raw, has_authority=True)
    environment = {"resource.id": Str("outlet")}
    names = bind_names(subject, environment)
    assert set(names) == {"resource.id", "subject.identifier", "subject.has_credential", "subject.b"}
    rule = parse_policy("(exists? subject.resource.id)")
    assert decide(rule, subject)
    assert not decide(rule, subject, environment)


@pytest.mark.spec("POL-30")
def test_the_environment_counts_too_and_the_subject_wins() -> None:
    environment = {"resource.id": Str("outlet"), "subject.role": Str("root")}
    assert decide(parse_policy('(= resource.id "outlet")'), STRANGER, environment)
    assert decide(parse_policy("role=root"), member(), environment)
    assert not decide(parse_policy("role=root"), member(role="guest"), environment)


@pytest.mark.spec("POL-34")
def test_explanation_of_a_yes() -> None:
    decision = explain_decision(parse_policy('(or (member? subject.team ["red"]) (< 1 2))'), member(team="blue"))
    assert decision.allowed
    assert decision.reason == "allowed: the rule is true"
    assert decision.inputs == (("subject.team", '"blue"'),)
    assert list(map(str, decision.terms)) == [
        '(member? subject.team ["red"]) is false: subject.team is "blue"',
        "(< 1 2) is true: it always is",
    ]


@pytest.mark.spec("POL-34")
def test_explanation_of_a_constant() -> None:
    decision = explain_decision(policy_of(TRUE), STRANGER)
    assert (decision.allowed, list(map(str, decision.terms))) == (True, ["true: it always is"])


@pytest.mark.spec("POL-34")
@pytest.mark.parametrize(
    ("text", "subject", "reason", "terms"),
    [
        (
            "role=admin and not suspended",
            member(role="admin"),
            "refused: subject.suspended is not known, so the rule has no answer",
            [
                '(= subject.role "admin") is true: subject.role is "admin"',
                '(= subject.suspended "true") has no answer: subject.suspended is not known',
            ],
        ),
        ("a", member(a="no"), "refused: the rule is false", ['(= subject.a "true") is false: subject.a is "no"']),
        (
            "a",
            UNKNOWN,
            (
                "refused: subject.a is not known, so the rule has no answer; "
                "the subject showed no valid credential of the authority"
            ),
            ['(= subject.a "true") has no answer: subject.a is not known'],
        ),
        (
            "a",
            STRANGER,
            (
                "refused: subject.a is not known, so the rule has no answer; "
                "no authority is set here, so nobody has attributes"
            ),
            ['(= subject.a "true") has no answer: subject.a is not known'],
        ),
        (
            "(and subject.a)",
            member(a="x"),
            'refused: the rule gives the text "x" and not true or false',
            ['subject.a is "x"'],
        ),
        (
            "(= subject.a [1 1] ())",
            member(a="x"),
            'refused: the text "x" cannot be compared with the sequence [1 1], so the rule has no answer',
            [
                (
                    '(= subject.a [1 1] ()) has no answer: subject.a is "x", '
                    'the text "x" cannot be compared with the sequence [1 1]'
                )
            ],
        ),
    ],
)
def test_explanation_of_a_no(text: str, subject: Subject, reason: str, terms: list[str]) -> None:
    decision = explain_decision(parse_policy(text), subject)
    assert not decision.allowed
    assert decision.reason == reason
    assert list(map(str, decision.terms)) == terms


@pytest.mark.spec("POL-13")
def test_the_short_syntax_is_tried_first() -> None:
    assert parse_policy("subject.name") == Policy(
        "subject.name", parse_policy('(= subject.subject.name "true")').expression, compiled=HAS_CREDENTIAL.compiled
    )
    assert parse_policy("and a").expression == parse_policy("(and a)").expression


@pytest.mark.spec("POL-13")
def test_a_policy_is_its_text_and_its_meaning() -> None:
    assert str(parse_policy("a or b")) == "a or b"
    assert hash(parse_policy("a")) == hash(parse_policy("a"))
    assert parse_policy("a") != parse_policy("(a)")
    assert policy_of(TRUE) != parse_policy("true")
    assert policy_of(Int(5)).text == "5"
    assert "compiled" not in repr(parse_policy("a"))


@pytest.mark.spec("POL-14")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("role=admin AND x", "'and', 'or' or the end expected; write and"),
        ("", "a name, 'not' or '(' expected"),
        ('(= subject.role "admin"', "a name, 'not' or '(' expected"),
        ("(= subject.role #)", "neither a number nor a name"),
        ('"', "no closing quotation mark"),
    ],
)
def test_the_error_is_that_of_the_syntax_that_went_further(text: str, problem: str) -> None:
    with pytest.raises(PolicySyntaxError) as caught:
        parse_policy(text)
    assert problem in caught.value.problem
