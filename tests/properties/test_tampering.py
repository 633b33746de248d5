"""A relay of ours that flips, drops, repeats, swaps, replays and reflects what it should carry.

The property: whatever it does, a socket of a portal inside a channel gets a beginning of what was written at the other
end and nothing else, and gets the end of the stream only behind all of it; what ends otherwise ends with a reset.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ockam_ref.observations import ChannelOpened, MessageDropped
from ockam_ref.testing.memory_host import Socket
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage
from tests.unit.channels.ends import ALICE, BOB, World, observed
from tests.unit.portals.ends import HubWorld, closed

ACTIONS = ("keep", "keep", "keep", "flip", "drop", "repeat", "swap", "replay", "reflect")
Step = tuple[str, int]
STEPS = st.tuples(st.sampled_from(ACTIONS), st.integers(0, 1 << 16))


@dataclass
class Relay:
    """What it does to each frame, in order; once it has done all it is honest."""

    steps: list[Step]
    held: dict[str, bytes] = field(default_factory=dict)
    seen: defaultdict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def __call__(self, sender: str, receiver: str, body: bytes) -> Iterable[bytes]:
        way, back = f"{sender}>{receiver}", f"{receiver}>{sender}"
        action, number = self.steps.pop(0) if self.steps else ("keep", 0)
        earlier = self.seen[way]
        frames = [body]
        match action:
            case "flip":
                position = number % (8 * len(body))
                flipped = bytearray(body)
                flipped[position // 8] ^= 1 << position % 8
                frames = [bytes(flipped)]
            case "drop":
                frames = []
            case "repeat":
                frames = [body, body]
            case "swap" if way not in self.held:
                self.held[way] = body
                return []
            case "replay" if earlier:
                frames = [earlier[number % len(earlier)], body]
            case "reflect" if self.seen[back]:
                frames = [self.seen[back][-1], body]
            case _:
                pass
        earlier.append(body)
        if way in self.held:
            frames.append(self.held.pop(way))
        return frames


def prefix_of(received: bytes, writers: dict[str, bytearray]) -> str | None:
    """Who wrote it; every writer begins with its own name."""
    if not received:
        return None
    (writer,) = (name for name, written in writers.items() if written.startswith(received))
    return writer


class Conversations:
    """Clients and the targets that their connections reached, and what each of them wrote."""

    def __init__(self, world: HubWorld, clients: int) -> None:
        self.world = world
        self.clients = [world.connect()[0] for _ in range(clients)]
        world.net.run()
        self.written: dict[str, bytearray] = {}
        self.finished: set[str] = set()

    def sockets(self, side: str) -> list[Socket]:
        return self.clients if side == "client" else self.world.bob.target_sockets

    def do(self, side: str, index: int, number: int | None) -> None:
        """Write something, or finish."""
        sockets, name = self.sockets(side), f"{side} {index}"
        if index >= len(sockets) or name in self.finished or not sockets[index].open:
            return
        host = self.world.alice if side == "client" else self.world.bob
        if number is None:
            self.finished.add(name)
            host.finish(sockets[index])
        else:
            data = f"{name}: {number} ".encode() * (1 + number % 300)
            self.written[name] = self.written.get(name, bytearray()) + data
            host.write(sockets[index], data)

    def check(self) -> None:
        heard = {
            name: writer
            for side in ("client", "target")
            for index, socket in enumerate(self.sockets(side))
            for name in [f"{side} {index}"]
            if (writer := self._check(name, socket))
        }
        assert len(set(heard.values())) == len(heard)
        for name, writer in heard.items():
            assert heard.get(writer) in (None, name)

    def _check(self, name: str, socket: Socket) -> str | None:
        writer = prefix_of(bytes(socket.received), self.written)
        if writer and (socket.finished or not (socket.open or socket.broken)):
            # Who finishes before the other end is known to be of our kind has ended both directions, as with the peer.
            ended_both = name in self.finished and not socket.open and self._gave_up(name.partition(" ")[0])
            assert ended_both or (writer in self.finished and socket.received == self.written[writer])
        return writer

    def _gave_up(self, side: str) -> bool:
        """Whether a connection ended because this side finished, and not because both had."""
        host = self.world.alice if side == "client" else self.world.bob
        return any(one.reason == f"the {side} closed the connection" for one in closed(host))


TALK = st.lists(
    st.tuples(st.sampled_from(["client", "target", "time"]), st.integers(0, 1), st.integers(0, 4)), max_size=16
)


@pytest.mark.spec("PT-16", "PT-36", "PT-38", "CH-23")
@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=24), talk=TALK)
@example(steps=[("keep", 0)] * 8 + [("drop", 0)], talk=[("client", 0, 1), ("client", 0, 1), ("client", 0, 0)])
@example(steps=[("keep", 0)] * 8 + [("swap", 0)], talk=[("client", 0, 1), ("client", 0, 1), ("client", 0, 0)])
@example(
    steps=[*[("keep", 0), ("flip", 7968), ("keep", 0), ("keep", 0), ("flip", 24)], *[("keep", 0)] * 4, ("drop", 0)],
    talk=[("client", 0, 0), ("target", 0, 1), ("target", 0, 1)],
)
def test_nothing_wrong_is_delivered(steps: list[Step], talk: list[tuple[str, int, int]]) -> None:
    world = HubWorld()
    world.net.tamper_frame = Relay(list(steps))
    conversations = Conversations(world, 2)
    for number, (side, index, kind) in enumerate(talk):
        if side == "time":
            world.net.advance(3.0)
        else:
            conversations.do(side, index, number if kind else None)
        world.net.run()
        conversations.check()
    world.net.advance(60.0)
    conversations.check()


@pytest.mark.spec("PT-16", "PT-36", "PT-38", "PT-39")
@pytest.mark.parametrize("action", ["drop", "swap"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_missing_or_late_piece_ends_the_connection(action: str, which: int) -> None:
    """Neither the window of the channel nor the peer's portal would notice."""
    world = HubWorld()
    conversations = Conversations(world, 1)
    for number in range(5):
        if number == which:
            world.net.tamper_frame = Relay([(action, 0)])
        conversations.do("client", 0, number)
        world.net.run()
        conversations.check()
    sockets = (*conversations.clients, *world.bob.target_sockets)
    assert [(socket.open, socket.broken) for socket in sockets] == [(False, True)] * 2
    assert "lost or reordered" in closed(world.bob)[0].reason
    assert closed(world.alice)[0].reason == "the other end broke off"
    client, target = world.connect()
    world.alice.write(client, b"again")
    world.net.run()
    assert target.received == b"again"


