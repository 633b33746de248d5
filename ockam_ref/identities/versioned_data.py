"""The signed part of everything: a version, what it is, and its bytes (facts 03 section 3.1).

What is hashed and signed is the encoded VersionedData, byte for byte as received: it is never encoded again.
The type keeps a signature that was made for one kind of thing from being used for another.
"""

from enum import IntEnum
from hashlib import sha256
from typing import Final, NamedTuple

from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Buffer, Cursor

CURRENT_VERSION: Final = 1


class DataType(IntEnum):
    """What was signed."""

    CHANGE = 1
    PURPOSE_KEY_ATTESTATION = 2
    CREDENTIAL = 3


class VersionedData(NamedTuple):
    """Any version and type from 0 to 255; which ones are accepted is up to the verifier."""

    version: int
    data_type: int
    data: bytes


def encode_versioned_data(data_type: DataType, data: Buffer) -> bytes:
    """Return the bytes to be hashed and signed."""
    return cbor.encode_fields(cbor.encode_uint(CURRENT_VERSION), cbor.encode_uint(data_type), cbor.encode_bytes(data))


def decode_versioned_data(data: Buffer) -> VersionedData:
    """Decode the signed bytes; like the peer, pass over what follows them.

    Raises:
        DecodeError: no VersionedData.
    """
    fields = cbor.Fields(Cursor(data), "VersionedData")
    decoded = VersionedData(
        fields.required(cbor.read_u8), fields.required(cbor.read_u8), fields.required(cbor.read_bytes)
    )
    fields.finish()
    return decoded


def digest_of(data: Buffer) -> bytes:
    """Return the 32 bytes that are signed, and by which a change is known."""
    return sha256(data).digest()
