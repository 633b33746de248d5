"""A target that refuses connections, with the other implementation at the other end of the portal."""

import socket
from contextlib import closing

import pytest

from tests.interop.harness import CommandLine, Direct, Program
from tests.interop.traffic import Target, check_http, connect, http_get

pytestmark = pytest.mark.interop

PONG_DEADLINE_S = 10.0
MARGIN_S = 5.0


def unused_port() -> int:
    """Return a port on which nothing listens at the moment."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_our_outlet_tells_why_and_serves_a_rust_inlet_later(rust: Program, python: CommandLine) -> None:
    port = unused_port()
    peer, outlet = python.outlet(f"127.0.0.1:{port}")
    _, inlet = rust.inlet(Direct(outlet["listen"]), expect=outlet["identifier"])
    with connect(inlet["listen"]) as refused:
        assert peer.event("connection-closed", timeout=MARGIN_S)["reason"]
        with Target("late", port=port):
            assert http_get(inlet["listen"]) == "late"
            check_http(inlet["listen"])
        # The Rust inlet ignores a Disconnect before Pong, so its client waits for ever; nothing we send can help.
        refused.setblocking(False)
        with pytest.raises(BlockingIOError):
            refused.recv(1)


def test_our_inlet_gives_up_on_a_silent_rust_outlet(rust: Program, python: CommandLine) -> None:
    port = unused_port()
    _, outlet = rust.outlet(f"127.0.0.1:{port}")
    peer, inlet = python.inlet(Direct(outlet["listen"]), expect=outlet["identifier"])
    with connect(inlet["listen"]) as refused:
        refused.settimeout(PONG_DEADLINE_S + MARGIN_S)
        assert refused.recv(1) == b""
        assert peer.event("connection-closed", timeout=MARGIN_S)["reason"]
    with Target("late", port=port):
        assert http_get(inlet["listen"]) == "late"


def test_our_inlet_and_our_outlet_both_know_at_once(python: CommandLine) -> None:
    at_outlet, outlet = python.outlet(f"127.0.0.1:{unused_port()}")
    at_inlet, inlet = python.inlet(Direct(outlet["listen"]), expect=outlet["identifier"])
    with connect(inlet["listen"]) as refused:
        refused.settimeout(1.0)
        assert refused.recv(1) == b""
    for peer in (at_outlet, at_inlet):
        assert peer.event("connection-closed", timeout=MARGIN_S)["reason"]
