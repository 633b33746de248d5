"""What a node asks a rendezvous service, to learn under which address the world sees its socket (facts 02 section 5.1).

The two directions have the same variant numbers; only who reads them tells them apart.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.cbor import Fields, encode_text, encode_variant, read_enum_head, read_text, skip
from ockam_ref.wire.cursor import Buffer, Cursor


class RendezvousRequest(Enum):
    """The questions; the value is the variant number."""

    PING = 0
    GET_MY_ADDRESS = 1


@dataclass(frozen=True, slots=True)
class RendezvousPong:
    """The answer to a ping: the service is there."""


@dataclass(frozen=True, slots=True)
class MyAddress:
    """The answer to ``GET_MY_ADDRESS``: where the request came from, ``ip:port``, as the service saw it."""

    address: str


RendezvousResponse: TypeAlias = RendezvousPong | MyAddress

_REQUESTS: Final = tuple(RendezvousRequest)
_PONG: Final = RendezvousPong()


def encode_rendezvous_request(request: RendezvousRequest) -> bytes:
    """Return the payload of a request."""
    return encode_variant(request.value)


def decode_rendezvous_request(payload: Buffer) -> RendezvousRequest:
    """Read a request; what stands in place of its (no) fields and after it is ignored.

    Raises:
        DecodeError: it is none.
    """
    cursor = Cursor(payload)
    index = read_enum_head(cursor)
    if index >= len(_REQUESTS):
        raise DecodeError(ErrorCode.UNKNOWN_VARIANT, f"{index} is no rendezvous request")
    skip(cursor)
    return _REQUESTS[index]


def encode_rendezvous_response(response: RendezvousResponse) -> bytes:
    """Return the payload of a response."""
    if isinstance(response, RendezvousPong):
        return encode_variant(0)
    return encode_variant(1, encode_text(response.address))


def decode_rendezvous_response(payload: Buffer) -> RendezvousResponse:
    """Read a response; bytes after it are ignored.

    Raises:
        DecodeError: it is none.
    """
    cursor = Cursor(payload)
    match read_enum_head(cursor):
        case 0:
            skip(cursor)
            return _PONG
        case 1:
            fields = Fields(cursor, "my address")
            response = MyAddress(fields.required(read_text))
            fields.finish()
            return response
        case index:
            raise DecodeError(ErrorCode.UNKNOWN_VARIANT, f"{index} is no rendezvous response")
