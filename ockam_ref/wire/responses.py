"""The answers that services share (facts 01 section 6.5)."""

from typing import NamedTuple

from ockam_ref.wire.api import ApiError, RequestHeader, ResponseHeader, Status, encode_error, encode_response


class Response(NamedTuple):
    """A header and its body; ``encode()`` makes the payload."""

    header: ResponseHeader
    body: bytes = b""

    def encode(self) -> bytes:
        """Return the payload of the response."""
        return encode_response(self.header, self.body)


def ok(response_id: int, re: int, body: bytes = b"") -> Response:
    """Return 200 with any body."""
    return Response(ResponseHeader(response_id, re, Status.OK, bool(body)), body)


def without_body(response_id: int, re: int, status: Status) -> Response:
    """Return a bare status; the peer's client cannot tell one that is not 200 from a decoding error."""
    return Response(ResponseHeader(response_id, re, status))


def failed(response_id: int, request: RequestHeader, status: Status, message: str) -> Response:
    """Return a failure with what was asked and why it failed."""
    return _with_error(response_id, request.id, status, ApiError(request.path, request.method, message))


def failed_without_request(response_id: int, status: Status, message: str) -> Response:
    """Return a failure when no request could be read; ``re`` is 0."""
    return _with_error(response_id, 0, status, ApiError(message=message))


def unknown_path(response_id: int, request: RequestHeader) -> Response:
    """Return 400 for a path that the service does not have."""
    return failed(response_id, request, Status.BAD_REQUEST, "unknown path")


def invalid_method(response_id: int, request: RequestHeader) -> Response:
    """Return 405 for a method that the path does not have, or 501 when the request names none."""
    if request.method is None:
        return failed(response_id, request, Status.NOT_IMPLEMENTED, "unknown method")
    error = ApiError(request.path, request.method)
    return _with_error(response_id, request.id, Status.METHOD_NOT_ALLOWED, error)


def _with_error(response_id: int, re: int, status: Status, error: ApiError) -> Response:
    return Response(ResponseHeader(response_id, re, status, has_body=True), encode_error(error))
