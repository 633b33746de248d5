"""May this subject?  A policy, what is known of the subject, and yes or no (facts 06 section 5.6).

Whatever goes wrong is a no: a name that is not known, a comparison of unlike things, an answer that is not a truth
value.  ``explain_decision`` says which of these it was.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from ockam_ref.policies.evaluation import Names, evaluate
from ockam_ref.policies.expression import (
    FALSE,
    SUBJECT,
    TRUE,
    EvaluationError,
    Expression,
    Ident,
    List,
    Seq,
    Str,
    name_of_type,
    print_expression,
)
from ockam_ref.policies.policy import Policy

NO_NAMES: Final[Names] = MappingProxyType({})
SUBJECT_MEMO_ENTRIES: Final = 512
"""Subjects whose names are kept ready, so that a decision about the same one need not decode its attributes again."""

IDENTIFIER: Final = "identifier"
HAS_CREDENTIAL_NAME: Final = "has_credential"
_BUILT_IN: Final = frozenset((IDENTIFIER, HAS_CREDENTIAL_NAME))


class Subject(NamedTuple):
    """Who wants something: the peer of a secure channel, and what its authority vouches for.

    ``attributes`` are ascending by name; ``None`` means that no valid credential is known.  ``has_authority`` says
    whether there is an authority to ask at all.
    """

    identifier: bytes
    attributes: tuple[tuple[bytes, bytes], ...] | None
    has_authority: bool


def decide(policy: Policy, subject: Subject, environment: Names = NO_NAMES) -> bool:
    """Return whether the policy allows the subject; errors refuse.

    Args:
        policy: the rule.
        subject: who wants something.
        environment: further names, such as ``resource.id``.
    """
    own = _own_names(subject)
    if not environment:
        names: Names = own.names
    elif own.bare.isdisjoint(environment):
        names = {**environment, **own.names}
    else:
        names = bind_names(subject, environment)
    try:
        return policy.compiled(names) is TRUE
    except EvaluationError:
        return False


def bind_names(subject: Subject, environment: Names = NO_NAMES) -> dict[str, Expression]:
    """Return the environment in which the policy about a subject is evaluated.

    ``subject.identifier`` is always there, ``subject.has_credential`` where there is an authority, and each attribute
    as ``subject.NAME``, a text.  Left out are attributes that are not UTF-8, those whose name alone is bound already,
    and, unlike the peer, those called like one of the two built-in ones: an authority may vouch for a role and never
    for being somebody else.
    """
    names = dict(environment)
    names[SUBJECT + IDENTIFIER] = Str(f"I{subject.identifier.hex()}")
    if subject.has_authority:
        names[SUBJECT + HAS_CREDENTIAL_NAME] = FALSE if subject.attributes is None else TRUE
        for raw_name, raw_value in subject.attributes or ():
            try:
                name, value = raw_name.decode(), raw_value.decode()
            except UnicodeDecodeError:
                continue
            if name not in _BUILT_IN and name not in names:
                names[SUBJECT + name] = Str(value)
    return names


class _Own(NamedTuple):
    """The names of a subject where the environment has none, and its attributes' names without ``subject.``."""

    names: Mapping[str, Expression]
    bare: frozenset[str]


@lru_cache(maxsize=SUBJECT_MEMO_ENTRIES)
def _own_names(subject: Subject) -> _Own:
    own = _vouched_names(subject.attributes, subject.has_authority)
    return _Own({**own.names, SUBJECT + IDENTIFIER: Str(f"I{subject.identifier.hex()}")}, own.bare)


@lru_cache(maxsize=SUBJECT_MEMO_ENTRIES)
def _vouched_names(attributes: tuple[tuple[bytes, bytes], ...] | None, has_authority: bool) -> _Own:  # noqa: FBT001
    """Return the names of somebody with these attributes: many have the same."""
    bare = {raw.decode("utf-8", "replace") for raw, _ in attributes or ()}
    return _Own(bind_names(Subject(b"", attributes, has_authority)), frozenset(bare))


# explaining


class Term(NamedTuple):
    """One comparison, or one name, of a policy, and what came of it alone.

    ``answer`` is a value as policies write it, or ``None`` where there is none.
    """

    text: str
    answer: str | None
    because: str

    def __str__(self) -> str:
        if self.text == self.answer:
            return f"{self.text}: {self.because}"
        told = f"{self.text} has no answer" if self.answer is None else f"{self.text} is {self.answer}"
        return told if told == self.because else f"{told}: {self.because}"


class Decision(NamedTuple):
    """What was decided and why.

    ``reason`` is one sentence, ``inputs`` the names that the policy uses with their values, and ``terms`` its
    comparisons, in the order in which they stand there.
    """

    allowed: bool
    reason: str
    inputs: tuple[tuple[str, str], ...]
    terms: tuple[Term, ...]


def explain_decision(policy: Policy, subject: Subject, environment: Names = NO_NAMES) -> Decision:
    """Return the decision that ``decide`` makes, and why; it takes a hundred times as long."""
    names = bind_names(subject, environment)
    allowed, reason = _outcome(policy, subject, names)
    used = dict.fromkeys(_names_in(policy.expression))
    inputs = tuple((name, _shown(name, names)) for name in used)
    return Decision(allowed, reason, inputs, tuple(_explain(term, names) for term in _terms_of(policy.expression)))


def _outcome(policy: Policy, subject: Subject, names: Names) -> tuple[bool, str]:
    try:
        value = evaluate(policy.expression, names)
    except EvaluationError as error:
        return False, f"refused: {error}, so the rule has no answer{_hint(subject)}"
    if value is TRUE:
        return True, "allowed: the rule is true"
    if value is FALSE:
        return False, "refused: the rule is false"
    return False, f"refused: the rule gives {name_of_type(value)} {print_expression(value)} and not true or false"


def _hint(subject: Subject) -> str:
    if not subject.has_authority:
        return "; no authority is set here, so nobody has attributes"
    if subject.attributes is None:
        return "; the subject showed no valid credential of the authority"
    return ""


def _explain(term: Expression, names: Names) -> Term:
    text = print_expression(term)
    facts = [f"{name} is {_shown(name, names)}" for name in dict.fromkeys(_names_in(term))]
    try:
        answer = print_expression(evaluate(term, names))
    except EvaluationError as error:
        if str(error) not in facts:
            facts.append(str(error))
        return Term(text, None, ", ".join(facts))
    return Term(text, answer, ", ".join(facts) or "it always is")


def _shown(name: str, names: Names) -> str:
    found = names.get(name)
    return "not known" if found is None else print_expression(found)


_CONNECTIVES: Final = frozenset(("and", "or", "not", "if"))


def _terms_of(expression: Expression) -> Iterator[Expression]:
    """Yield what stands between the connectives."""
    match expression:
        case List((Ident(name), *operands)) if name in _CONNECTIVES:
            for operand in operands:
                yield from _terms_of(operand)
        case _:
            yield expression


def _names_in(expression: Expression) -> Iterator[str]:
    """Yield the names that an expression looks up, in order."""
    match expression:
        case Ident(name):
            yield name
        case Seq(elements) | List((Ident(), *elements)) | List(elements):
            for element in elements:
                yield from _names_in(element)
