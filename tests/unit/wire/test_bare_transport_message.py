"""The message of Unix sockets, WebSocket and Bluetooth; ``tests/conformance`` has the vectors."""

import pytest

from ockam_ref.errors import MisuseError
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.bare_transport_message import (
    bare_transport_message_parts,
    decode_bare_transport_message,
    encode_bare_transport_message,
)
from ockam_ref.wire.transport_message import TransportMessage

HELLO = TransportMessage((local("echoer"),), (local("app"),), b"\x05hello")
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


@pytest.mark.spec("WIRE-5")
def test_what_has_no_form_is_misuse() -> None:
    with pytest.raises(MisuseError):
        encode_bare_transport_message(HELLO._replace(onward_route=(Address(256, b"a"),)))
    with pytest.raises(MisuseError):
        encode_bare_transport_message(HELLO._replace(tracing_context="\ud800"))
