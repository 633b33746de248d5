"""Why messages go on or end, for people: the rules that a node asked, hop by hop, and the terms of a policy."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from ockam_ref.asyncio import Node, Stream
from ockam_ref.cli.output import Output, printable
from ockam_ref.observations import HopExplained, MessageDropped, Observation
from ockam_ref.policies.decision import Decision
from ockam_ref.policies.expression import print_expression
from ockam_ref.policies.policy import Policy
from ockam_ref.routing.explanation import Explanation
from ockam_ref.wire.address import Address
from ockam_ref.wire.route import Route, format_route

MAX_REMEMBERED: Final = 1_000
"""Explanations that are not printed again; a portal asks the same rules for every message."""

option: Final = click.option(
    "--explain",
    is_flag=True,
    help="Print which rules messages meet at every hop in this node, what they look at and what they answer.",
)


@asynccontextmanager
async def explaining(node: Node, output: Output, *, wanted: bool) -> AsyncIterator[None]:
    """Print what the rules of the node answer, as long as this lasts, if it is wanted; the same only once."""
    if not wanted:
        yield
        return
    observations = node.observe()
    node.explain()
    printing = asyncio.create_task(_print(observations, output))
    try:
        yield
    finally:
        observations.end()
        await printing


async def _print(observations: Stream[Observation], output: Output) -> None:
    known: OrderedDict[object, None] = OrderedDict()
    async for observation in observations:
        if isinstance(observation, HopExplained):
            if is_new(known, (observation.source, observation.destination, observation.outgoing, observation.incoming)):
                print_hop(output, observation)
        elif isinstance(observation, MessageDropped) and not _is_of_a_rule(observation):
            output.event(
                "not-delivered",
                f"not delivered: {observation.detail}",
                rule=observation.rule,
                detail=observation.detail,
                onward_route=_route(observation.onward_route),
            )


def is_new(known: OrderedDict[object, None], key: object) -> bool:
    """Return whether this was not printed lately, and remember it."""
    is_new = key not in known
    known[key] = None
    known.move_to_end(key)
    if len(known) > MAX_REMEMBERED:
        known.popitem(last=False)
    return is_new


def _is_of_a_rule(dropped: MessageDropped) -> bool:
    """Return whether the explanation of a hop has told of it already."""
    return dropped.rule.startswith(("outgoing:", "incoming:"))


# hops


def print_hop(output: Output, hop: HopExplained) -> None:
    """Print what was asked when a message went from one worker of the node to another."""
    answer = "allowed" if hop.allowed else "refused"
    lines = [f"{answer}: {_shown(hop.source)} -> {_shown(hop.destination)}, on its way to {_route(hop.onward_route)}"]
    lines += _told("leaving", hop.source, hop.outgoing)
    if hop.incoming is not None:
        lines += _told("entering", hop.destination, hop.incoming)
    output.event(
        "hop-explained",
        "\n".join(lines),
        allowed=hop.allowed,
        source=_shown(hop.source),
        destination=_shown(hop.destination),
        onward_route=_route(hop.onward_route),
        return_route=_route(hop.return_route),
        outgoing=_fields(hop.outgoing),
        incoming=None if hop.incoming is None else _fields(hop.incoming),
    )


def _told(verb: str, address: Address, explanation: Explanation) -> Iterator[str]:
    answer = "allows" if explanation.allowed else "REFUSES"
    reason = printable(explanation.reason, keep="").removeprefix("allowed: ").removeprefix("refused: ")
    yield f"  {verb} {_shown(address)}: {explanation.rule} {answer}: {reason}"
    yield from _details(explanation, "    ")


def _details(explanation: Explanation, indent: str) -> Iterator[str]:
    for name, value in explanation.inputs:
        yield f"{indent}{printable(f'{name} = {value}', keep='')}"
    for part in explanation.parts:
        mark = "+" if part.allowed else "-"
        rule = "" if part.rule == "term" else f"{part.rule}: "
        yield f"{indent}{mark} {rule}{printable(part.reason, keep='')}"
        yield from _details(part, indent + "    ")


def _fields(explanation: Explanation) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "rule": explanation.rule,
        "allowed": explanation.allowed,
        "reason": explanation.reason,
        "inputs": dict(explanation.inputs),
    }
    return fields | ({"parts": list(map(_fields, explanation.parts))} if explanation.parts else {})


def _shown(address: Address) -> str:
    return printable(str(address).removeprefix("0#"), keep="")


def _route(route: Route) -> str:
    return printable(format_route(route).replace("0#", ""), keep="") or "nowhere"


# decisions


def print_decision(output: Output, policy: Policy, decision: Decision, *, in_full: bool) -> None:
    """Print what a policy says of a subject, and if wanted all that led to it."""
    lines = [decision.reason]
    if in_full:
        lines.append(f"  rule: {print_expression(policy.expression)}")
        lines += [f"  {name} = {value}" for name, value in decision.inputs]
        lines += [f"  {'+' if term.answer == 'true' else '-'} {term}" for term in decision.terms]
    output.event(
        "policy-checked",
        "\n".join(lines),
        allowed=decision.allowed,
        reason=decision.reason,
        policy=policy.text,
        in_full=print_expression(policy.expression),
        inputs=dict(decision.inputs),
        terms=[term._asdict() for term in decision.terms],
    )
