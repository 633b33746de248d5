"""The bounds-checked reader."""

import pytest

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.cursor import Cursor


def test_reads_in_order() -> None:
    cursor = Cursor(b"\x01\x02\x03\x04")
    assert (cursor.peek(), cursor.u8(), cursor.position, cursor.remaining) == (1, 1, 1, 3)
    assert cursor.take(2) == b"\x02\x03"
    assert cursor.take(0) == b""
    assert bytes(cursor.view(1)) == b"\x04"
    cursor.end()


@pytest.mark.spec("WIRE-4")
def test_a_view_shares_the_buffer() -> None:
    buffer = bytearray(b"abc")
    view = Cursor(buffer).view(3)
    buffer[0] = ord("x")
    assert bytes(view) == b"xbc"


@pytest.mark.spec("WIRE-1")
@pytest.mark.parametrize("step", ["u8", "peek"])
def test_nothing_is_read_past_the_end(step: str) -> None:
    cursor = Cursor(b"a")
    cursor.u8()
    with pytest.raises(DecodeError) as caught:
        getattr(cursor, step)()
    assert (caught.value.code, caught.value.offset, cursor.position) == (ErrorCode.TRUNCATED, 1, 1)


@pytest.mark.spec("WIRE-2")
@pytest.mark.parametrize("step", ["take", "view"])
def test_a_length_beyond_the_end_is_refused_and_nothing_moves(step: str) -> None:
    cursor = Cursor(memoryview(b"abc"))
    cursor.u8()
    with pytest.raises(DecodeError) as caught:
        getattr(cursor, step)(2**64 - 1)
    assert (caught.value.code, caught.value.offset, cursor.position) == (ErrorCode.TRUNCATED, 1, 1)


def test_end_refuses_what_is_left() -> None:
    with pytest.raises(DecodeError) as caught:
        Cursor(b"a").end()
    assert caught.value.code is ErrorCode.TRAILING_BYTES


def test_fail_points_at_the_position() -> None:
    cursor = Cursor(b"ab")
    cursor.u8()
    error = cursor.fail(ErrorCode.BAD_TEXT, "bad")
    assert (error.code, error.offset, str(error)) == (ErrorCode.BAD_TEXT, 1, "bad (at byte 1)")
