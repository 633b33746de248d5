"""Every request to an authority is answered here: who asks how often, which service it is, what is kept of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final, NamedTuple, assert_never

from ockam_ref.authority.answers import Asked, Broken, Caller, Drawn, Granted, Refused, Unknown, Unreadable, Verdict
from ockam_ref.authority.book import AuditRecord, Book, Change, apply_all
from ockam_ref.authority.credentials import serve_credential_issuer
from ockam_ref.authority.members import serve_members
from ockam_ref.authority.rates import (
    AUDITED_REFUSALS_A_MINUTE,
    ENROLLER_REQUESTS_A_MINUTE,
    REFUSED_CODES_A_MINUTE,
    REQUESTS_A_MINUTE,
    REVOCATION_REQUESTS_A_MINUTE,
)
from ockam_ref.authority.revocations import serve_revocations
from ockam_ref.authority.roles import Settings, roles_of
from ockam_ref.authority.tokens import serve_token_acceptor, serve_token_issuer
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.api import RequestHeader, Status, decode_request
from ockam_ref.wire.cursor import Buffer
from ockam_ref.wire.responses import Response, failed, failed_without_request, ok, unknown_path

ENTROPY_BYTES: Final = 4 + 32 + 10
"""Random bytes that one answer needs."""
MAX_REQUEST_BYTES: Final = 16 * 1024
"""Bytes of a request beyond which it is not read; those of usual ones have a hundred."""
MAX_AUDITED_CHARACTERS: Final = 256
"""Characters of a path or of a reason that the audit log keeps."""

_GUESS: Final = "guess"
_REFUSALS: Final = ("refusal", b"")
_REFERENCE_CHARACTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Service(StrEnum):
    """The services of an authority; their names are their usual addresses."""

    DIRECT_AUTHENTICATOR = "direct_authenticator"
    ENROLLMENT_TOKEN_ISSUER = "enrollment_token_issuer"  # noqa: S105  # an address
    ENROLLMENT_TOKEN_ACCEPTOR = "enrollment_token_acceptor"  # noqa: S105  # an address
    CREDENTIAL_ISSUER = "credential_issuer"
    REVOCATIONS = "revocations"


SERVE: Final[Mapping[Service, Callable[[Asked], Verdict]]] = {
    Service.DIRECT_AUTHENTICATOR: serve_members,
    Service.ENROLLMENT_TOKEN_ISSUER: serve_token_issuer,
    Service.ENROLLMENT_TOKEN_ACCEPTOR: serve_token_acceptor,
    Service.CREDENTIAL_ISSUER: serve_credential_issuer,
    Service.REVOCATIONS: serve_revocations,
}


class Request(NamedTuple):
    """What came in: whose address it was sent to, who sent it, and its bytes.

    ``caller`` is the other end of the secure channel, ``None`` for what came through none.
    """

    service: Service
    caller: Caller | None
    payload: Buffer


class Answer(NamedTuple):
    """The book afterwards, what to send back, and what to keep before it is sent."""

    book: Book
    response: Response
    changes: tuple[Change, ...]


class _Said(NamedTuple):
    """A response, in the words of the audit log what was asked and what it says, and the changes with it."""

    response: Response
    what: str
    why: str
    changes: tuple[Change, ...] = ()


def draw(entropy: bytes) -> Drawn:
    """Return what is random in an answer, from ``ENTROPY_BYTES`` random bytes.

    Raises:
        MisuseError: another number of bytes.
    """
    if len(entropy) != ENTROPY_BYTES:
        raise MisuseError(ErrorCode.OUT_OF_RANGE, f"an answer needs {ENTROPY_BYTES} random bytes, not {len(entropy)}")
    reference = "".join(_REFERENCE_CHARACTERS[byte % len(_REFERENCE_CHARACTERS)] for byte in entropy[36:])
    return Drawn(max(int.from_bytes(entropy[:4], "big"), 1), entropy[4:36], reference)


def answer(book: Book, settings: Settings, request: Request, drawn: Drawn, *, now: int) -> Answer:
    """Answer one request, whatever it holds; ``now`` in seconds since 1970.

    The peer gives no answer to what it cannot read; here it is a 400, so that a client need not wait for its timeout.
    """
    service, caller, payload = request
    if caller is None:
        return _audited(book, request, _unread(drawn, "secure channel required"), now)
    if len(payload) > MAX_REQUEST_BYTES:
        said = _unread(drawn, f"a request has at most {MAX_REQUEST_BYTES} bytes")
        return _audited(book, request, said, now)
    try:
        header, body = decode_request(payload)
    except DecodeError as error:
        return _audited(book, request, _unread(drawn, f"no request: {error}"), now)
    book, wait = _admit(book, settings, service, caller, now)
    if wait is not None:
        return Answer(book, failed(drawn.response_id, header, Status.FORBIDDEN, wait), ())
    asked = Asked(book, settings, caller, header.method, header.path, body, drawn, now)
    try:
        verdict = SERVE[service](asked)
    except DecodeError as error:
        verdict = Unreadable(str(error))
    if isinstance(verdict, Refused) and verdict.counts_as_guess:
        book = replace(book, rates=book.rates.plus_one((_GUESS, caller.identifier.value), now=now))
    said = _said(header, verdict, drawn)
    return _audited(apply_all(book, said.changes), request, said, now)


def broken(book: Book, request: Request, drawn: Drawn, why: str) -> Answer:
    """Return the answer of a host that could not keep what was to be kept: 500, and nothing has changed."""
    status = Status.INTERNAL_SERVER_ERROR
    try:
        header, _ = decode_request(request.payload)
    except DecodeError:
        return Answer(book, failed_without_request(drawn.response_id, status, why), ())
    return Answer(book, failed(drawn.response_id, header, status, why), ())


def _admit(book: Book, settings: Settings, service: Service, caller: Caller, now: int) -> tuple[Book, str | None]:
    """Count a request; say why it is too many, if it is."""
    who, rates = caller.identifier, book.rates
    counter = (service.value, who.value)
    is_enroller = roles_of(book, settings, who).is_enroller
    usual = REVOCATION_REQUESTS_A_MINUTE if service is Service.REVOCATIONS else REQUESTS_A_MINUTE
    limit = ENROLLER_REQUESTS_A_MINUTE if is_enroller else usual
    guesses = rates.count((_GUESS, who.value), now=now)
    is_guessing = service is Service.ENROLLMENT_TOKEN_ACCEPTOR and guesses >= REFUSED_CODES_A_MINUTE
    if rates.count(counter, now=now) >= limit or is_guessing:
        return book, f"too many requests: try again in {rates.wait_s(now=now)} seconds"
    return replace(book, rates=rates.plus_one(counter, now=now)), None


def _unread(drawn: Drawn, why: str) -> _Said:
    return _Said(failed_without_request(drawn.response_id, Status.BAD_REQUEST, why), "a request", why)


def _said(header: RequestHeader, verdict: Verdict, drawn: Drawn) -> _Said:
    number = drawn.response_id
    method = "?" if header.method is None else header.method.name
    what = f"{method} {header.path[:MAX_AUDITED_CHARACTERS]}"
    match verdict:
        case Granted(body, changes):
            return _Said(ok(number, header.id, body), what, "granted", changes)
        case Refused(why, _, changes):
            return _Said(failed(number, header, Status.FORBIDDEN, why), what, why, changes)
        case Unknown():
            return _Said(unknown_path(number, header), what, "unknown path")
        case Unreadable(why):
            return _Said(failed(number, header, Status.BAD_REQUEST, why), what, why)
        case Broken(why):
            return _Said(failed(number, header, Status.INTERNAL_SERVER_ERROR, why), what, why)
        case _:
            assert_never(verdict)


def _audited(book: Book, request: Request, said: _Said, now: int) -> Answer:
    """Keep what was asked, but for what every node asks all the time, and for a flood of refusals."""
    response, changes = said.response, said.changes
    if request.service is Service.REVOCATIONS:
        return Answer(book, response, changes)
    if response.header.status is not Status.OK:
        if book.rates.count(_REFUSALS, now=now) >= AUDITED_REFUSALS_A_MINUTE:
            return Answer(book, response, changes)
        book = replace(book, rates=book.rates.plus_one(_REFUSALS, now=now))
    who = None if request.caller is None else request.caller.identifier
    verdict = f"{response.header.status}: {said.why[:MAX_AUDITED_CHARACTERS]}"
    return Answer(book, response, (*changes, AuditRecord(now, who, f"{said.what} at {request.service}", verdict)))