@pytest.mark.spec("PT-36", "CH-13", "CH-18", "CH-33")
@pytest.mark.parametrize("action", ["flip", "repeat", "replay", "reflect"])
def test_what_does_not_decrypt_costs_nothing(action: str) -> None:
    """Everything is put in besides the genuine frames: the connection goes on."""
    world = HubWorld()
    conversations = Conversations(world, 1)

    def add(sender: str, receiver: str, body: bytes) -> Iterable[bytes]:
        relay.steps = [(action, 8 * (len(body) - 20))]
        return *(extra for extra in relay(sender, receiver, body) if extra != body), body

    relay = Relay([])
    world.net.tamper_frame = add
    for number in range(40):
        conversations.do("client" if number % 2 else "target", 0, number)
        world.net.run()
    (client,), (target,) = conversations.clients, world.bob.target_sockets
    assert (target.received, client.received) == (conversations.written["client 0"], conversations.written["target 0"])
    assert client.open
    dropped = [*observed(world.alice, MessageDropped), *observed(world.bob, MessageDropped)]
    assert bool(dropped) is (action != "repeat")


@pytest.mark.spec("CH-7", "CH-12", "CH-17")
@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=8))
def test_a_channel_is_with_the_right_peer_or_not_at_all(steps: list[Step]) -> None:
    world = World()
    world.bob.node.flow_controls.add_consumer(local("app-b"), "CHANNELS")
    world.net.tamper_frame = Relay(list(steps))
    world.ask()
    world.net.run()
    for opened in observed(world.alice, ChannelOpened):
        assert opened.peer == BOB.identifier.value
        for text in (b"one", b"two"):
            if opened.encryptor not in world.alice.node:
                continue
            world.alice.send(world.app_a, LocalMessage((opened.encryptor, local("app-b")), (world.app_a,), text))
            world.net.run()
    for accepted in observed(world.bob, ChannelOpened):
        assert accepted.peer == ALICE.identifier.value
    delivered = [bytes(message.payload) for message in world.bob.delivered]
    assert sorted(delivered) == sorted(set(delivered))
    assert set(delivered) <= {b"one", b"two"}
