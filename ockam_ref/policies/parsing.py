"""From the text of a policy to the policy (facts 06 section 5.4); apart, because most nodes are given none."""

from ockam_ref.policies.boolean_syntax import parse_boolean, to_expression
from ockam_ref.policies.compiled import compile_expression
from ockam_ref.policies.policy import Policy
from ockam_ref.policies.syntax import PolicySyntaxError, parse_expression


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


def _clearer(text: str, short: PolicySyntaxError, full: PolicySyntaxError) -> PolicySyntaxError:
    looks_full = text.lstrip().startswith("(") or '"' in text
    if full.offset > short.offset or (full.offset == short.offset and looks_full):
        return full
    return short
