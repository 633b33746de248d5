"""A portal between two hosts behind NATs: past the hub over UDP, back to the hub when that dies, and past it again."""

import pytest

from tests.interop.harness import DONE_S, Event, Peer
from tests.netns.conftest import Programs

SIZE = 8 * 1024 * 1024


def moved(inlet: Peer, *, direct: bool) -> Event:
    return inlet.event("way-moved", timeout=DONE_S, where=lambda event: event["direct"] is direct)


@pytest.mark.spec("PUN-60", "PUN-70", "PUN-71", "PUN-72")
def test_a_transfer_survives_the_death_of_the_direct_path(programs: Programs) -> None:
    hub, rendezvous = programs.hub(), programs.rendezvous()
    programs.transfer("host-b", "server", "127.0.0.1:5000").ready()
    both = ("--hub", hub, "--rendezvous", rendezvous)
    bob = programs.command_line("host-b", "outlet", "127.0.0.1:5000", *both).ready()
    way = (bob["forwarding_address"], "--expect", bob["identifier"])
    alice = programs.command_line("host-a", "inlet", "127.0.0.1:6000", *way, *both)
    alice.ready()
    moved(alice, direct=True)

    transfer = programs.transfer("host-a", "client", "127.0.0.1:6000", str(SIZE))
    transfer.event("quarter")
    programs.net.cut_direct_path()
    done = transfer.event("done", timeout=DONE_S)
    assert done["same"]
    assert done["bytes"] == SIZE
    moved(alice, direct=False)
    programs.net.mend_direct_path()
    moved(alice, direct=True)
    again = programs.transfer("host-a", "client", "127.0.0.1:6000", "1000").event("done")
    assert again["same"]
    closed = [event for event in alice.seen if event["event"] == "connection-closed"]
    assert len(closed) <= 2
