"""The message of the TCP transport (checklist lines 19 to 22 and 27)."""

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage
from ockam_ref.wire.transport_message import (
    MAX_MESSAGE_LENGTH,
    PROTOCOL_VERSION,
    TransportMessage,
    decode_any_transport_message,
    decode_transport_message,
    encode_transport_message,
    from_local,
    transport_message_parts,
)

HELLO = TransportMessage((local("echoer"),), (local("app"),), bytes.fromhex("0548656c6c6f"))
THREE = "83818200466563686f657281820043617070460548656c6c6f"
FOUR = "84818200466563686f657281820043617070460548656c6c6f627b7d"
CONTEXT = '{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":""}'
TRACED = "84818200466563686f657281820043617070460548656c6c6f7859" + CONTEXT.encode().hex()


@pytest.mark.spec("WIRE-50", "WIRE-51")
def test_constants() -> None:
    """Checklist lines 19 and 20: the numbers; the framing itself is the link's."""
    assert PROTOCOL_VERSION == 1
    assert MAX_MESSAGE_LENGTH == 16 * 1024 * 1024


@pytest.mark.spec("WIRE-52")
def test_a_node_without_tracing_writes_four_elements() -> None:
    """Checklist line 21."""
    assert encode_transport_message(HELLO).hex() == FOUR
    assert encode_transport_message(HELLO._replace(tracing_context="{}")).hex() == FOUR
    assert decode_transport_message(bytes.fromhex(FOUR)) == HELLO._replace(tracing_context="{}")


@pytest.mark.spec("WIRE-52")
def test_three_elements_both_ways() -> None:
    assert decode_transport_message(bytes.fromhex(THREE)) == HELLO
    assert encode_transport_message(HELLO, elements=3).hex() == THREE
    with pytest.raises(MisuseError):
        encode_transport_message(HELLO._replace(tracing_context="{}"), elements=3)


@pytest.mark.spec("WIRE-52")
def test_a_tracing_context_passes_through_unharmed() -> None:
    message = decode_transport_message(bytes.fromhex(TRACED))
    assert message == HELLO._replace(tracing_context=CONTEXT)
    assert encode_transport_message(message).hex() == TRACED
    assert from_local(message.to_local()) == message
    odd = HELLO._replace(tracing_context="neither JSON nor empty \u2603")
    assert decode_transport_message(encode_transport_message(odd)) == odd


def test_worked_examples() -> None:
    first = HELLO._replace(payload=bytes.fromhex("0c48656c6c6f204f636b616d21"))
    assert encode_transport_message(first).hex() == (
        "84818200466563686f6572818200436170704d0c48656c6c6f204f636b616d21627b7d"
    )
    large = encode_transport_message(HELLO._replace(payload=b"\xac\x02" + bytes(300)))
    assert large[:25].hex() == "84818200466563686f65728182004361707059012eac020000"
    assert len(large) == 0x146
    answer = TransportMessage((local("00112233445566778899aabbccddeeff"),), HELLO.onward_route, b"\x05hello")
    assert encode_transport_message(answer, elements=3).hex() == (
        "8381820058203030313132323333343435353636373738383939616162626363646465656666818200466563686f6572460568656c6c6f"
    )


@pytest.mark.spec("WIRE-14", "WIRE-52")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("83808040", TransportMessage((), (), b"")),
        ("84808040f6", TransportMessage((), (), b"")),
        ("848080406161", TransportMessage((), (), b"", "a")),
        ("858080406001", TransportMessage((), (), b"", "")),
        ("9f808040ff", TransportMessage((), (), b"")),
        ("9f80804060ff", TransportMessage((), (), b"", "")),
        ("839fff8040", TransportMessage((), (), b"")),
        ("838183004161f68040", TransportMessage((local("a"),), (), b"")),
        ("83808040ffff", TransportMessage((), (), b"")),
        ("84808040627b7dffff", TransportMessage((), (), b"", "{}")),
        ("83818219000041618040", TransportMessage((local("a"),), (), b"")),
        ("838182181841618040", TransportMessage((Address(24, b"a"),), (), b"")),
        ("8480805900016" + "1627b7d", TransportMessage((), (), b"a", "{}")),
        ("8480805b00000000000000016" + "1627b7d", TransportMessage((), (), b"a", "{}")),
        ("8480" + "98 00".replace(" ", "") + "40627b7d", TransportMessage((), (), b"", "{}")),
    ],
)
def test_accepted(text: str, expected: TransportMessage) -> None:
    assert decode_transport_message(bytes.fromhex(text)) == expected
    assert decode_any_transport_message(bytes.fromhex(text)) == expected


