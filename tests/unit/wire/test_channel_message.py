"""The plaintext of a secure channel."""

import json
from pathlib import Path

import pytest

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.address import local
from ockam_ref.wire.channel_message import (
    ChannelMessage,
    ChannelPayload,
    Close,
    RefreshCredentials,
    channel_payload_parts,
    decode_any_channel_message,
    decode_channel_message,
    encode_channel_message,
)

HELLO = ChannelPayload((local("echoer"),), (local("app"),), bytes.fromhex("0c48656c6c6f204f636b616d21"))
HELLO_HEX = "8282008183818200466563686f6572818200436170704d0c48656c6c6f204f636b616d2140"
NOISE_VECTORS = Path(__file__).parents[2] / "vectors" / "noise_xx.json"


@pytest.mark.spec("WIRE-70", "WIRE-71")
@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (HELLO, HELLO_HEX),
        (Close(), "8282028040"),
        (RefreshCredentials(b"\x80", ()), "8282018182808040"),
        (RefreshCredentials(b"\x81\x01", (b"\x02", b"\x61a")), "828201818281018202616140"),
    ],
)
def test_messages_and_their_bytes(message: ChannelMessage, encoded: str) -> None:
    assert encode_channel_message(message).hex() == encoded
    assert decode_channel_message(bytes.fromhex(encoded)) == message
    assert decode_any_channel_message(bytes.fromhex(encoded)) == message


@pytest.mark.spec("WIRE-72")
def test_the_refresh_of_a_real_node() -> None:
    """Written by the Rust encoder; 629 bytes."""
    vectors = {vector["name"]: vector for vector in json.loads(NOISE_VECTORS.read_text())["plaintext_messages"]}
    plaintext = bytes.fromhex(vectors["refresh_credentials"]["plaintext"])
    message = decode_channel_message(plaintext)
    assert isinstance(message, RefreshCredentials)
    assert len(plaintext) == 629
    assert message.change_history[:6].hex() == "818258378301"
    assert len(message.credentials) == 1
    assert encode_channel_message(message) == plaintext


@pytest.mark.spec("WIRE-70", "WIRE-15", "WIRE-14")
@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ("82820281" + "01" + "40", Close()),
        ("828202f640", Close()),
        ("828202a040", Close()),
        ("82820280430000ff", Close()),
        ("9f82028040ff", Close()),
        ("8382028040" + "a10102", Close()),
        ("8282028040" + "ffff", Close()),
        ("8282008283808041610041" + "00", ChannelPayload((), (), b"a")),
        ("82820081848080416101" + "40", ChannelPayload((), (), b"a")),
        ("828200819f80804161ff40", ChannelPayload((), (), b"a")),
        ("8282008183808041614200ff", ChannelPayload((), (), b"a")),
        (HELLO_HEX + "00", HELLO),
        ("8282018183" + "80" + "9f01ff" + "05" + "40", RefreshCredentials(b"\x80", (b"\x01",))),
    ],
)
def test_accepted(encoded: str, message: ChannelMessage) -> None:
    assert decode_channel_message(bytes.fromhex(encoded)) == message
    assert decode_any_channel_message(bytes.fromhex(encoded)) == message


@pytest.mark.spec("WIRE-71", "WIRE-15", "WIRE-16")
@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        ("", ErrorCode.TRUNCATED),
        ("81820280", ErrorCode.MISSING_FIELD),
        ("8282028060", ErrorCode.WRONG_TYPE),
        ("82820280f6", ErrorCode.WRONG_TYPE),
        ("82820280", ErrorCode.TRUNCATED),
        ("829f0280ff40", ErrorCode.WRONG_TYPE),
        ("8283028080" + "40", ErrorCode.WRONG_TYPE),
        ("8282038040", ErrorCode.UNKNOWN_VARIANT),
        ("8282008040", ErrorCode.MISSING_FIELD),
        ("828200818280" + "80" + "40", ErrorCode.MISSING_FIELD),
        ("8282008183" + "8080" + "5f4161ff" + "40", ErrorCode.WRONG_TYPE),
        ("8282008183" + "8182190100" + "4161" + "80" + "40" + "40", ErrorCode.OUT_OF_RANGE),
        ("82820081838080416" + "1", ErrorCode.TRUNCATED),
        ("82820181818040", ErrorCode.MISSING_FIELD),
        ("8282018182800140", ErrorCode.WRONG_TYPE),
        (HELLO_HEX[:-2] + "60", ErrorCode.WRONG_TYPE),
    ],
)
def test_refused(encoded: str, code: ErrorCode) -> None:
    for decode in (decode_channel_message, decode_any_channel_message):
        with pytest.raises(DecodeError) as caught:
            decode(bytes.fromhex(encoded))
        assert caught.value.code is code


@pytest.mark.spec("WIRE-4")
@pytest.mark.parametrize("length", [0, 23, 24, 256, 65536])
def test_payloads_are_not_copied(length: int) -> None:
    message = HELLO._replace(payload=bytes(length))
    prefix, suffix = channel_payload_parts(message.onward_route, message.return_route, length)
    encoded = b"".join((prefix, message.payload, suffix))
    assert encoded == encode_channel_message(message)
    for decode in (decode_channel_message, decode_any_channel_message):
        decoded = decode(memoryview(encoded))
        assert decoded == message
        assert isinstance(decoded, ChannelPayload)
        assert isinstance(decoded.payload, memoryview)
        assert decoded.payload.obj is encoded
