"""Requests and responses between nodes (facts 01 section 6): BARE data around a CBOR header and a body.

``decode_*`` give the body as the bytes behind the header; what it means is up to the service.
"""

from enum import IntEnum
from typing import Final, NamedTuple, TypeVar

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.bare import encode_data, read_data_view
from ockam_ref.wire.cbor import (
    BYTES,
    MAX_DEPTH,
    MAX_U32,
    TEXT,
    encode_bool,
    encode_map_fields,
    encode_text,
    encode_uint,
    read_bool,
    read_bytes,
    read_map_keys,
    read_null_or,
    read_text,
    read_u32,
    skip,
)
from ockam_ref.wire.cursor import Buffer, Cursor


class Method(IntEnum):
    """What a request asks for."""

    GET = 0
    POST = 1
    PUT = 2
    DELETE = 3
    PATCH = 4


class Status(IntEnum):
    """How a request ended; the peer's decoder fails on any other number."""

    OK = 200
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    TIMEOUT = 408
    CONFLICT = 409
    INTERNAL_SERVER_ERROR = 500
    NOT_IMPLEMENTED = 501

    def __str__(self) -> str:
        """Return number and name as the peer prints them, such as ``404 NotFound``."""
        return f"{int(self)} {'Ok' if self is Status.OK else self.name.title().replace('_', '')}"


class RequestHeader(NamedTuple):
    """What precedes the body of a request; only decoded ones may lack a method."""

    id: int
    path: str
    method: Method | None
    has_body: bool = False


class ResponseHeader(NamedTuple):
    """What precedes the body of a response; ``re`` is the request's id, or 0; only decoded ones may lack a status."""

    id: int
    re: int
    status: Status | None
    has_body: bool = False


class ApiError(NamedTuple):
    """The body of a response that is not 200, every part optional."""

    path: str | None = None
    method: Method | None = None
    message: str | None = None
    cause: "ApiError | None" = None

    def __str__(self) -> str:
        """Return the parts that are present, as the peer prints them."""
        parts = (
            None if self.message is None else f"message: {self.message}",
            None if self.path is None else f"path: {self.path}",
            None if self.method is None else f"method: {self.method.name}",
            None if self.cause is None else str(self.cause),
        )
        return ", ".join(part for part in parts if part is not None)


_METHODS: Final = {int(method): method for method in Method}
_STATUSES: Final = {int(status): status for status in Status}
N = TypeVar("N", Method, Status)


def fresh_id(entropy: bytes) -> int:
    """Return a message id from four random bytes; never 0, which means "no request".

    Raises:
        MisuseError: not four bytes.
    """
    if len(entropy) != 4:
        raise MisuseError(ErrorCode.OUT_OF_RANGE, f"an id needs 4 bytes of entropy, not {len(entropy)}")
    return min(int.from_bytes(entropy, "big") + 1, MAX_U32)


def encode_request(header: RequestHeader, body: Buffer = b"") -> bytes:
    """Return the payload of a request.

    Raises:
        MisuseError: no method (the peer's node manager dies of it), an id of more than 32 bits, or header and body
            disagree about whether there is a body.
    """
    if header.method is None:
        raise MisuseError(ErrorCode.MISSING_FIELD, "a request needs a method")
    fields = {
        1: _encode_id(header.id),
        2: encode_text(header.path),
        3: encode_uint(Method(header.method)),
        4: encode_bool(header.has_body),
    }
    return _wrap(fields, header.has_body, body)


def encode_response(header: ResponseHeader, body: Buffer = b"") -> bytes:
    """Return the payload of a response.

    Raises:
        MisuseError: no status, an id of more than 32 bits, or header and body disagree about whether there is a body.
    """
    if header.status is None:
        raise MisuseError(ErrorCode.MISSING_FIELD, "a response needs a status")
    fields = {
        1: _encode_id(header.id),
        2: _encode_id(header.re),
        3: encode_uint(Status(header.status)),
        4: encode_bool(header.has_body),
    }
    return _wrap(fields, header.has_body, body)


def _encode_id(number: int) -> bytes:
    if number > MAX_U32:
        raise MisuseError(ErrorCode.OUT_OF_RANGE, f"{number} is no id of 32 bits")
    return encode_uint(number)


def _wrap(fields: dict[int, bytes], has_body: bool, body: Buffer) -> bytes:  # noqa: FBT001 -- a field of the header
    if has_body != bool(body):
        raise MisuseError(ErrorCode.MISUSE, "the header and the body disagree about whether there is a body")
    return encode_data(encode_map_fields(fields) + body)


