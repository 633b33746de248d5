"""A complete host for the core in about sixty lines: blocking sockets, no asyncio, no threads.

Start ``ockam-ref hub`` in another terminal, then: ``python sync_host.py 127.0.0.1:4000``.
It opens a secure channel to the hub's listener ``api`` and sends a text to its ``uppercase`` service.
"""

import os
import socket
import sys
import time

from ockam_ref.channels.initiator import SecureChannel
from ockam_ref.effects import ArmTimer, CloseLink, Deliver, DisarmTimer, HostEffects, Report, SendBytes
from ockam_ref.events import BytesReceived, LinkClosed, LinkFinished, TimerFired
from ockam_ref.identities.local import create_local_identity
from ockam_ref.links.node_link import NodeLink
from ockam_ref.machine import LinkId, Mailbox, Now
from ockam_ref.node import Node
from ockam_ref.observations import ChannelOpened, HandshakeFailed, LinkLost, Observation
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.body import decode_body, encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers.application import Application


def now() -> Now:
    """Return the time as the core wants it: a steady clock for deadlines, a calendar for validity."""
    return Now(time.monotonic(), int(time.time()))


class SyncHost:
    """One node, and what it cannot do itself: sockets, timers, an inbox."""

    def __init__(self) -> None:
        self.node = Node(entropy=os.urandom)
        self.sockets: dict[LinkId, socket.socket] = {}
        self.timers: dict[tuple[Address, str], float] = {}
        self.observations: list[Observation] = []
        self.inbox: list[LocalMessage] = []

    def start(self, config: object) -> Address:
        """Start a worker of the node."""
        address, effects = self.node.start(config, now())
        self.carry_out(effects)
        return address

    def carry_out(self, effects: HostEffects) -> None:
        """Do what the core asks for, in order.  A host that has no portals needs no more than these."""
        for effect in effects:
            match effect:
                case SendBytes(link, chunks):
                    self.sockets[link].sendall(b"".join(chunks))
                case CloseLink(link):
                    self.sockets.pop(link).close()
                case ArmTimer(worker, name, at):
                    self.timers[worker, name] = at
                case DisarmTimer(worker, name):
                    self.timers.pop((worker, name), None)
                case Deliver(_, _, message):
                    self.inbox.append(message)
                case Report(observation):
                    self.observations.append(observation)

    def turn(self, link: LinkId) -> None:
        """Wait for bytes of the link or for the next timer, whichever comes first, and give it to the core."""
        deadline = min(self.timers.values(), default=None)
        stream = self.sockets[link]
        stream.settimeout(None if deadline is None else max(0.001, deadline - now().monotonic))
        try:
            data = stream.recv(65536)
        except TimeoutError:
            for worker, name in [key for key, at in self.timers.items() if at <= now().monotonic]:
                del self.timers[worker, name]
                self.carry_out(self.node.tell(worker, TimerFired(name, now())))
        except OSError as error:
            self.carry_out(self.node.receive(LinkClosed(link, str(error), now())))
        else:
            event = BytesReceived(link, data, now()) if data else LinkFinished(link, now())
            self.carry_out(self.node.receive(event))


def main(hub: str) -> None:
    """Open a channel, ask for one upper-case text, print it."""
    host, _, port = hub.rpartition(":")
    program = SyncHost()
    link = program.node.new_link()
    program.sockets[link] = socket.create_connection((host, int(port)))
    hop = program.start(NodeLink(link))
    me = program.start(Application((Mailbox(local("app")),)))

    alice = create_local_identity(os.urandom(32), os.urandom(32), now().unix)
    program.start(SecureChannel(alice, (hop, local("api")), flow_control_id="my-channel"))
    program.node.flow_controls.add_consumer(me, "my-channel")  # replies that come through the channel may reach us
    while not any(isinstance(o, ChannelOpened | HandshakeFailed | LinkLost) for o in program.observations):
        program.turn(link)
    opened = [o for o in program.observations if isinstance(o, ChannelOpened)]
    if not opened:
        sys.exit(f"no channel: {program.observations[-1]}")

    route = (opened[0].encryptor, local("uppercase"))
    program.carry_out(program.node.forward(me, LocalMessage(route, (me,), encode_body("hello ockam")), now()))
    while not program.inbox:
        program.turn(link)
    print(decode_body(program.inbox[0].payload, str))


if __name__ == "__main__":
    main(sys.argv[1])
