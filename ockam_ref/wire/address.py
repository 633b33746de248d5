"""Addresses: one hop of a route (facts 01 section 3)."""

from enum import IntEnum
from typing import NamedTuple

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire import bare, cbor
from ockam_ref.wire.cursor import Cursor


class TransportType(IntEnum):
    """The registered transport types; any other number up to 255 is legal on the wire."""

    LOCAL = 0
    TCP = 1
    UDP = 2
    WS = 3
    BLE = 4
    UDS = 5


LOCAL = TransportType.LOCAL
TCP = TransportType.TCP
"""The first half of a typed hop ``(TCP, "host:port")``."""
UDP = TransportType.UDP
"""The first half of a typed hop ``(UDP, "host:port")``."""
WS = TransportType.WS
"""The first half of a typed hop over WebSocket, ``(WS, "host:port/path")``."""
BLE = TransportType.BLE
"""The first half of a typed hop over Bluetooth LE, ``(BLE, "name")``."""
UDS = TransportType.UDS
"""The first half of a typed hop over a Unix socket, ``(UDS, "path")``."""


class Address(NamedTuple):
    """A transport type (0 to 255) and a value of any bytes; compared exactly, never normalised.

    A named tuple because addresses are keys of every table on the hot path and tuples hash in C.
    """

    transport_type: int
    value: bytes

    def __str__(self) -> str:
        """Return ``T#value``; a value that is not UTF-8 prints as ``Invalid UTF-8``."""
        try:
            text = self.value.decode()
        except UnicodeDecodeError:
            text = "Invalid UTF-8"
        return f"{int(self.transport_type)}#{text}"

    @property
    def is_local(self) -> bool:
        """Whether the address names a worker of the node that reads it."""
        return self.transport_type == 0


def local(name: str | bytes) -> Address:
    """Return the local address of that name; a ``#`` in it is part of the name."""
    return Address(0, name.encode() if isinstance(name, str) else name)


def any_of_type(transport_type: int) -> Address:
    """Return the address that stands for all addresses of a transport: the one with an empty value.

    A worker there is given what goes to an address of that transport which no worker has, and a consumer of that
    name is one under each of them.
    """
    return Address(transport_type, b"")


def parse_address(text: str) -> Address:
    """Read the text form ``value`` or ``T#value``; nothing is trimmed (facts 01 section 3.2).

    Raises:
        DecodeError: more than one ``#``, a type that is not a number from 0 to 255, or a lone surrogate.
    """
    type_text, separator, value = text.partition("#")
    if not separator:
        return Address(0, _utf8(text))
    if "#" in value:
        raise DecodeError(ErrorCode.BAD_ADDRESS, f"more than one '#' in the address {text!r}", offset=text.rindex("#"))
    digits = type_text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()) or len(digits.lstrip("0")) > 3 or int(digits[-3:]) > 255:
        raise DecodeError(ErrorCode.BAD_ADDRESS, f"the address type in {text!r} is not a number from 0 to 255")
    return Address(int(digits), _utf8(value))


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # a command-line argument that was not UTF-8
        raise DecodeError(ErrorCode.BAD_TEXT, "the address holds a lone surrogate", offset=error.start) from error


def random_address(entropy: bytes) -> Address:
    """Return the local address that 16 random bytes name: 32 lower-case hexadecimal characters.

    Raises:
        MisuseError: not 16 bytes.
    """
    if len(entropy) != 16:
        raise MisuseError(ErrorCode.OUT_OF_RANGE, f"a random address needs 16 bytes of entropy, not {len(entropy)}")
    return Address(0, entropy.hex().encode())


def _check(address: Address) -> Address:
    if not 0 <= address.transport_type <= 255:
        raise MisuseError(ErrorCode.BAD_ADDRESS, f"transport type {address.transport_type} is not from 0 to 255")
    return address


def encode_address_cbor(address: Address) -> bytes:
    """Return the array of type and byte string; ``MisuseError`` when the type does not fit a byte."""
    transport_type, value = _check(address)
    return b"".join((b"\x82", cbor.encode_uint(transport_type), cbor.bytes_head(len(value)), value))


def read_address_cbor(cursor: Cursor) -> Address:
    """Read an address; ``DecodeError`` for a type above 255, a text value, or a missing element."""
    fields = cbor.Fields(cursor, "address")
    address = Address(fields.required(cbor.read_u8), fields.required(cbor.read_bytes))
    fields.finish()
    return address


def encode_address_bare(address: Address) -> bytes:
    """Return the type byte, the length and the value; ``MisuseError`` when the type does not fit a byte."""
    transport_type, value = _check(address)
    return bare.encode_u8(transport_type) + bare.encode_data(value)


def read_address_bare(cursor: Cursor) -> Address:
    """Read an address; ``DecodeError`` when it is cut short."""
    return Address(cursor.u8(), bare.read_data(cursor))
