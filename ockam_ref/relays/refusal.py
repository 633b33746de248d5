"""The answer of our relay services to who may not have a name: an empty text, and the reason behind it.

The peer's service says nothing at all, and its client takes any text that ends in the name it asked for as a
confirmation; the empty one is none, and what follows a text is ignored everywhere.
"""

from typing import Final

from ockam_ref.errors import DecodeError
from ockam_ref.wire.bare import encode_string, read_string
from ockam_ref.wire.cursor import Buffer, Cursor

MAX_REASON_CHARACTERS: Final = 200
"""Characters of a reason that are shown; a reason with characters that cannot be seen is shown as none."""


def encode_refusal(reason: str) -> bytes:
    """Return the payload."""
    return encode_string("") + encode_string(reason)


def read_refusal(payload: Buffer) -> str | None:
    """Return the reason, ``None`` for anything that is no refusal."""
    cursor = Cursor(payload)
    try:
        reason = None if read_string(cursor) else read_string(cursor)
    except DecodeError:
        return None
    if reason is None:
        return None
    return reason[:MAX_REASON_CHARACTERS] if reason.isprintable() else "it does not say why"
