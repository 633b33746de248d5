"""Attributes of members: names and values of bytes, which everything that makes them takes from texts.

They have two encodings here: texts in what an enroller sends, arrays of integers in what the authority answers.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Cursor

MAX_ATTRIBUTES: Final = 64
"""Attributes of one member or ticket."""
MAX_ATTRIBUTES_BYTES: Final = 4096
"""Bytes of all names and values of one member or ticket; its credential has to fit into a handshake."""

Attributes: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Names and values, in ascending order of the names, each of which is there once."""


def to_attributes(pairs: Mapping[str, str]) -> Attributes:
    """Return attributes of texts.

    Raises:
        MisuseError: ``LIMIT_REACHED``, more than a member may have; ``BAD_TEXT`` for lone surrogates.
    """
    try:
        attributes = sorted_attributes((name.encode(), value.encode()) for name, value in pairs.items())
    except UnicodeEncodeError as error:
        raise MisuseError(ErrorCode.BAD_TEXT, "an attribute holds a lone surrogate") from error
    if problem := attributes_problem(attributes):
        raise MisuseError(ErrorCode.LIMIT_REACHED, problem)
    return attributes


def sorted_attributes(pairs: Iterable[tuple[bytes, bytes]]) -> Attributes:
    """Return the pairs by name; of a name that occurs twice the last one counts."""
    return tuple(sorted(dict(pairs).items()))


def attributes_problem(attributes: Attributes) -> str | None:
    """Return why a member cannot have these attributes, if it cannot."""
    if len(attributes) > MAX_ATTRIBUTES:
        return f"{len(attributes)} attributes; {MAX_ATTRIBUTES} is the limit"
    size = sum(len(name) + len(value) for name, value in attributes)
    if size > MAX_ATTRIBUTES_BYTES:
        return f"attributes of {size} bytes; {MAX_ATTRIBUTES_BYTES} is the limit"
    return None


def encode_text_attributes(attributes: Attributes) -> bytes:
    """Return the map of texts; they are UTF-8."""
    texts = (cbor.text_head(len(raw)) + raw for pair in attributes for raw in pair)
    return cbor.map_head(len(attributes)) + b"".join(texts)


def read_text_attributes(cursor: Cursor) -> Attributes:
    """Read a map of texts."""
    return _read_attributes(cursor, lambda inner: cbor.read_text(inner).encode())


def encode_integer_attributes(attributes: Attributes) -> bytes:
    """Return the map of arrays of integers."""
    arrays = (cbor.encode_integers(raw) for pair in attributes for raw in pair)
    return cbor.map_head(len(attributes)) + b"".join(arrays)


def read_integer_attributes(cursor: Cursor) -> Attributes:
    """Read a map of arrays of integers."""
    return _read_attributes(cursor, cbor.read_any_integers)


def _read_attributes(cursor: Cursor, reader: Callable[[Cursor], bytes]) -> Attributes:
    pairs: dict[bytes, bytes] = {}
    for _ in cbor.read_items(cursor, cbor.read_map_head(cursor)):
        name = reader(cursor)
        pairs[name] = reader(cursor)
    return sorted_attributes(pairs.items())
