"""A policy: the text that people wrote, what it means, and the function that decides."""

from dataclasses import dataclass, field
from typing import Final

from ockam_ref.policies.compiled import Compiled, compile_expression
from ockam_ref.policies.expression import Bool, Expression, Ident, List, print_expression


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


HAS_CREDENTIAL: Final = policy_of(List((Ident("="), Ident("subject.has_credential"), Bool(value=True))))
"""The subject has a valid credential of the authority: what guards a resource to which nobody gave a policy."""
