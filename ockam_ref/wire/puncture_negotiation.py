"""How two nodes introduce their sockets to each other before they puncture their NATs (facts 02 section 5.2).

The initiator's *Initiate* and the responder's *Acknowledge* have one layout, and nothing but who waits for which tells
them apart.
"""

from typing import NamedTuple

from ockam_ref.wire.cbor import Fields, encode_fields, encode_integers, encode_text, read_integers, read_text
from ockam_ref.wire.cursor import Buffer, Cursor


class Introduction(NamedTuple):
    """Where the world reaches the sender's socket, ``ip:port``, and its puncture's local address behind it."""

    public_address: str
    remote_worker: bytes


def encode_introduction(introduction: Introduction) -> bytes:
    """Return the payload; the worker's address is an array of integers."""
    return encode_fields(encode_text(introduction.public_address), encode_integers(introduction.remote_worker))


def decode_introduction(payload: Buffer) -> Introduction:
    """Read an introduction; surplus elements and bytes after it are ignored.

    Raises:
        DecodeError: anything else, a worker's address as a byte string for instance.
    """
    fields = Fields(Cursor(payload), "introduction")
    introduction = Introduction(fields.required(read_text), fields.required(read_integers))
    fields.finish()
    return introduction
