"""Routes: the hops still to go, first hop first (facts 01 section 3.3).

A route is a plain tuple of addresses: immutable, hashable, and edited by slicing.
"""

from functools import lru_cache
from typing import Final, TypeAlias

from ockam_ref.errors import ErrorCode
from ockam_ref.wire import bare, cbor
from ockam_ref.wire.address import (
    Address,
    encode_address_bare,
    encode_address_cbor,
    parse_address,
    read_address_bare,
    read_address_cbor,
)
from ockam_ref.wire.cursor import Cursor

Route: TypeAlias = tuple[Address, ...]

MAX_ROUTE_HOPS: Final = 255
"""Hops of a route that a decoder accepts.

The peer has no limit but the message's 16 MiB: five million addresses, some hundred bytes each once decoded.
Routes in use have fewer than ten hops.
"""
_MEMO_ROUTES: Final = 4096
_MEMO_HOPS: Final = 8
_MEMO_VALUE_BYTES: Final = 64


def parse_route(text: str) -> Route:
    """Read ``a => 1#host:port => b``; white space around a hop is dropped, the empty text is the empty route.

    Raises:
        DecodeError: a hop is not an address.
    """
    if not text:
        return ()
    return tuple(parse_address(hop.strip()) for hop in text.split("=>"))


def format_route(route: Route) -> str:
    """Return the text form, every hop with its type: ``0#a => 1#host:port``."""
    return " => ".join(map(str, route))


def encode_route_cbor(route: Route) -> bytes:
    """Return the array of addresses, without any wrapper.

    Usual routes are remembered, for the same few are written on every message; unusual ones are not, so that what a
    stranger makes us remember stays below ten megabytes.
    """
    return _encode_usual_route(route) if _is_usual(route) else _encode_route(route)


def _is_usual(route: Route) -> bool:
    if len(route) > _MEMO_HOPS:
        return False
    for _, value in route:  # noqa: SIM110  # a generator would cost twice as much, on every message
        if len(value) > _MEMO_VALUE_BYTES:
            return False
    return True


def _encode_route(route: Route) -> bytes:
    return cbor.array_head(len(route)) + b"".join(map(encode_address_cbor, route))


_encode_usual_route = lru_cache(_MEMO_ROUTES)(_encode_route)


def read_route_cbor(cursor: Cursor) -> Route:
    """Read a route; ``DecodeError`` for a bad address or more than ``MAX_ROUTE_HOPS``."""
    return cbor.read_list(cursor, read_address_cbor, maximum=MAX_ROUTE_HOPS)


def encode_route_bare(route: Route) -> bytes:
    """Return the count and the addresses; usual routes are remembered, as those in CBOR are."""
    return _encode_usual_route_bare(route) if _is_usual(route) else _encode_route_bare(route)


def _encode_route_bare(route: Route) -> bytes:
    return bare.encode_uint(len(route)) + b"".join(map(encode_address_bare, route))


_encode_usual_route_bare = lru_cache(_MEMO_ROUTES)(_encode_route_bare)


def read_route_bare(cursor: Cursor) -> Route:
    """Read a route; ``DecodeError`` when it is cut short or has more than ``MAX_ROUTE_HOPS``."""
    count = bare.read_uint(cursor)
    if count > MAX_ROUTE_HOPS:
        raise cursor.fail(ErrorCode.TOO_LONG, f"a route of {count} hops; {MAX_ROUTE_HOPS} is the limit")
    return tuple(read_address_bare(cursor) for _ in range(count))
