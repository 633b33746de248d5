"""One packet, one message."""

import pytest

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.links.packets import PACKET, cut, pack
from ockam_ref.wire.address import local
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH, TransportMessage

HELLO = TransportMessage((local("echoer"),), (local("app"),), b"\x05hello")
HELLO_BYTES = "010100066563686f6572010003617070060568656c6c6f01027b7d"


@pytest.mark.spec("WS-1")
def test_a_message_is_a_packet_and_a_packet_a_message() -> None:
    assert PACKET.hello == ()
    (packet,) = pack(HELLO)
    assert packet[1] is HELLO.payload
    data = b"".join(packet)
    assert data.hex() == HELLO_BYTES
    state, (body,) = cut(PACKET.first, data)
    assert isinstance(body, memoryview)
    assert body.obj is data
    assert PACKET.decode(body) == HELLO._replace(tracing_context="{}")
    assert cut(state, b"")[1] == [memoryview(b"")]


@pytest.mark.spec("WS-2")
@pytest.mark.parametrize("mtu", [None, 100, 2 * MAX_MESSAGE_LENGTH])
def test_the_longest_message_is_sent_and_a_longer_one_refused(mtu: int | None) -> None:
    limit = min(mtu or MAX_MESSAGE_LENGTH, MAX_MESSAGE_LENGTH)
    longest = limit - len(HELLO_BYTES) // 2 + 6
    while True:
        try:
            (packet,) = pack(HELLO._replace(payload=bytes(longest)), mtu)
            break
        except MisuseError:
            longest -= 1  # the length of the payload takes some bytes too
    assert sum(map(len, packet)) == limit
    with pytest.raises(MisuseError, match=f"{limit} is the limit") as caught:
        pack(HELLO._replace(payload=bytes(longest + 1)), mtu)
    assert caught.value.code is ErrorCode.TOO_LONG


@pytest.mark.spec("WS-3")
def test_a_packet_that_is_no_message_ends_nothing() -> None:
    assert not PACKET.undecodable_ends