def decode_request(payload: Buffer) -> tuple[RequestHeader, memoryview]:
    """Read a request; return its header and a view of its body.

    Raises:
        DecodeError: id, path or has_body is missing, a type is wrong, or the method is not one of ``Method``.
    """
    cursor = Cursor(read_data_view(Cursor(payload)))
    header = read_request_header(cursor)
    return header, cursor.view(cursor.remaining)


def decode_response(payload: Buffer) -> tuple[ResponseHeader, memoryview]:
    """Read a response; return its header and a view of its body.

    Raises:
        DecodeError: id, re or has_body is missing, a type is wrong, or the status is not one of ``Status``.
    """
    cursor = Cursor(read_data_view(Cursor(payload)))
    header = read_response_header(cursor)
    return header, cursor.view(cursor.remaining)


def read_request_header(cursor: Cursor) -> RequestHeader:
    """Read the CBOR map before the body of a request."""
    number = path = method = has_body = None
    for key in read_map_keys(cursor):
        match key:
            case 1:
                number = read_u32(cursor)
            case 2:
                path = read_text(cursor)
            case 3:
                method = read_null_or(cursor, _read_method)
            case 4:
                has_body = read_bool(cursor)
            case _:
                skip(cursor)
    if number is None or path is None or has_body is None:
        raise cursor.fail(ErrorCode.MISSING_FIELD, "a request needs an id, a path and has_body")
    return RequestHeader(number, path, method, has_body)


def read_response_header(cursor: Cursor) -> ResponseHeader:
    """Read the CBOR map before the body of a response."""
    number = re = status = has_body = None
    for key in read_map_keys(cursor):
        match key:
            case 1:
                number = read_u32(cursor)
            case 2:
                re = read_u32(cursor)
            case 3:
                status = read_null_or(cursor, _read_status)
            case 4:
                has_body = read_bool(cursor)
            case _:
                skip(cursor)
    if number is None or re is None or has_body is None:
        raise cursor.fail(ErrorCode.MISSING_FIELD, "a response needs an id, re and has_body")
    return ResponseHeader(number, re, status, has_body)


def _read_method(cursor: Cursor) -> Method:
    return _read_variant(cursor, _METHODS)


def _read_status(cursor: Cursor) -> Status:
    return _read_variant(cursor, _STATUSES)


def _read_variant(cursor: Cursor, known: dict[int, N]) -> N:
    start = cursor.position
    number = read_u32(cursor)
    if number not in known:
        # the peer means to read such a one as absent, but loses its place and fails (facts 01 section 1.3)
        raise DecodeError(ErrorCode.UNKNOWN_VARIANT, f"{number} is no known method or status", offset=start)
    return known[number]


def encode_error(error: ApiError) -> bytes:
    """Return the CBOR map of an error body."""
    fields = {
        1: None if error.path is None else encode_text(error.path),
        2: None if error.method is None else encode_uint(error.method),
        3: None if error.message is None else encode_text(error.message),
        4: None if error.cause is None else encode_error(error.cause),
    }
    return encode_map_fields(fields)


def read_error(cursor: Cursor, depth: int = MAX_DEPTH) -> ApiError:
    """Read the CBOR map of an error; causes nest at most ``MAX_DEPTH`` deep."""
    if depth == 0:
        raise cursor.fail(ErrorCode.TOO_DEEP, f"causes nest more than {MAX_DEPTH} levels deep")
    path = method = message = cause = None
    for key in read_map_keys(cursor):
        match key:
            case 1:
                path = read_null_or(cursor, read_text)
            case 2:
                method = read_null_or(cursor, _read_method)
            case 3:
                message = read_null_or(cursor, read_text)
            case 4:
                cause = read_null_or(cursor, lambda inner: read_error(inner, depth - 1))
            case _:
                skip(cursor)
    return ApiError(path, method, message, cause)


def decode_error(body: Buffer) -> ApiError:
    """Read the body of a failed response: an error map, a text, or a byte string of UTF-8 (facts 08 section 5).

    What is none of them, or nothing at all, is an empty error: a failed request must not fail twice.
    """
    cursor = Cursor(body)
    try:
        kind = cursor.peek() & 0xE0
        if kind == TEXT:
            return ApiError(message=read_text(cursor))
        if kind == BYTES:
            return ApiError(message=read_bytes(cursor).decode())
        return read_error(cursor)
    except (DecodeError, UnicodeDecodeError):
        return ApiError()
