"""Portal messages."""

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.portal_message import (
    Disconnect,
    Payload,
    Ping,
    Pong,
    PortalMessage,
    decode_portal_message,
    encode_portal_message,
    payload_head,
)


@pytest.mark.spec("WIRE-60", "WIRE-61", "WIRE-62")
@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (Ping, "00"),
        (Pong, "01"),
        (Disconnect, "02"),
        (Payload(b""), "0300"),
        (Payload(b"hello"), "030568656c6c6f"),
        (Payload(b"hello", 123), "030568656c6c6f017b00"),
        (Payload(b"\x05\x05"), "03020505"),
        (Payload(b"\x05\x05", 0xAABB), "0302050501bbaa"),
        (Payload(bytes(131072)), "03808008" + "00" * 131072),
    ],
)
def test_messages_and_their_bytes(message: PortalMessage, encoded: str) -> None:
    assert encode_portal_message(message).hex() == encoded
    assert decode_portal_message(bytes.fromhex(encoded)) == message


@pytest.mark.spec("WIRE-60")
@pytest.mark.parametrize(("encoded", "message"), [("0000", Ping), ("01ffff", Pong), ("0203", Disconnect)])
def test_bytes_after_a_signal_are_ignored(encoded: str, message: PortalMessage) -> None:
    assert decode_portal_message(bytes.fromhex(encoded)) is message


@pytest.mark.spec("WIRE-62")
@pytest.mark.parametrize(
    ("rest", "counter"),
    [
        ("", None),
        ("00", None),
        ("01", None),
        ("0100", None),
        ("0000", None),
        ("010000", 0),
        ("01bbaa", 0xAABB),
        ("01bbaaff", 0xAABB),
        ("000102", None),
        ("020102", None),
    ],
)
def test_what_may_follow_the_data(rest: str, counter: int | None) -> None:
    assert decode_portal_message(bytes.fromhex("03020505" + rest)) == Payload(b"\x05\x05", counter)


@pytest.mark.spec("WIRE-63")
@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        ("", ErrorCode.TRUNCATED),
        ("04", ErrorCode.UNKNOWN_VARIANT),
        ("ff", ErrorCode.UNKNOWN_VARIANT),
        ("03", ErrorCode.TRUNCATED),
        ("030261", ErrorCode.TRUNCATED),
        ("03ffffffffffffffffff01", ErrorCode.TRUNCATED),
        ("03ffffffffffffffffff02", ErrorCode.OUT_OF_RANGE),
    ],
)
def test_what_is_refused(encoded: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_portal_message(bytes.fromhex(encoded))
    assert caught.value.code is code


@pytest.mark.spec("WIRE-61")
def test_a_length_longer_than_necessary_is_accepted() -> None:
    assert decode_portal_message(bytes.fromhex("03858000" + "68656c6c6f")) == Payload(b"hello")


@pytest.mark.spec("WIRE-4")
def test_data_is_a_view() -> None:
    encoded = b"".join((payload_head(300), bytes(300)))
    message = decode_portal_message(memoryview(encoded))
    assert isinstance(message, Payload)
    assert isinstance(message.data, memoryview)
    assert message.data.obj is encoded
    assert encode_portal_message(message) == encoded


@pytest.mark.spec("WIRE-5")
@pytest.mark.parametrize("counter", [-1, 65536])
def test_a_counter_has_sixteen_bits(counter: int) -> None:
    with pytest.raises(MisuseError):
        encode_portal_message(Payload(b"", counter))
