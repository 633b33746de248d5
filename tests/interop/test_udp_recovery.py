"""A bind that offers recovery, and a Rust node, which has none: the offer is swallowed and everything works as without."""

import asyncio
from time import monotonic

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.links.recovery_agreement import OFFER_S
from tests.interop.harness import Program

pytestmark = pytest.mark.interop

ANSWER_S = 5.0


@pytest.mark.spec("RCV-23")
def test_a_rust_node_swallows_offers_and_answers_as_ever(rust: Program) -> None:
    address = rust.udp_responder()["listen"]

    async def ask() -> None:
        async with Node.create() as node:
            bind = await node.udp_bind(recovery=True)
            started = monotonic()
            for number in range(20):
                text = f"{number} " + "x" * 100 * number
                reply = await node.send_and_receive((bind, f"2#{address}", "uppercase"), text, timeout=ANSWER_S)
                assert reply.body(str) == text.upper()
            assert OFFER_S <= monotonic() - started < OFFER_S + ANSWER_S
            assert node.drops == []

    asyncio.run(ask())
