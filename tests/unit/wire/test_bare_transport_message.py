"""The message of Unix sockets, WebSocket and Bluetooth; ``tests/conformance`` has the vectors."""

from collections.abc import Callable

import pytest

from ockam_ref.errors import DecodeError, MisuseError
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.bare_transport_message import (
    bare_transport_message_parts,
    decode_any_bare_transport_message,
    decode_bare_transport_message,
    encode_bare_transport_message,
)
from ockam_ref.wire.cursor import Buffer
from ockam_ref.wire.transport_message import TransportMessage

HELLO = TransportMessage((local("echoer"),), (local("app"),), b"\x05hello")


def outcome(decode: Callable[[Buffer], TransportMessage], data: Buffer) -> TransportMessage | str:
    """Return the value, or why there is none."""
    try:
        return decode(data)
    except DecodeError as error:
        return str(error)


HELLO_2022 = "010100066563686f6572010003617070060568656c6c6f"


@pytest.mark.spec("WIRE-90", "WIRE-92")
def test_the_two_forms_that_are_written() -> None:
    assert encode_bare_transport_message(HELLO).hex() == HELLO_2022 + "01027b7d"
    assert encode_bare_transport_message(HELLO, ends_after_payload=True).hex() == HELLO_2022


@pytest.mark.spec("WIRE-90", "WIRE-92")
def test_a_tracing_context_passes_through_or_is_left_out() -> None:
    traced = HELLO._replace(tracing_context='{"traceparent":"00-1234-01"}')
    assert decode_bare_transport_message(encode_bare_transport_message(traced)) == traced
    assert encode_bare_transport_message(traced, ends_after_payload=True).hex() == HELLO_2022


@pytest.mark.spec("WIRE-4")
@pytest.mark.parametrize("length", [0, 127, 128, 16_384, 200_000])
def test_payloads_are_not_copied(length: int) -> None:
    message = HELLO._replace(payload=bytes(length), tracing_context="{}")
    encoded = encode_bare_transport_message(message)
    decoded = decode_bare_transport_message(memoryview(encoded))
    assert decoded == message
    assert isinstance(decoded.payload, memoryview)
    assert decoded.payload.obj is encoded
    head, payload, tail = bare_transport_message_parts(message)
    assert payload is message.payload
    assert head + payload + tail == encoded


@pytest.mark.spec("WIRE-3")
@pytest.mark.parametrize(
    "message",
    [
        HELLO,
        TransportMessage((), (), b""),
        TransportMessage((local("x" * 127), Address(255, b"")), (local("a"),) * 8, bytes(128)),
        TransportMessage((local("x" * 128),), (), bytes(127)),
        TransportMessage((local("a"),) * 9, (), bytes(16_383)),
        TransportMessage((local("x" * 100),) * 4, (), bytes(16_384)),
        TransportMessage((local("a"),), (), bytes(2_100_000)),
        HELLO._replace(tracing_context=""),
        HELLO._replace(tracing_context="[]"),
    ],
)
@pytest.mark.parametrize("extra", [b"", b"!", b"\x01\x02{}"])
def test_the_fast_reader_and_the_general_one_agree(message: TransportMessage, extra: bytes) -> None:
    encoded = encode_bare_transport_message(message)
    for data in (encoded + extra, b"\x02" + encoded[1:], encoded[:-1], encoded[:-4], encoded[:-3] + extra):
        expected = outcome(decode_any_bare_transport_message, data)
        assert outcome(decode_bare_transport_message, data) == expected
        assert outcome(decode_bare_transport_message, memoryview(b"?" + data + b"?")[1:-1]) == expected


@pytest.mark.spec("WIRE-3")
def test_a_payload_cannot_pose_as_an_end_that_was_cut_off() -> None:
    """The announced length counts, not what looks like an empty context."""
    cut = b"\x01\x00\x00\x0a" + b"\x01\x02{}"
    for decode in (decode_bare_transport_message, decode_any_bare_transport_message):
        with pytest.raises(DecodeError):
            decode(cut)


@pytest.mark.spec("WIRE-91")
@pytest.mark.parametrize("length", ["ff80808000", "8080808000", "808080808000", "80" * 9 + "01", "80" * 10 + "00"])
def test_long_lengths_are_left_to_the_general_reader(length: str) -> None:
    data = b"\x01\x00\x00" + bytes.fromhex(length) + bytes(0x7F) * (length[:2] == "ff") + b"\x01\x02{}"
    assert outcome(decode_bare_transport_message, data) == outcome(decode_any_bare_transport_message, data)


@pytest.mark.spec("WIRE-5")
def test_what_has_no_form_is_misuse() -> None:
    with pytest.raises(MisuseError):
        encode_bare_transport_message(HELLO._replace(onward_route=(Address(256, b"a"),)))
    with pytest.raises(MisuseError):
        encode_bare_transport_message(HELLO._replace(tracing_context="\ud800"))