@pytest.mark.spec("WIRE-16", "WIRE-53")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", ErrorCode.TRUNCATED),
        ("828080", ErrorCode.MISSING_FIELD),
        ("83808060", ErrorCode.WRONG_TYPE),
        ("83818219010041618040", ErrorCode.OUT_OF_RANGE),
        ("8380805f4161ff", ErrorCode.WRONG_TYPE),
        ("84808040f7", ErrorCode.WRONG_TYPE),
        ("84808040a0", ErrorCode.WRONG_TYPE),
        ("8480804001", ErrorCode.WRONG_TYPE),
        ("8480804061ff", ErrorCode.BAD_TEXT),
        ("8381820061618040", ErrorCode.WRONG_TYPE),
        ("8381808040", ErrorCode.MISSING_FIELD),
        ("838181008040", ErrorCode.MISSING_FIELD),
        ("c083808040", ErrorCode.WRONG_TYPE),
        ("84f68040f6", ErrorCode.WRONG_TYPE),
        ("a0", ErrorCode.WRONG_TYPE),
        ("8480805bffffffffffffffff", ErrorCode.TRUNCATED),
        ("8480805affffffff", ErrorCode.TRUNCATED),
        ("84808041", ErrorCode.TRUNCATED),
        (FOUR[:-2], ErrorCode.TRUNCATED),
    ],
)
def test_refused(text: str, code: ErrorCode) -> None:
    """Checklist line 22: an undecodable message."""
    with pytest.raises(DecodeError) as caught:
        decode_transport_message(bytes.fromhex(text))
    assert caught.value.code is code


@pytest.mark.spec("WIRE-53")
@pytest.mark.parametrize("text", ["83808040", "84808040f6", "84808040627b7d", "8480818200416140627b7d"])
def test_heartbeats(text: str) -> None:
    """Checklist line 22: an empty onward route goes nowhere."""
    assert decode_transport_message(bytes.fromhex(text)).is_heartbeat
    assert not decode_transport_message(bytes.fromhex(FOUR)).is_heartbeat


@pytest.mark.spec("WIRE-4")
@pytest.mark.parametrize("decode", [decode_transport_message, decode_any_transport_message])
@pytest.mark.parametrize("length", [0, 23, 24, 255, 256, 65535, 65536, 200_000])
def test_payloads_are_not_copied(decode: object, length: int) -> None:
    message = HELLO._replace(payload=bytes(length), tracing_context="{}")
    encoded = encode_transport_message(message)
    assert callable(decode)
    decoded = decode(memoryview(encoded))
    assert decoded == message
    assert isinstance(decoded.payload, memoryview)
    assert decoded.payload.obj is encoded
    head, payload, tail = transport_message_parts(message)
    assert payload is message.payload
    assert head + payload + tail == encoded


@pytest.mark.spec("WIRE-54")
def test_local_info_never_leaves_and_never_arrives() -> None:
    """Checklist line 27."""
    inside = LocalMessage(HELLO.onward_route, HELLO.return_route, HELLO.payload, (LocalInfo("secret-name", b"!"),))
    encoded = encode_transport_message(from_local(inside))
    assert encoded.hex() == FOUR
    assert decode_transport_message(encoded).to_local() == inside._replace(local_info=(), tracing_context="{}")


@pytest.mark.spec("WIRE-5")
def test_what_has_no_form_is_misuse() -> None:
    with pytest.raises(MisuseError):
        encode_transport_message(HELLO._replace(onward_route=(Address(256, b"a"),)))
    with pytest.raises(MisuseError):
        encode_transport_message(HELLO._replace(tracing_context="\ud800"))
