"""Both ends of a channel for tests: machines stepped by hand, and whole nodes in memory."""

from hashlib import sha256
from itertools import count
from typing import Any, TypeVar

from ockam_ref.channels import initiator, responder
from ockam_ref.channels.initiator import SecureChannel
from ockam_ref.channels.listener import SecureChannelListener
from ockam_ref.channels.responder import Responder
from ockam_ref.channels.trust import TrustEveryone, TrustPolicy
from ockam_ref.effects import Effect, Effects, Forward, Report
from ockam_ref.events import MessageReceived, PeerCompared, WorkerEvent
from ockam_ref.identities.local import LocalIdentity, create_local_identity
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.machine import AnyMachine, Fresh, LinkId, Mailbox, Now
from ockam_ref.observations import ChannelOpened, Observation
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route
from ockam_ref.workers.application import Application

NOW = Now(100.0, 1_700_000_000)
LISTENER = local("listener")
A_HOP, B_HOP = local("a.hop"), local("b.hop")
A_REMOTE, A_INTERNAL, A_ENCRYPTOR = local("a.remote"), local("a.internal"), local("a.encryptor")
B_REMOTE, B_INTERNAL, B_ENCRYPTOR = local("b.remote"), local("b.internal"), local("b.encryptor")

E = TypeVar("E", bound=Effect)
Seen = TypeVar("Seen", bound=Observation)


def seed(text: str) -> bytes:
    return sha256(text.encode()).digest()


def identity(name: str, *, now: int = NOW.unix) -> LocalIdentity:
    return create_local_identity(seed(f"{name} signing"), seed(f"{name} static"), now)


ALICE, BOB, MALLORY = identity("alice"), identity("bob"), identity("mallory")


