"""A second outlet registers a relay name that is in use: it gets the name, what is open stays open."""

import socket
from collections.abc import Callable
from itertools import product

import pytest

from tests.interop.harness import Implementation, Relayed
from tests.interop.traffic import Target, assert_same, connect, data_of, http_get, read_exactly

pytestmark = pytest.mark.interop

IMPLEMENTATIONS = ("rust", "python")
LENGTH = 100_000


@pytest.mark.parametrize("initiator", IMPLEMENTATIONS)
@pytest.mark.parametrize(("first", "second"), list(product(IMPLEMENTATIONS, repeat=2)))
@pytest.mark.parametrize("between", IMPLEMENTATIONS)
def test_second_registration_takes_the_name(
    between: str, first: str, second: str, initiator: str, implementation: Callable[[str], Implementation]
) -> None:
    with Target("first") as first_target, Target("second") as second_target:
        hub = implementation(between).hub()["listen"]
        _, outlet = implementation(first).outlet(first_target.address, hub=hub, relay="svc", channel=False)
        assert outlet["forwarding_address"] == "forward_to_svc"
        _, inlet = implementation(initiator).inlet(Relayed(hub, "forward_to_svc"), channel=False)
        with connect(inlet["listen"]) as still_open:
            still_open.sendall(b"E")
            echo(still_open, seed=1)
            assert http_get(inlet["listen"]) == "first"
            _, other = implementation(second).outlet(second_target.address, hub=hub, relay="svc", channel=False)
            assert other["forwarding_address"] == "forward_to_svc"
            assert http_get(inlet["listen"]) == "second"
            echo(still_open, seed=2)


def echo(connection: socket.socket, *, seed: int) -> None:
    """Send bytes to a target that returns them."""
    data = data_of(seed, LENGTH)
    connection.sendall(data)
    assert_same(data, read_exactly(connection, LENGTH))
