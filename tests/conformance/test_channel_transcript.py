"""The worked transcript of a secure channel, replayed event by event through the machines of both ends."""

import json
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.channels import initiator, listener, responder
from ockam_ref.channels.channel import Closed
from ockam_ref.channels.initiator import SecureChannel
from ockam_ref.channels.listener import SecureChannelListener
from ockam_ref.channels.trust import TrustIdentifier
from ockam_ref.effects import ComparePeer, Effect, Effects, Forward, Report, StartWorker, StopWorker
from ockam_ref.events import MessageReceived, PeerCompared, StopRequested, WorkerEvent
from ockam_ref.identities.local import LocalIdentity, create_local_identity
from ockam_ref.machine import AnyMachine, Fresh, Now
from ockam_ref.observations import ChannelClosed, ChannelOpened
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage
from ockam_ref.wire.route import Route

VECTORS = Path(__file__).parent.parent / "vectors"
TRANSCRIPT: dict[str, Any] = json.loads((VECTORS / "secure_channel_transcript.json").read_text())
INPUTS: dict[str, Any] = TRANSCRIPT["fixed_inputs"]
NAMES: dict[str, str] = INPUTS["addresses"]
HANDSHAKE: list[dict[str, Any]] = TRANSCRIPT["handshake_messages"]
PAYLOAD_A, PAYLOAD_B, CLOSE = TRANSCRIPT["encrypted_messages"]
NOW = Now(0.0, INPUTS["created_at"])


def route(names: list[str]) -> Route:
    """The transcript writes some addresses by their name and some by their role."""
    return tuple(local(NAMES.get(name, name)) for name in names)


def address(role: str) -> Address:
    return local(NAMES[role])


def local_identity(side: str) -> LocalIdentity:
    signing = bytes.fromhex(INPUTS[f"{side}_identity_signing_secret"])
    return create_local_identity(signing, bytes.fromhex(INPUTS[f"{side}_static"]), INPUTS["created_at"])


def fresh(who: str, side: str, flows: tuple[str, ...] = ()) -> Fresh:
    addresses = (address(f"{who}_decryptor_remote"), local(f"{who} internal"), address(f"{who}_encryptor"))
    return Fresh(addresses, flows, (bytes.fromhex(INPUTS[f"{side}_ephemeral"]),), (), NOW)


class End:
    """One machine and all that it sent."""

    def __init__(self, machine: AnyMachine, config: object, drawn: Fresh) -> None:
        self.machine, self.sent = machine, list[Forward]()
        worker = machine.start(config, drawn)
        self.state: object = worker.state
        self._keep(worker.effects)

    def step(self, event: WorkerEvent) -> Effects:
        self.state, effects = self.machine.receive(self.state, event)
        self._keep(effects)
        return effects

    def take(self, message: LocalMessage, source: Address) -> Effects:
        return self.step(MessageReceived(message.onward_route[0], source, message, NOW))

    def _keep(self, effects: tuple[Effect, ...]) -> None:
        self.sent += [effect for effect in effects if isinstance(effect, Forward)]


def over_tcp(message: LocalMessage, receiver: str) -> LocalMessage:
    """The sender's hop is dropped, the receiver's is put before the way back."""
    return LocalMessage(
        message.onward_route[1:], (address(f"{receiver}_tcp_sender"), *message.return_route), message.payload
    )


def expected(entry: dict[str, Any], payload: str) -> LocalMessage:
    return LocalMessage(route(entry["onward_route"]), route(entry["return_route"]), bytes.fromhex(payload))


def expected_handshake(number: int) -> LocalMessage:
    entry = HANDSHAKE[number - 1]
    assert len(entry["bytes"]) == 2 * entry["len"]
    return expected(entry, entry["bytes"])


class Replay:
    """Alice and Bob, with the transcript's keys, addresses and time."""

    def __init__(self) -> None:
        self.alice_identity, self.bob_identity = local_identity("initiator"), local_identity("responder")
        trust = TrustIdentifier(bytes.fromhex(TRANSCRIPT["responder_identity"]["identifier"]))
        way = (address("alice_tcp_sender"), address("bob_listener"))
        config = SecureChannel(self.alice_identity, way, "alice flow", trust)
        self.alice = End(initiator.MACHINE, config, fresh("alice", "initiator"))
        self.listener = End(
            listener.MACHINE,
            SecureChannelListener(address("bob_listener"), self.bob_identity, "spawner"),
            Fresh((), (), (), (), NOW),
        )
        self.bob: End

    def accept(self, message: LocalMessage) -> Effects:
        """Message 1 reaches the listener, which starts Bob's end and hands it on with another first address."""
        (start,) = self.listener.take(message, address("bob_tcp_sender"))
        assert isinstance(start, StartWorker)
        assert start.first_message == message
        self.bob = End(responder.MACHINE, start.config, fresh("bob", "responder", ("bob flow",)))
        return self.bob.take(
            message.replace_front_onward_route(address("bob_decryptor_remote")), address("bob_listener")
        )

    def shake_hands(self) -> None:
        self.accept(over_tcp(self.alice.sent[-1].message, "bob"))
        self.alice.take(over_tcp(self.bob.sent[-1].message, "alice"), address("alice_tcp_sender"))
        self.alice.step(PeerCompared(None, NOW))
        self.bob.take(over_tcp(self.alice.sent[-1].message, "bob"), address("bob_tcp_sender"))
        self.bob.step(PeerCompared(None, NOW))


