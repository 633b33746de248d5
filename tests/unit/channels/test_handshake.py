import pytest

from ockam_ref.channels.channel import ChannelAddresses
from ockam_ref.channels.handshake import between, completed, draw_addresses, mailboxes
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowConsumers
from tests.unit.channels.ends import A_ENCRYPTOR, A_INTERNAL, A_REMOTE, Pair, fresh, start_initiator

ADDRESSES = ChannelAddresses(A_REMOTE, A_INTERNAL, A_ENCRYPTOR)


def test_the_addresses_in_the_order_they_are_drawn() -> None:
    assert draw_addresses(fresh(A_REMOTE, A_INTERNAL, A_ENCRYPTOR)) == ADDRESSES


@pytest.mark.spec("CH-27", "CH-36")
@pytest.mark.parametrize("spawner", [None, "SPAWNER"])
def test_the_mailboxes_of_an_end(spawner: str | None) -> None:
    remote, internal, encryptor = mailboxes(ADDRESSES, "FLOW", spawner)
    assert (remote.address, remote.incoming, remote.outgoing, remote.terminal) == (
        A_REMOTE,
        ALLOW_ALL,
        ALLOW_ALL,
        False,
    )
    assert (internal.incoming, internal.outgoing) == (DENY_ALL, AllowConsumers("FLOW", spawner))
    assert (encryptor.incoming, encryptor.outgoing, encryptor.terminal) == (ALLOW_ALL, ALLOW_ALL, True)


def test_the_steps_of_xx_end_with_message_3() -> None:
    waiting = start_initiator().state.handshake
    pair = Pair()
    pair.b.take(pair.message_3())
    done = pair.b.state.completed
    assert between(waiting) is waiting
    assert completed(done) is done
    with pytest.raises(TypeError):
        between(done)
    with pytest.raises(TypeError):
        completed(waiting)
