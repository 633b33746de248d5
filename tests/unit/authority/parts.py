"""An authority for tests: its book, who asks, and answers taken apart."""

from typing import Any, Final

from ockam_ref.authority.answers import Caller
from ockam_ref.authority.attributes import Attributes
from ockam_ref.authority.book import AuditRecord, Book, Change, Member
from ockam_ref.authority.roles import ENROLLER, ROLE, Settings
from ockam_ref.authority.services import ENTROPY_BYTES, Answer, Request, Service, answer, draw
from ockam_ref.identities.change_history import create_identity
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import ed25519_from_seed
from ockam_ref.identities.purpose_keys import attest_credential_signing_key
from ockam_ref.wire.api import Method, RequestHeader, Status, decode_error, encode_request

NOW: Final = 1_700_000_000
KEY_ENDS: Final = NOW + 100 * 86_400

_KEY: Final = ed25519_from_seed(b"k" * 32)
_SIGNING: Final = ed25519_from_seed(b"s" * 32)
IDENTITY: Final = create_identity(_KEY, valid_from=NOW - 1000, valid_until=NOW + 10**9)
AUTHORITY: Final = IDENTITY.identifier
_ATTESTATION: Final = attest_credential_signing_key(
    IDENTITY, _KEY, _SIGNING.public, created_at=NOW - 1000, expires_at=KEY_ENDS
)


def someone(number: int) -> Identifier:
    return Identifier(number.to_bytes(32))


ADMIN, HELPER, MEMBER, STRANGER, OTHER = map(someone, range(1, 6))
ENROLLS: Final[Attributes] = ((ROLE, ENROLLER),)
ENTROPY: Final = bytes(range(ENTROPY_BYTES))


def settings(**more: Any) -> Settings:
    return Settings(AUTHORITY, _SIGNING, _ATTESTATION, KEY_ENDS, **more)


def member(who: Identifier, attributes: Attributes = (), *, is_pre_trusted: bool = False) -> Member:
    return Member(who, attributes, AUTHORITY, NOW - 500, is_pre_trusted)


def book(*members: Member, **more: Any) -> Book:
    return Book({one.identifier: one for one in members}, **more)


USUAL: Final = book(member(ADMIN, ENROLLS, is_pre_trusted=True), member(HELPER, ENROLLS), member(MEMBER))


class Desk:
    """Somewhere to ask one thing after the other."""

    def __init__(self, begin: Book = USUAL, now: int = NOW, **more: Any) -> None:
        self.book, self.now, self.settings = begin, now, settings(**more)

    def send(self, service: Service, caller: Identifier | None, payload: bytes, entropy: bytes = ENTROPY) -> Answer:
        who = None if caller is None else Caller(caller)
        answered = answer(self.book, self.settings, Request(service, who, payload), draw(entropy), now=self.now)
        self.book = answered.book
        return answered

    def ask(
        self, service: Service, caller: Identifier, method: Method, path: str, body: bytes = b"", **more: Any
    ) -> Answer:
        return self.send(
            service, caller, encode_request(RequestHeader(9, path, method, has_body=bool(body)), body), **more
        )

    def ok(self, *args: Any, **more: Any) -> Answer:
        answered = self.ask(*args, **more)
        assert answered.response.header.status is Status.OK, decode_error(answered.response.body)
        return answered

    def refused(self, *args: Any, status: Status = Status.FORBIDDEN) -> str:
        before = self.book
        answered = self.ask(*args)
        assert answered.response.header.status is status
        assert (answered.book.members, answered.book.revocations) == (before.members, before.revocations)
        return decode_error(answered.response.body).message or ""


def changes(answered: Answer) -> list[Change]:
    """All that is to be kept but the entry of the audit log."""
    return [change for change in answered.changes if not isinstance(change, AuditRecord)]