@pytest.mark.parametrize("side", ["initiator", "responder"])
@pytest.mark.spec("CH-1")
def test_the_identities_of_the_transcript(side: str) -> None:
    entry, identity = TRANSCRIPT[f"{side}_identity"], local_identity(side)
    assert identity.presentation.hex() == entry["identity_and_credentials"]
    assert str(identity.identifier) == entry["identifier_string"]
    assert identity.static.public.hex() == TRANSCRIPT["public_keys"][f"{side}_static"]


@pytest.mark.spec("CH-1", "CH-3", "CH-4", "CH-5", "CH-6", "CH-17")
def test_the_handshake_event_by_event() -> None:
    replay = Replay()
    alice = replay.alice
    assert alice.sent == [Forward(address("alice_decryptor_remote"), expected_handshake(1))]

    replay.accept(over_tcp(alice.sent[0].message, "bob"))
    bob = replay.bob
    assert bob.sent == [Forward(address("bob_decryptor_remote"), expected_handshake(2))]

    (compare,) = alice.take(over_tcp(bob.sent[0].message, "alice"), address("alice_tcp_sender"))
    assert isinstance(compare, ComparePeer)
    assert len(alice.sent) == 1
    effects = alice.step(PeerCompared(None, NOW))
    assert alice.sent[1:] == [Forward(address("alice_decryptor_remote"), expected_handshake(3))]
    told = ChannelOpened(
        address("alice_decryptor_remote"), address("alice_encryptor"), replay.bob_identity.identifier.value, True
    )
    assert effects[-1] == Report(told)

    (compare,) = bob.take(over_tcp(alice.sent[1].message, "bob"), address("bob_tcp_sender"))
    assert isinstance(compare, ComparePeer)
    effects = bob.step(PeerCompared(None, NOW))
    assert len(bob.sent) == 1
    told = ChannelOpened(
        address("bob_decryptor_remote"), address("bob_encryptor"), replay.alice_identity.identifier.value, False
    )
    assert Report(told) in effects


def local_info(entry: dict[str, Any]) -> tuple[LocalInfo, ...]:
    """The transcript shows the form of 0.139; since 0.145 the identifier is a CBOR byte string under another name."""
    identifier = bytes.fromhex(entry["delivered_to_app"]["local_info_identifier"][1:])
    return (LocalInfo("SECURE_CHANNEL_IDENTIFIER", b"\x58\x20" + identifier),)


def check_data(entry: dict[str, Any], sender: End, receiver: End) -> None:
    name, other = entry["sender"], entry["receiver"]
    before = entry["local_message_at_encryptor"]
    sender.take(expected(before, before["payload"]), local("application"))
    sent = sender.sent[-1]
    assert sent.source == address(f"{name}_encryptor")
    assert sent.message == expected(entry["sent_by_encryptor"], entry["worker_payload"])
    receiver.take(over_tcp(sent.message, other), address(f"{other}_tcp_sender"))
    after = entry["delivered_to_app"]
    assert receiver.sent[-1] == Forward(
        local(f"{other} internal"), expected(after, after["payload"])._replace(local_info=local_info(entry))
    )


@pytest.mark.spec("CH-1", "CH-20", "CH-21", "CH-22", "CH-29")
def test_the_messages_a_b_and_c() -> None:
    replay = Replay()
    replay.shake_hands()
    alice, bob = replay.alice, replay.bob
    check_data(PAYLOAD_A, alice, bob)
    check_data(PAYLOAD_B, bob, alice)

    effects = alice.step(StopRequested("enough", NOW))
    assert alice.sent[-1] == Forward(
        address("alice_encryptor"), expected(CLOSE["sent_by_encryptor"], CLOSE["worker_payload"])
    )
    assert isinstance(effects[-1], Report)
    assert isinstance(effects[-1].observation, ChannelClosed)
    said = len(bob.sent)
    effects = bob.take(over_tcp(alice.sent[-1].message, "bob"), address("bob_tcp_sender"))
    assert effects[-1] == StopWorker(address("bob_decryptor_remote"), "the peer closed the channel")
    assert (len(bob.sent), bob.state) == (said, Closed())
