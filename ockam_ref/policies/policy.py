"""A policy: the text that people wrote, what it means, and the function that decides (facts 06 section 5.4)."""

from dataclasses import dataclass, field
from typing import Final

from ockam_ref.policies.boolean_syntax import parse_boolean, to_expression
from ockam_ref.policies.compiled import Compiled, compile_expression
from ockam_ref.policies.expression import Expression, print_expression
from ockam_ref.policies.syntax import PolicySyntaxError, parse_expression


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule about subjects.  Make one with ``parse_policy``, or with ``policy_of`` from an expression."""

    text: str
    expression: Expression
    compiled: Compiled = field(compare=False, repr=False)

    def __hash__(self) -> int:
        return hash(self.text)  # which texts remember

    def __str__(self) -> str:
        return self.text


def policy_of(expression: Expression) -> Policy:
    """Return the policy with that expression; its text is in the full syntax."""
    return Policy(print_expression(expression), expression, compile_expression(expression))


def parse_policy(text: str) -> Policy:
    """Read a policy in the short syntax, or else in the full one.

    ``subject.name`` is therefore the attribute ``subject.name``, and ``true`` one that is called so.

    Raises:
        PolicySyntaxError: it is neither; the error is that of the syntax which could be followed further.
    """
    try:
        expression = to_expression(parse_boolean(text))
    except PolicySyntaxError as short:
        try:
            expression = parse_expression(text)
        except PolicySyntaxError as full:
            raise _clearer(text, short, full) from None
    return Policy(text, expression, compile_expression(expression))


HAS_CREDENTIAL: Final = parse_policy("(= subject.has_credential true)")
"""The subject has a valid credential of the authority: what guards a resource to which nobody gave a policy."""


def _clearer(text: str, short: PolicySyntaxError, full: PolicySyntaxError) -> PolicySyntaxError:
    looks_full = text.lstrip().startswith("(") or '"' in text
    if full.offset > short.offset or (full.offset == short.offset and looks_full):
        return full
    return short
