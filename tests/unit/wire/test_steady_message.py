"""The messages of steady links and their bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.steady_message import (
    Carried,
    Here,
    Move,
    Open,
    SteadyMessage,
    decode_steady_message,
    encode_steady_message,
)

U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
MESSAGES = (
    st.builds(Open, U64, U32)
    | st.builds(Move, U64, U32, U32)
    | st.builds(Here, U64, U32)
    | st.builds(Carried, st.binary())
)


@pytest.mark.spec("STEADY-1")
@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (Open(0x0102030405060708, 4096), "0101010203040506070800001000"),
        (Move(0x0102030405060708, 9, 32768), "020101020304050607080000000900008000"),
        (Here(0x0102030405060708, 9), "03010203040506070800000009"),
        (Carried(b"packet"), "047061636b6574"),
        (Carried(b""), "04"),
    ],
)
def test_messages_and_their_bytes(message: SteadyMessage, encoded: str) -> None:
    assert encode_steady_message(message).hex() == encoded
    assert decode_steady_message(bytes.fromhex(encoded)) == message


@pytest.mark.spec("STEADY-1")
@given(MESSAGES)
def test_what_is_written_is_read(message: SteadyMessage) -> None:
    assert decode_steady_message(encode_steady_message(message)) == message


@pytest.mark.spec("STEADY-2")
@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        ("", ErrorCode.UNKNOWN_VARIANT),
        ("05", ErrorCode.UNKNOWN_VARIANT),
        ("01010102030405060708000010", ErrorCode.TRUNCATED),
        ("010101020304050607080000100000", ErrorCode.TRUNCATED),
        ("0102010203040506070800001000", ErrorCode.UNSUPPORTED_VERSION),
        ("020201020304050607080000000900008000", ErrorCode.UNSUPPORTED_VERSION),
        ("03", ErrorCode.TRUNCATED),
    ],
)
def test_what_is_refused(encoded: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_steady_message(bytes.fromhex(encoded))
    assert caught.value.code is code
