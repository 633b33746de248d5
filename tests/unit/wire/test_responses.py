"""The standard answers of services."""

import pytest

from ockam_ref.wire.api import ApiError, Method, RequestHeader, Status, decode_error, decode_response
from ockam_ref.wire.cbor import encode_text
from ockam_ref.wire.responses import (
    Response,
    failed,
    failed_without_request,
    invalid_method,
    ok,
    unknown_path,
    without_body,
)

REQUEST = RequestHeader(1, "/foo", Method.GET)


@pytest.mark.spec("WIRE-81")
@pytest.mark.parametrize(
    ("response", "encoded"),
    [
        (ok(2, 1), "a4010202010318c804f4"),
        (ok(2, 1, encode_text("hi")), "a4010202010318c804f5626869"),
        (failed(2, REQUEST, Status.BAD_REQUEST, "boom"), "a4010202010319019004f5a301642f666f6f02000364626f6f6d"),
        (unknown_path(2, REQUEST), "a4010202010319019004f5a301642f666f6f0200036c756e6b6e6f776e2070617468"),
        (invalid_method(2, REQUEST), "a4010202010319019504f5a201642f666f6f0200"),
        (without_body(2, 1, Status.UNAUTHORIZED), "a4010202010319019104f4"),
        (failed(2, REQUEST, Status.FORBIDDEN, "no"), "a4010202010319019304f5a301642f666f6f020003626e6f"),
        (failed_without_request(2, Status.NOT_FOUND, "nope"), "a4010202000319019404f5a103646e6f7065"),
        (failed(2, REQUEST, Status.INTERNAL_SERVER_ERROR, "x"), "a401020201031901f404f5a301642f666f6f0200036178"),
    ],
)
def test_published_responses(response: Response, encoded: str) -> None:
    """Checklist line 37."""
    assert response.encode()[1:].hex() == encoded


@pytest.mark.spec("WIRE-81")
def test_a_request_without_a_method_is_answered_with_501() -> None:
    response = invalid_method(2, REQUEST._replace(method=None))
    header, body = decode_response(response.encode())
    assert (header.re, header.status) == (1, Status.NOT_IMPLEMENTED)
    assert decode_error(body) == ApiError(path="/foo", message="unknown method")
