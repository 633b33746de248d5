"""``ockam-ref demo``: what the README promises, in ten seconds."""

import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.commands import environment, run, start
from tests.interop.harness import Peers

DEMO_S = 10.0
END_S = 1.0
ANSWER = "The answer is 42, and the hub must not know."


@pytest.mark.spec("CLI-60", "CLI-61")
def test_the_demo() -> None:
    shown = run("demo")
    assert (shown.code, shown.errors) == (0, "")
    assert shown.seconds < DEMO_S
    text = shown.output
    assert re.search(rf"GET http://127\.0\.0\.1:\d+/answer\.txt\n  -> {re.escape(ANSWER)}\n", text)
    frames = re.findall(r"frame \d+: (\d+) bytes, on connection \d+\n((?:    (?:[0-9a-f]{2} ?)+(?: \.\.\.)?\n)+)", text)
    assert len(frames) == 4
    for length, dump in frames:
        shown_bytes = bytes.fromhex(dump.replace(" ...", ""))
        assert 0 < len(shown_bytes) <= int(length)
    assert len(re.findall(r"can read     next hops \S+ => \S+; way back", text)) == 4
    assert len(re.findall(r"cannot read  \d+ bytes: packet \d+ of the channel, AES-256-GCM", text)) == 4
    searched = re.search(r"All ([\d,]+) bytes that came in .* were searched .*: not there\.", text, re.DOTALL)
    assert searched
    assert int(searched[1].replace(",", "")) > 1000
    assert re.search(r"from nothing to the first answer.* \d+\.\d\d s\n", text)
    assert re.search(r"a small HTTP request and its answer.* \d+\.\d\d ms\n", text)
    assert re.search(r"32 MiB through the portal.* \d+ MB/s\n", text)


@pytest.mark.spec("CLI-10", "CLI-62")
@pytest.mark.parametrize(
    ("beginning", "number"),
    [
        ("web server", signal.SIGTERM),
        ("hub", signal.SIGINT),
        ("outlet", signal.SIGTERM),
        ("inlet", signal.SIGINT),
        ("What the hub saw", signal.SIGTERM),
        ("Timing", signal.SIGINT),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_interrupted_demo_leaves_nothing_behind(number: int, beginning: str, peers: Peers) -> None:
    mark = os.urandom(16).hex()
    demo = start(peers, "demo", variables={**environment(), "OCKAM_REF_TEST": mark})
    demo.line(beginning)
    assert demo.pid in marked(mark)
    demo.signal(number)
    assert demo.ended(timeout=END_S) == 0
    assert demo.errors() == ""
    assert marked(mark) == []


def marked(mark: str) -> list[int]:
    """Return the processes that have inherited the mark."""
    found = []
    for variables in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark.encode() in variables.read_bytes():
                found.append(int(variables.parent.name))
    return found