def only(effects: Effects, kind: type[E]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def messages(effects: Effects) -> list[LocalMessage]:
    """What is sent, whatever the source."""
    return [effect.message for effect in only(effects, Forward)]


def reports(effects: Effects, kind: type[Seen]) -> list[Seen]:
    return [effect.observation for effect in only(effects, Report) if isinstance(effect.observation, kind)]


def at(now: Now, seconds: float) -> Now:
    return Now(now.monotonic + seconds, now.unix + int(seconds))


class End:
    """One machine; it keeps the current state and all effects so far."""

    def __init__(self, machine: AnyMachine, config: object, fresh: Fresh) -> None:
        self.machine = machine
        worker = machine.start(config, fresh)
        self.mailboxes: tuple[Mailbox, ...] = worker.mailboxes
        self.state: Any = worker.state
        self.first_effects: Effects = worker.effects
        self.history: list[Effect] = list(worker.effects)

    def step(self, event: WorkerEvent) -> Effects:
        self.state, effects = self.machine.receive(self.state, event)
        self.history.extend(effects)
        return effects

    def take(self, message: LocalMessage, *, source: Address = A_HOP, now: Now = NOW) -> Effects:
        """Receive a message at the first address of its onward route."""
        return self.step(MessageReceived(message.onward_route[0], source, message, now))

    def sent(self) -> list[LocalMessage]:
        return messages(tuple(self.history))

    @property
    def state_name(self) -> str:
        return type(self.state).__name__


def fresh(*addresses: Address, secret: str = "", flow: str = "", link: int = 0, now: Now = NOW) -> Fresh:
    secrets = (seed(secret),) if secret else ()
    return Fresh(addresses, (flow,) if flow else (), secrets, (LinkId(link),) if link else (), now)


def start_initiator(
    *,
    own: LocalIdentity = ALICE,
    route: Route = (A_HOP, LISTENER),
    trust: TrustPolicy | None = None,
    timeout_s: float = initiator.HANDSHAKE_TIMEOUT_S,
    secret: str = "initiator",
) -> End:
    config = SecureChannel(own, route, "A-FLOW", trust or TrustEveryone(), timeout_s)
    return End(initiator.MACHINE, config, fresh(A_REMOTE, A_INTERNAL, A_ENCRYPTOR, secret=secret))


def start_responder(
    *, own: LocalIdentity = BOB, trust: TrustPolicy | None = None, secret: str = "responder", now: Now = NOW
) -> End:
    config = Responder(own, trust or TrustEveryone(), LISTENER, "SPAWNER")
    drawn = fresh(B_REMOTE, B_INTERNAL, B_ENCRYPTOR, secret=secret, flow="B-FLOW", now=now)
    return End(responder.MACHINE, config, drawn)


def to_responder(message: LocalMessage, address: Address = B_REMOTE) -> LocalMessage:
    """Carry a message over the wire from A to B; the listener has already named the responder."""
    onward_route = (address, *message.onward_route[2:])
    return LocalMessage(onward_route, (B_HOP, *message.return_route), message.payload)


def to_initiator(message: LocalMessage) -> LocalMessage:
    """Carry a message over the wire from B to A."""
    return LocalMessage(message.onward_route[1:], (A_HOP, *message.return_route), message.payload)


class Pair:
    """An initiator and a responder with one hop on each side."""

    def __init__(self, a: End | None = None, b: End | None = None) -> None:
        self.a = a or start_initiator()
        self.b = b or start_responder()

    def message_1(self) -> LocalMessage:
        return to_responder(messages(self.a.first_effects)[0])

    def message_2(self) -> LocalMessage:
        """Run up to message 2, as it arrives at A."""
        (sent,) = messages(self.b.take(self.message_1(), source=B_HOP))
        return to_initiator(sent)

    def message_3(self) -> LocalMessage:
        """Run up to message 3, as it arrives at B."""
        self.a.take(self.message_2())
        (sent,) = messages(self.a.step(PeerCompared(None, NOW)))
        return to_responder(sent)

    def open(self) -> "Pair":
        self.b.take(self.message_3(), source=B_HOP)
        self.b.step(PeerCompared(None, NOW))
        assert (self.a.state_name, self.b.state_name) == ("Open", "Open")
        return self

    def seal_at_a(self, payload: bytes, *, to: str = "app-b", back: Route = ()) -> LocalMessage:
        """Send through A; return the message as it arrives at B."""
        (sent,) = messages(self.a.take(LocalMessage((A_ENCRYPTOR, local(to)), back, payload), source=local("app-a")))
        return to_responder(sent)

    def seal_at_b(self, payload: bytes, *, to: str = "app-a", back: Route = ()) -> LocalMessage:
        """Send through B; return the message as it arrives at A."""
        (sent,) = messages(self.b.take(LocalMessage((B_ENCRYPTOR, local(to)), back, payload), source=local("app-b")))
        return to_initiator(sent)


# ---- whole nodes


class World:
    """Alice and Bob, one link, Bob's listener for channels and an application of each."""

    def __init__(self, *, bob: LocalIdentity = BOB, trust: TrustPolicy | None = None, seed_number: int = 0) -> None:
        self.net = MemoryNetwork(seed_number)
        self.alice, self.bob = self.net.host("alice"), self.net.host("bob")
        self.tcp = self.bob.start(LinkListener("TCP"))
        self.hop = self.net.connect(self.alice, self.bob, self.tcp)
        trust = trust or TrustEveryone()
        self.bob.start(SecureChannelListener(LISTENER, bob, "CHANNELS", trust, consumer_of=("TCP",)))
        self.app_b = self.bob.start(Application((Mailbox(local("app-b")),)))
        self.app_a = self.alice.start(Application((Mailbox(local("app-a")),)))
        self.flows = count()

    def ask(self, *, own: LocalIdentity = ALICE, route: Route = (), trust: TrustPolicy | None = None) -> Address:
        """Begin a channel; return the address of its worker."""
        config = SecureChannel(own, route or (self.hop, LISTENER), f"FLOW-{next(self.flows)}", trust or TrustEveryone())
        return self.alice.start(config)

    def open(self, **asked: Any) -> ChannelOpened:
        """Open a channel; return what Alice was told."""
        worker = self.ask(**asked)
        self.net.run()
        return next(seen for seen in observed(self.alice, ChannelOpened) if seen.worker == worker)


def observed(host: MemoryHost, kind: type[Seen]) -> list[Seen]:
    return [seen for seen in host.observations if isinstance(seen, kind)]


def rules(host: MemoryHost) -> list[str]:
    """The rules that dropped a message at a node, oldest first."""
    return [dropped.rule for dropped in host.node.drops]
