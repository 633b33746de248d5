"""How many decisions a second: ``python -m tests.benchmarks.policies``.

A rule of three terms, about one subject that is asked about again and again, and about so many that what is prepared
for each is forgotten before its turn comes again: with the same attributes, and each with others.
"""

import json
import time
from collections.abc import Callable
from itertools import cycle
from typing import Final

from ockam_ref.policies.decision import SUBJECT_MEMO_ENTRIES, Subject, decide, explain_decision
from ockam_ref.policies.evaluation import evaluate
from ockam_ref.policies.expression import Str
from ockam_ref.policies.parsing import parse_policy

LAST_S: Final = 1.0
"""For how long each figure is measured."""
AT_ONCE: Final = 1_000
RULE: Final = "role=admin and team=blue and not suspended"
ATTRIBUTES: Final = ((b"role", b"admin"), (b"suspended", b"false"), (b"team", b"blue"))
RESOURCE: Final = {"resource.id": Str("outlet"), "action.id": Str("handle_message")}


def main() -> None:
    """Print the figures as one JSON object."""
    print(json.dumps({"event": "done", "rates": measure()}))


def measure() -> dict[str, float]:
    """Return a rate for each name."""
    rule = parse_policy(RULE)
    one = Subject(bytes(32), ATTRIBUTES, has_authority=True)
    subjects = [one._replace(identifier=number.to_bytes(32)) for number in range(4 * SUBJECT_MEMO_ENTRIES)]
    alike = cycle(subjects)
    unlike = cycle(
        [who._replace(attributes=((b"name", who.identifier.hex().encode()), *ATTRIBUTES)) for who in subjects]
    )
    names = {"subject.role": Str("admin"), "subject.team": Str("blue"), "subject.suspended": Str("false")}
    return {
        "policy: decisions about one subject": _rate(lambda: decide(rule, one, RESOURCE)),
        "policy: decisions about subjects not asked about lately": _rate(lambda: decide(rule, next(alike), RESOURCE)),
        "policy: decisions about such, each with other attributes": _rate(lambda: decide(rule, next(unlike), RESOURCE)),
        "policy: evaluated alone": _rate(lambda: rule.compiled(names)),
        "policy: evaluated by the readable evaluator": _rate(lambda: evaluate(rule.expression, names)),
        "policy: decisions explained": _rate(lambda: explain_decision(rule, one, RESOURCE)),
        "policy: rules read": _rate(lambda: parse_policy(RULE)),
    }


def _rate(work: Callable[[], object]) -> float:
    count = 0
    begin = time.perf_counter()
    while (now := time.perf_counter()) < begin + LAST_S:
        for _ in range(AT_ONCE):
            work()
        count += AT_ONCE
    return count / (now - begin)


if __name__ == "__main__":
    main()
