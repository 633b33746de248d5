"""Two of our nodes behind NATs: nothing reaches them, and they puncture."""

import sys

import pytest

from tests.interop.harness import DONE_S
from tests.netns.conftest import Programs
from tests.netns.namespaces import NAT_ADDRESSES, SERVER_ADDRESS

PORT = "40404"


@pytest.mark.spec("PUN-60")
def test_a_puncture_through_two_nats(programs: Programs) -> None:
    hub, rendezvous = programs.hub(), programs.rendezvous()
    bob = programs.peer("host-b", "puncture-node", "--hub", hub, "--rendezvous", rendezvous).ready()
    echo = programs.peer(
        "host-a",
        *("echo", "--hub", hub, "--forwarding-address", bob["forwarding_address"]),
        *("--rendezvous", rendezvous, "--channel", "--expect", bob["identifier"]),
        *("--bytes", "20000", "--chunk", "5000", "--worker", "echo_bytes"),
    )
    done = echo.event("done", timeout=DONE_S)
    assert done["bytes"] == 20000
    assert done["peer"].partition(":")[0] == NAT_ADDRESSES["b"]


@pytest.mark.spec("PUN-60")
def test_nothing_gets_through_without(programs: Programs) -> None:
    """Bob listens on TCP and UDP; from outside his NAT neither is there, from inside both are."""
    programs.peer("host-b", "node", "--listen", f"0.0.0.0:{PORT}").ready()
    programs.peer("host-b", "udp-node", "--bind", f"0.0.0.0:{PORT}").ready()
    inside = ("send", f"1#10.0.2.2:{PORT} => echo", "hello", "--timeout", "3")
    assert programs.command_line("nat-b", *inside).ended() == 0
    udp_inside = ("udp-echo", "--to", f"10.0.2.2:{PORT}", "--timeout", "3")
    assert programs.peer("nat-b", *udp_inside).event("done")["replies"] == 1
    outside = f"{NAT_ADDRESSES['b']}:{PORT}"
    assert programs.command_line("host-a", "send", f"1#{outside} => echo", "hello", "--timeout", "1").ended() == 1
    assert programs.peer("host-a", "udp-echo", "--to", outside, "--timeout", "1").event("done")["replies"] == 0


_HEAR = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind(("0.0.0.0", {PORT}))
    sock.sendto(b"here I am", ("{SERVER_ADDRESS}", 9))
    print("ready", flush=True)
    sock.settimeout(2)
    try:
        print("heard", sock.recvfrom(100)[0].decode())
    except TimeoutError:
        print("silence")
"""
_CALL = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.sendto(b"hello", ("{NAT_ADDRESSES["b"]}", {PORT}))
"""


def test_the_two_kinds_of_nat_differ(programs: Programs, kind: str) -> None:
    """Bob's port has sent to the server: behind a full cone Alice may send to it now, behind the other not."""
    hearing = programs.net.command("host-b", sys.executable, "-c", _HEAR)
    bob = programs.process("hearing", hearing)
    assert bob.line("ready")
    programs.net.run("host-a", sys.executable, "-c", _CALL)
    assert bob.line() == ("heard hello" if kind == "full-cone" else "silence")
