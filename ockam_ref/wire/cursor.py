"""A bounds-checked reader over a buffer: every decoder of this package takes its bytes from one of these."""

from typing import TypeAlias

from ockam_ref.errors import DecodeError, ErrorCode

Buffer: TypeAlias = bytes | bytearray | memoryview
"""What decoders take; a ``memoryview`` must be one of single bytes."""


class Cursor:
    """A position in a buffer that never moves past its end.

    Nothing is copied or allocated before the length asked for is known to be there.
    """

    __slots__ = ("_size", "data", "position")

    def __init__(self, data: Buffer) -> None:
        self.data = memoryview(data)
        self.position = 0
        self._size = len(self.data)

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return self._size - self.position

    def u8(self) -> int:
        """Consume one byte.

        Raises:
            DecodeError: there is none (``TRUNCATED``).
        """
        position = self.position
        if position >= self._size:
            raise self._truncated(1)
        self.position = position + 1
        return self.data[position]

    def peek(self) -> int:
        """Return the next byte and stay where we are.

        Raises:
            DecodeError: there is none (``TRUNCATED``).
        """
        if self.position >= self._size:
            raise self._truncated(1)
        return self.data[self.position]

    def take(self, n: int) -> bytes:
        """Consume ``n`` bytes as a copy.

        Raises:
            DecodeError: fewer are left (``TRUNCATED``).
        """
        return bytes(self.view(n))

    def view(self, n: int) -> memoryview:
        """Consume ``n`` bytes without copying them.

        Raises:
            DecodeError: fewer are left (``TRUNCATED``).
        """
        stop = self.position + n
        if stop > self._size:
            raise self._truncated(n)
        view = self.data[self.position : stop]
        self.position = stop
        return view

    def end(self) -> None:
        """Check that nothing is left.

        Raises:
            DecodeError: something is (``TRAILING_BYTES``).
        """
        if self.position != self._size:
            raise self.fail(ErrorCode.TRAILING_BYTES, f"{self.remaining} bytes follow the value")

    def fail(self, code: ErrorCode, message: str) -> DecodeError:
        """Return (not raise) an error that points at the current position."""
        return DecodeError(code, message, offset=self.position)

    def _truncated(self, wanted: int) -> DecodeError:
        return self.fail(ErrorCode.TRUNCATED, f"{wanted} bytes expected, {self.remaining} left")
