"""What is the same for all services: who asks, how often, what is kept of it; credentials and revocations."""

from typing import Any

import pytest

from ockam_ref.authority.answers import Caller
from ockam_ref.authority.book import AuditRecord, Book, apply
from ockam_ref.authority.messages import Revocation, decode_revocations
from ockam_ref.authority.rates import (
    AUDITED_REFUSALS_A_MINUTE,
    ENROLLER_REQUESTS_A_MINUTE,
    MAX_COUNTED,
    REQUESTS_A_MINUTE,
    REVOCATION_REQUESTS_A_MINUTE,
    Rates,
)
from ockam_ref.authority.revocations import MAX_PAGE
from ockam_ref.authority.services import (
    ENTROPY_BYTES,
    MAX_AUDITED_CHARACTERS,
    MAX_REQUEST_BYTES,
    Request,
    Service,
    broken,
    draw,
)
from ockam_ref.errors import MisuseError
from ockam_ref.identities.credentials import unverified_credential_data, verify_credential
from ockam_ref.wire.api import Method, RequestHeader, ResponseHeader, Status, decode_error, encode_request
from ockam_ref.wire.bare import encode_data
from tests.unit.authority.parts import (
    ENTROPY,
    HELPER,
    IDENTITY,
    KEY_ENDS,
    MEMBER,
    NOW,
    OTHER,
    STRANGER,
    USUAL,
    Desk,
    book,
    changes,
    member,
    settings,
    someone,
)

CREDENTIALS, MEMBERS, REVOCATIONS = Service.CREDENTIAL_ISSUER, Service.DIRECT_AUTHENTICATOR, Service.REVOCATIONS


def audited(desk: Desk, *args: Any) -> AuditRecord:
    *_, record = desk.ask(*args).changes
    assert isinstance(record, AuditRecord)
    return record


# ---- reading requests


@pytest.mark.spec("AU-2")
def test_a_request_without_a_channel() -> None:
    answered = Desk().send(CREDENTIALS, None, b"\xff")
    assert answered.response.header == ResponseHeader(0x00010203, 0, Status.BAD_REQUEST, has_body=True)
    assert decode_error(answered.response.body).message == "secure channel required"
    assert answered.changes == (
        AuditRecord(NOW, None, "a request at credential_issuer", "400 BadRequest: secure channel required"),
    )


@pytest.mark.spec("AU-5")
@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x01", encode_data(b"\xa0")])
def test_a_request_that_cannot_be_read(payload: bytes) -> None:
    answered = Desk().send(CREDENTIALS, MEMBER, payload)
    assert (answered.response.header.status, answered.response.header.re) == (Status.BAD_REQUEST, 0)


@pytest.mark.spec("AU-10")
def test_a_request_that_is_too_long() -> None:
    header = RequestHeader(9, "/", Method.POST, has_body=True)
    room = MAX_REQUEST_BYTES - len(encode_request(header, b"x" * 1000)) + 1000
    assert Desk().send(CREDENTIALS, MEMBER, encode_request(header, b"x" * room)).response.header.status is Status.OK
    answered = Desk().send(CREDENTIALS, MEMBER, encode_request(header, b"x" * (room + 1)))
    assert "16384 bytes" in str(decode_error(answered.response.body))


@pytest.mark.spec("AU-3")
@pytest.mark.parametrize("service", Service)
def test_a_request_without_a_method(service: Service) -> None:
    payload = encode_data(bytes.fromhex("a401090261") + b"/" + bytes.fromhex("03f604f4"))
    answered = Desk().send(service, MEMBER, payload)
    assert (answered.response.header.status, answered.response.header.re) == (Status.BAD_REQUEST, 9)
    assert decode_error(answered.response.body).message == "unknown path"


def test_what_is_random_in_an_answer() -> None:
    drawn = draw(ENTROPY)
    assert (drawn.response_id, drawn.code) == (0x00010203, bytes(range(4, 36)))
    assert draw(bytes(ENTROPY_BYTES)).response_id == 1
    with pytest.raises(MisuseError):
        draw(ENTROPY + b"x")


# ---- how often


@pytest.mark.spec("AU-6")
def test_a_caller_has_so_many_requests_to_a_service() -> None:
    desk = Desk()
    for _ in range(REQUESTS_A_MINUTE):
        desk.ok(CREDENTIALS, MEMBER, Method.POST, "/")
    desk.now += 20
    answered = desk.ask(CREDENTIALS, MEMBER, Method.POST, "/")
    assert answered.response.header.status is Status.FORBIDDEN
    assert decode_error(answered.response.body).message == "too many requests: try again in 40 seconds"
    assert not answered.changes
    desk.ok(REVOCATIONS, MEMBER, Method.GET, "/")
    desk.ok(CREDENTIALS, HELPER, Method.POST, "/")
    desk.now += 40
    desk.ok(CREDENTIALS, MEMBER, Method.POST, "/")


