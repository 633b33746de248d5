import pytest

from ockam_ref.channels import listener
from ockam_ref.channels.listener import MAX_HALF_OPEN_CHANNELS, SecureChannelListener
from ockam_ref.channels.responder import Responder
from ockam_ref.channels.trust import TrustIdentifier
from ockam_ref.effects import AddConsumer, AddSpawner, Effects, StartWorker, StopWorker
from ockam_ref.events import ChildSettled, ChildStarted, PauseChanged
from ockam_ref.machine import Mailbox
from ockam_ref.observations import HandshakeFailed, MessageDropped
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage
from tests.unit.channels.ends import ALICE, BOB, LISTENER, NOW, End, World, fresh, observed, only, reports, rules

TRUST = TrustIdentifier(ALICE.identifier.value)
KNOCK = LocalMessage((LISTENER, local("more")), (local("hop"), local("a")), b"\x01" * 32, (LocalInfo("x", b""),), "{}")


def start() -> End:
    config = SecureChannelListener(LISTENER, BOB, "SPAWNER", TRUST, ("TCP", "OTHER"))
    return End(listener.MACHINE, config, fresh())


def child(number: int) -> Address:
    return local(f"responder {number}")


def begun(effects: Effects) -> StartWorker:
    effect = effects[-1]
    assert isinstance(effect, StartWorker)
    return effect


@pytest.mark.spec("CH-27")
def test_what_a_start_asks_for() -> None:
    end = start()
    assert end.mailboxes == (Mailbox(LISTENER),)
    assert end.first_effects == (
        AddConsumer(LISTENER, "TCP"),
        AddConsumer(LISTENER, "OTHER"),
        AddSpawner(LISTENER, "SPAWNER"),
    )


@pytest.mark.spec("CH-2")
@pytest.mark.parametrize("payload", [b"", b"x", b"\x01" * 32, bytes(500)])
def test_every_message_begins_a_handshake(payload: bytes) -> None:
    end = start()
    for _ in range(2):
        (effect,) = end.take(KNOCK._replace(payload=payload))
        assert effect == StartWorker(Responder(BOB, TRUST, LISTENER, "SPAWNER"), KNOCK._replace(payload=payload))
    assert end.state.asked == 2


@pytest.mark.spec("CH-16")
def test_the_count_of_half_open_ends() -> None:
    end = start()
    for number in range(3):
        end.take(KNOCK)
        end.step(ChildStarted(child(number), NOW))
    assert (end.state.half_open, end.state.asked) == ((child(0), child(1), child(2)), 0)
    end.step(ChildSettled(child(1), NOW))
    end.step(ChildSettled(child(7), NOW))
    assert end.state.half_open == (child(0), child(2))
    assert end.step(PauseChanged(True, NOW)) == ()


@pytest.mark.spec("CH-16")
def test_the_oldest_gives_way_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_HALF_OPEN_CHANNELS", 3)
    end = start()
    for number in range(3):
        assert len(end.take(KNOCK)) == 1
        end.step(ChildStarted(child(number), NOW))
    stop, _ = end.take(KNOCK)
    assert isinstance(stop, StopWorker)
    assert stop.address == child(0)
    begun((stop, _))
    end.step(ChildSettled(child(0), NOW))
    end.step(ChildStarted(child(3), NOW))
    assert end.state.half_open == (child(1), child(2), child(3))


@pytest.mark.spec("CH-16")
def test_each_new_one_beyond_the_limit_takes_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the node has not yet said that those given up are gone."""
    monkeypatch.setattr(listener, "MAX_HALF_OPEN_CHANNELS", 2)
    end = start()
    for number in range(2):
        end.take(KNOCK)
        end.step(ChildStarted(child(number), NOW))
    stopped = [only(end.take(KNOCK), StopWorker)[0].address for _ in range(2)]
    assert stopped == [child(0), child(1)]


@pytest.mark.spec("CH-16")
def test_too_many_at_once_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one event the node has not begun any of them, so there is none to give up."""
    monkeypatch.setattr(listener, "MAX_HALF_OPEN_CHANNELS", 2)
    end = start()
    for _ in range(2):
        begun(end.take(KNOCK))
    (dropped,) = reports(end.take(KNOCK), MessageDropped)
    assert dropped.rule == "half-open-limit"


@pytest.mark.spec("CH-15", "CH-16")
def test_a_flood_is_bounded_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_HALF_OPEN_CHANNELS", 4)
    world = World()
    idle = len(world.bob.node.addresses())
    for _ in range(20):
        world.alice.send(world.app_a, LocalMessage((world.hop, LISTENER), (world.app_a,), b"\x09" * 32))
        world.net.run()
        assert len(world.bob.node.addresses()) <= idle + 4
    assert len(observed(world.bob, HandshakeFailed)) == 16
    assert world.open().peer == BOB.identifier.value  # whoever answers at once still gets in
    world.net.advance(61.0)
    assert len(world.bob.node.addresses()) == idle + 1
    state = world.bob.node.state_of(LISTENER)
    assert isinstance(state, listener.Listening)
    assert (state.half_open, state.asked) == ((), 0)


@pytest.mark.spec("CH-16")
def test_garbage_does_not_stay() -> None:
    world = World()
    idle = world.bob.node.addresses()
    for length in range(32):
        world.alice.send(world.app_a, LocalMessage((world.hop, LISTENER), (world.app_a,), bytes(length)))
    world.net.run()
    assert world.bob.node.addresses() == idle
    assert (len(observed(world.bob, HandshakeFailed)), rules(world.bob)) == (32, [])
    assert MAX_HALF_OPEN_CHANNELS == 1024
