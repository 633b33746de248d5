"""The requests and answers of an authority, and both forms of tickets, byte for byte."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from ockam_ref.authority.answers import Caller, Drawn
from ockam_ref.authority.attributes import to_attributes
from ockam_ref.authority.book import Book, Member
from ockam_ref.authority.messages import (
    AddMember,
    AttributesEntry,
    CreateToken,
    OneTimeCode,
    decode_add_member,
    decode_create_token,
    decode_identifiers,
    decode_members,
    decode_one_time_code,
    encode_add_member,
    encode_create_token,
    encode_one_time_code,
    read_attributes_entry,
)
from ockam_ref.authority.roles import ENROLLER, ROLE, Settings
from ockam_ref.authority.services import Request, Service, answer
from ockam_ref.authority.tickets import Ticket, decode_ticket, encode_exported_ticket, encode_legacy_ticket
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import ed25519_from_seed
from ockam_ref.identities.purpose_keys import decode_attestation
from ockam_ref.wire.api import Method, RequestHeader, decode_request, decode_response, encode_request
from ockam_ref.wire.cursor import Cursor

VECTORS: Final = json.loads((Path(__file__).parents[1] / "vectors" / "identity.json").read_text())
IDENTITY: Final[dict[str, dict[str, Any]]] = {vector["name"]: vector for vector in VECTORS}

REQUEST_ID: Final = 0x01020304
RESPONSE_ID: Final = 0x05060708
CODE: Final = bytes(range(0xA0, 0xC0))
NOW: Final = 1_700_000_300


def payload(name: str) -> bytes:
    found = IDENTITY[name]["expected"]
    assert bytes.fromhex(found["message_payload"]).endswith(bytes.fromhex(found["cbor"]))
    return bytes.fromhex(found["message_payload"])


def identifier(name: str) -> Identifier:
    return Identifier(bytes.fromhex(IDENTITY[name]["expected"]["identifier"].removeprefix("I")))


MEMBER: Final = identifier("worked/01-ed25519-identity")
AUTHORITY: Final = identifier("worked/04-p256-identity")
STRANGER: Final = Identifier(bytes(32))
SIGNING: Final = IDENTITY["worked/06-credential-purpose-key"]
SETTINGS: Final = Settings(
    AUTHORITY,
    ed25519_from_seed(bytes.fromhex(SIGNING["inputs"]["ed25519_secret"])),
    decode_attestation(bytes.fromhex(SIGNING["expected"]["attestation"])),
    SIGNING["inputs"]["expires_at"],
    project_identifier="123456",
)
ADMIN: Final = Member(AUTHORITY, ((ROLE, ENROLLER),), AUTHORITY, 1_700_000_000, is_pre_trusted=True)


def book(*members: Member) -> Book:
    return Book({member.identifier: member for member in members})


def answered(state: Book, service: Service, caller: Identifier | None, request: bytes) -> bytes:
    who = None if caller is None else Caller(caller, caller.value)
    drawn = Drawn(RESPONSE_ID, CODE, "reference0")
    return answer(state, SETTINGS, Request(service, who, request), drawn, now=NOW).response.encode()


def request(method: Method, path: str, body: bytes = b"") -> bytes:
    return encode_request(RequestHeader(REQUEST_ID, path, method, has_body=bool(body)), body)


REQUESTS: Final = {
    "api/01-credential-request": (Method.POST, "/", b""),
    "api/05-create-token": (
        Method.POST,
        "/",
        encode_create_token(CreateToken(to_attributes({"component": "control"}), 600, 2)),
    ),
    "api/06-create-token-defaults": (Method.POST, "/", encode_create_token(CreateToken(()))),
    "api/08-present-token": (Method.POST, "/", encode_one_time_code(OneTimeCode(CODE))),
    "api/10-add-member": (Method.POST, "/", encode_add_member(AddMember(MEMBER, to_attributes({"key": "value"})))),
    "api/13-show-member-request": (Method.GET, f"/{MEMBER}", b""),
    "api/15-delete-member": (Method.DELETE, f"/{MEMBER}", b""),
    "api/17-delete-all-members": (Method.DELETE, "/members", b""),
}


@pytest.mark.spec("AU-1")
@pytest.mark.parametrize("name", REQUESTS)
def test_requests(name: str) -> None:
    method, path, body = REQUESTS[name]
    assert request(method, path, body) == payload(name)
    header, rest = decode_request(payload(name))
    assert (header, bytes(rest)) == (RequestHeader(REQUEST_ID, path, method, has_body=bool(body)), body)


@pytest.mark.spec("AU-1")
def test_bodies_are_read_back() -> None:
    assert decode_create_token(REQUESTS["api/05-create-token"][2]) == (((b"component", b"control"),), 600, 2)
    assert decode_create_token(REQUESTS["api/06-create-token-defaults"][2]) == ((), None, None)
    assert decode_one_time_code(REQUESTS["api/08-present-token"][2]) == OneTimeCode(CODE)
    assert decode_add_member(REQUESTS["api/10-add-member"][2]) == (MEMBER, ((b"key", b"value"),))


@pytest.mark.spec("AU-1", "AU-50", "AU-51")
def test_the_credential_of_a_member() -> None:
    attributes = to_attributes({"ockam-relay": "*", "role": "member"})
    state = book(Member(MEMBER, attributes, AUTHORITY, 0))
    for path in ("/", "/credential"):
        said = answered(state, Service.CREDENTIAL_ISSUER, MEMBER, request(Method.POST, path))
        assert said == payload("api/02-credential-response")


ANSWERS: Final = {
    "api/03-unauthorized-member": (Service.CREDENTIAL_ISSUER, STRANGER, payload("api/01-credential-request")),
    "api/04-no-secure-channel": (Service.CREDENTIAL_ISSUER, None, payload("api/01-credential-request")),
    "api/07-token-response": (Service.ENROLLMENT_TOKEN_ISSUER, AUTHORITY, payload("api/05-create-token")),
    "api/09-ok-no-body": (Service.DIRECT_AUTHENTICATOR, AUTHORITY, payload("api/10-add-member")),
    "api/11-list-members-response": (Service.DIRECT_AUTHENTICATOR, AUTHORITY, request(Method.GET, "/")),
    "api/12-member-ids-response": (Service.DIRECT_AUTHENTICATOR, AUTHORITY, request(Method.GET, "/member_ids")),
    "api/14-show-member-response": (
        Service.DIRECT_AUTHENTICATOR,
        AUTHORITY,
        payload("api/13-show-member-request"),
    ),
    "api/16-unknown-path": (Service.CREDENTIAL_ISSUER, MEMBER, request(Method.GET, "/nope")),
}
ONLY_ONE: Final = {"api/11-list-members-response", "api/12-member-ids-response"}
SHOWN: Final = Member(MEMBER, ((b"key", b"value"),), AUTHORITY, 1_700_000_000)


@pytest.mark.spec("AU-1", "AU-2", "AU-3", "AU-4", "AU-30", "AU-51")
@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str) -> None:
    service, caller, asked = ANSWERS[name]
    if name in ONLY_ONE:  # the vectors list nobody but this member, so the enroller is an admin by credential
        state, settings = book(SHOWN), _admin_by_credential()
        drawn = Drawn(RESPONSE_ID, CODE, "reference0")
        said = answer(state, settings, Request(service, Caller(AUTHORITY), asked), drawn, now=NOW)
        assert said.response.encode() == payload(name)
    else:
        assert answered(book(ADMIN, SHOWN), service, caller, asked) == payload(name)


def _admin_by_credential() -> Settings:
    return Settings(
        AUTHORITY,
        SETTINGS.signing_key,
        SETTINGS.attestation,
        SETTINGS.key_expires_at,
        has_account_authority=True,
        is_account_admin=AUTHORITY.__eq__,
    )


@pytest.mark.spec("AU-1", "AU-30")
def test_answers_are_read_back() -> None:
    entry = AttributesEntry(SHOWN.attributes, SHOWN.added_at, None, AUTHORITY)
    _, body = decode_response(payload("api/11-list-members-response"))
    assert decode_members(body) == {MEMBER: entry}
    _, body = decode_response(payload("api/12-member-ids-response"))
    assert decode_identifiers(body) == (MEMBER,)
    _, body = decode_response(payload("api/14-show-member-response"))
    assert read_attributes_entry(Cursor(body)) == entry
    _, body = decode_response(payload("api/07-token-response"))
    assert decode_one_time_code(body) == OneTimeCode(CODE)


@pytest.mark.spec("AU-70", "AU-72")
@pytest.mark.parametrize(
    ("name", "encode"),
    [("ticket/01-exported", encode_exported_ticket), ("ticket/02-legacy-json", encode_legacy_ticket)],
    ids=["exported", "legacy"],
)
def test_tickets(name: str, encode: Any) -> None:
    given, wanted = IDENTITY[name]["inputs"], IDENTITY[name]["expected"]
    ticket = decode_ticket(wanted["ticket"])
    assert isinstance(ticket, Ticket)
    assert decode_ticket(wanted["text"]) == ticket
    assert decode_ticket(f"\n {wanted['ticket'].upper()} \n") == ticket
    assert encode(ticket) == wanted["ticket"]
    assert ticket.code.value.hex() == given["one_time_code"]
    assert str(ticket.project.identifier) == given["project_identifier"]
    assert ticket.project.history.encoded.hex() == given["project_change_history"]
    assert ticket.authority.history.encoded.hex() == given["authority_change_history"]
    assert (ticket.project_id, ticket.project_name) == ("123456", given["project_name"])
    assert (ticket.project_route, ticket.authority_route) == (given["project_route"], given["authority_route"])


def test_no_vector_is_forgotten() -> None:
    names = {name for name in IDENTITY if name.startswith("api/")}
    assert names == {*REQUESTS, *ANSWERS, "api/02-credential-response"}