@pytest.mark.spec("AU-6")
def test_an_enroller_has_more() -> None:
    desk = Desk()
    for _ in range(REQUESTS_A_MINUTE + 1):
        desk.ok(MEMBERS, HELPER, Method.GET, "/member_ids")
    rates = desk.book.rates
    counter = (MEMBERS.value, HELPER.value)
    assert rates.count(counter, now=NOW) == REQUESTS_A_MINUTE + 1
    desk.book = Book(USUAL.members, rates=Rates(NOW, {counter: ENROLLER_REQUESTS_A_MINUTE}))
    assert "too many" in desk.refused(MEMBERS, HELPER, Method.GET, "/member_ids")


@pytest.mark.spec("AU-6")
def test_questions_about_revocations_are_asked_often() -> None:
    counter = (REVOCATIONS.value, MEMBER.value)
    desk = Desk(Book(USUAL.members, rates=Rates(NOW, {counter: REVOCATION_REQUESTS_A_MINUTE - 1})))
    desk.ok(REVOCATIONS, MEMBER, Method.GET, "/")
    assert "too many" in desk.refused(REVOCATIONS, MEMBER, Method.GET, "/")


def test_counters_are_bounded_and_a_clock_that_goes_back_begins_anew() -> None:
    rates = Rates()
    for number in range(MAX_COUNTED + 1):
        rates = rates.plus_one(("a", number.to_bytes(2)), now=NOW)
    assert len(rates.counts) == MAX_COUNTED
    assert rates.count(("a", bytes(2)), now=NOW) == 0
    rates = rates.plus_one(("a", (1).to_bytes(2)), now=NOW)
    assert (len(rates.counts), rates.count(("a", (1).to_bytes(2)), now=NOW)) == (MAX_COUNTED, 2)
    assert rates.count(("a", (1).to_bytes(2)), now=NOW - 1) == 0
    assert rates.plus_one(("a", b""), now=NOW - 1) == Rates(NOW - 1, {("a", b""): 1})
    assert rates.wait_s(now=NOW + 100) == 1


# ---- the audit log


@pytest.mark.spec("AU-9")
def test_what_is_kept_of_a_request() -> None:
    desk = Desk()
    assert audited(desk, CREDENTIALS, MEMBER, Method.POST, "/") == AuditRecord(
        NOW, MEMBER, "POST / at credential_issuer", "200 Ok: granted"
    )
    assert audited(desk, CREDENTIALS, STRANGER, Method.POST, "/") == AuditRecord(
        NOW, STRANGER, "POST / at credential_issuer", "403 Forbidden: unauthorized member"
    )
    long = audited(desk, CREDENTIALS, STRANGER, Method.GET, "/" + "a" * 5000)
    assert len(long.what) < MAX_AUDITED_CHARACTERS + 40
    assert not desk.ok(REVOCATIONS, MEMBER, Method.GET, "/").changes
    assert not desk.ask(REVOCATIONS, STRANGER, Method.GET, "/").changes


@pytest.mark.spec("AU-9")
def test_a_flood_of_refusals_does_not_fill_the_log() -> None:
    desk = Desk()
    kept = sum(
        len(desk.ask(CREDENTIALS, someone(1000 + number), Method.POST, "/").changes)
        for number in range(AUDITED_REFUSALS_A_MINUTE + 50)
    )
    assert kept == AUDITED_REFUSALS_A_MINUTE
    assert audited(desk, CREDENTIALS, MEMBER, Method.POST, "/").answer == "200 Ok: granted"


@pytest.mark.spec("AU-8")
@pytest.mark.parametrize(("payload", "re"), [(b"\xff", 0), (encode_request(RequestHeader(9, "/", Method.POST)), 9)])
def test_the_answer_of_a_host_that_cannot_keep_it(payload: bytes, re: int) -> None:
    answered = broken(USUAL, Request(CREDENTIALS, Caller(MEMBER), payload), draw(ENTROPY), "the disk is full")
    assert (answered.response.header.status, answered.response.header.re) == (Status.INTERNAL_SERVER_ERROR, re)
    assert decode_error(answered.response.body).message == "the disk is full"
    assert (answered.book, answered.changes) == (USUAL, ())


# ---- credentials


@pytest.mark.spec("AU-50", "AU-51")
def test_the_credential_of_a_member() -> None:
    desk = Desk(book(member(MEMBER, ((b"a", b"1"), (b"trust_context_id", b"other")))), project_identifier="team")
    encoded = desk.ok(CREDENTIALS, MEMBER, Method.POST, "/").response.body
    verified = verify_credential(encoded, subject=MEMBER, authority=IDENTITY, now=NOW)
    assert verified.attributes == ((b"a", b"1"), (b"trust_context_id", b"other"))
    assert (verified.created_at, verified.expires_at) == (NOW, NOW + 30 * 86_400)
    plain = Desk(credential_ttl_s=7).ok(CREDENTIALS, MEMBER, Method.POST, "/", b"body").response.body
    verified = verify_credential(plain, subject=MEMBER, authority=IDENTITY, now=NOW)
    assert (verified.attributes, verified.expires_at) == ((), NOW + 7)
    assert unverified_credential_data(plain).attributes.schema == 1


