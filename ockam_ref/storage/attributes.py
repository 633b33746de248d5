"""Attributes in a column: a CBOR map of byte strings, in the order of their names."""

from typing import TypeAlias

from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Cursor

Attributes: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Names and values."""


def encode_attributes(attributes: Attributes) -> bytes:
    """Return the column; of a name that is there twice the last one counts."""
    pairs = sorted(dict(attributes).items())
    encoded = (cbor.encode_bytes(name) + cbor.encode_bytes(value) for name, value in pairs)
    return cbor.map_head(len(pairs)) + b"".join(encoded)


def decode_attributes(column: bytes) -> Attributes:
    """Return the attributes, in ascending order of their names.

    Raises:
        DecodeError: nothing that ``encode_attributes`` makes.
    """
    cursor = Cursor(column)
    items = cbor.read_items(cursor, cbor.read_map_head(cursor))
    return tuple((cbor.read_bytes(cursor), cbor.read_bytes(cursor)) for _ in items)