@pytest.mark.spec("AU-50", "AU-21")
def test_the_credential_of_an_admin_by_credential() -> None:
    desk = Desk(
        book(member(MEMBER, ((b"a", b"1"),))),
        project_identifier="team",
        has_account_authority=True,
        is_account_admin=MEMBER.__eq__,
    )
    encoded = desk.ok(CREDENTIALS, MEMBER, Method.POST, "/credential").response.body
    assert unverified_credential_data(encoded).attributes.pairs == (
        (b"ockam-relay", b"*"),
        (b"ockam-tls-certificate", b"true"),
        (b"trust_context_id", b"team"),
    )


@pytest.mark.spec("AU-51", "AU-3")
def test_who_gets_no_credential() -> None:
    desk = Desk()
    assert desk.refused(CREDENTIALS, STRANGER, Method.POST, "/") == "unauthorized member"
    for method, path in ((Method.GET, "/"), (Method.POST, ""), (Method.POST, "credential")):
        assert desk.refused(CREDENTIALS, MEMBER, method, path, status=Status.BAD_REQUEST) == "unknown path"


@pytest.mark.spec("AU-51", "AU-52")
def test_a_credential_does_not_outlive_the_key_that_signs_it() -> None:
    desk = Desk(now=KEY_ENDS - 5)
    encoded = desk.ok(CREDENTIALS, MEMBER, Method.POST, "/").response.body
    assert unverified_credential_data(encoded).expires_at == KEY_ENDS
    assert verify_credential(encoded, subject=MEMBER, authority=IDENTITY, now=KEY_ENDS)
    desk.now = KEY_ENDS + 1
    why = desk.refused(CREDENTIALS, MEMBER, Method.POST, "/", status=Status.INTERNAL_SERVER_ERROR)
    assert "renew the key" in why


@pytest.mark.spec("AU-62")
def test_who_is_back_gets_a_credential_that_is_not_void() -> None:
    for not_after, created_at in ((NOW, NOW + 1), (NOW - 1, NOW), (NOW - 50, NOW)):
        desk = Desk(Book(USUAL.members, {}, {MEMBER: Revocation(MEMBER, not_after, 1)}))
        encoded = desk.ok(CREDENTIALS, MEMBER, Method.POST, "/").response.body
        verified = verify_credential(encoded, subject=MEMBER, authority=IDENTITY, now=NOW)
        assert verified.created_at == created_at > not_after


# ---- revocations


@pytest.mark.spec("AU-61")
def test_members_hear_what_was_revoked() -> None:
    third, first, second = Revocation(OTHER, 8, 3), Revocation(STRANGER, 9, 1), Revocation(HELPER, 7, 2)
    desk = Desk(Book(USUAL.members, {}, {item.subject: item for item in (third, first, second)}))
    for path, found in (
        ("/", (first, second, third)),
        ("/since/0", (first, second, third)),
        ("/since/2", (third,)),
        ("/since/3", ()),
    ):
        assert decode_revocations(desk.ok(REVOCATIONS, MEMBER, Method.GET, path).response.body) == found
    assert desk.refused(REVOCATIONS, STRANGER, Method.GET, "/") == "Non-member is trying to list revocations"


@pytest.mark.spec("AU-61")
def test_there_is_a_page_of_them() -> None:
    many = {someone(number): Revocation(someone(number), 1, number) for number in range(1, MAX_PAGE + 3)}
    desk = Desk(Book(USUAL.members, {}, many))
    page = decode_revocations(desk.ok(REVOCATIONS, MEMBER, Method.GET, "/").response.body)
    assert [revocation.number for revocation in page] == list(range(1, MAX_PAGE + 1))


@pytest.mark.spec("AU-3", "AU-5")
def test_other_questions_about_revocations() -> None:
    desk = Desk()
    for method, path in ((Method.POST, "/"), (Method.GET, ""), (Method.GET, "/other")):
        assert desk.refused(REVOCATIONS, MEMBER, method, path, status=Status.BAD_REQUEST) == "unknown path"
    for digits in ("", "-1", "x", "²", "1" * 21):
        assert desk.refused(REVOCATIONS, MEMBER, Method.GET, f"/since/{digits}", status=Status.BAD_REQUEST)


def test_no_text_form_shows_a_secret() -> None:
    desk = Desk()
    assert b"s" * 32 not in repr(desk.settings).encode()
    assert "signing_key" not in repr(settings())
    assert changes(desk.ok(CREDENTIALS, MEMBER, Method.POST, "/")) == []


def test_an_entry_of_the_audit_log_changes_nothing_in_the_book() -> None:
    assert apply(USUAL, AuditRecord(NOW, None, "", "")) is USUAL
