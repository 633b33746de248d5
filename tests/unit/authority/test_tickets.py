"""Tickets: their three forms, and texts that are none."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ockam_ref.authority.messages import OneTimeCode
from ockam_ref.authority.tickets import (
    MAX_TICKET_CHARACTERS,
    OFFLINE_MARK,
    OfflineTicket,
    Ticket,
    decode_ticket,
    encode_exported_ticket,
    encode_legacy_ticket,
    encode_offline_ticket,
)
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, OckamError, VerificationError
from tests.unit.authority.parts import IDENTITY

CODE = OneTimeCode(bytes(range(32)))
ROUTE = "/dnsaddr/example.com/tcp/4000/service/p1/service/api"
TICKET = Ticket(CODE, "p1", "team", ROUTE, IDENTITY, IDENTITY, "/ip4/127.0.0.1/tcp/4001/service/api")
OFFLINE = OfflineTicket("p1", "team", IDENTITY, b"credential")
HISTORY = IDENTITY.history.encoded.hex()


def fields(*changed: tuple[int, str], cut: int = 7) -> str:
    found = bytes.fromhex(encode_exported_ticket(TICKET)).decode().split(",")
    for index, text in changed:
        found[index] = text
    return ",".join(found[:cut])


def document(**changed: Any) -> str:
    found = json.loads(bytes.fromhex(encode_legacy_ticket(TICKET)))
    top = {key: value for key, value in changed.items() if key in found}
    found["project"] = top.pop("project", found["project"] | changed)
    return json.dumps(found | top)


def refused(text: str) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode_ticket(text)
    assert CODE.value.hex() not in str(caught.value)
    return caught.value


@pytest.mark.spec("AU-70", "AU-72")
def test_both_forms_of_the_peer() -> None:
    assert decode_ticket(encode_exported_ticket(TICKET)) == decode_ticket(encode_legacy_ticket(TICKET)) == TICKET
    assert decode_ticket(fields()) == decode_ticket(document()) == TICKET
    assert CODE.value.hex() not in repr(TICKET)
    named = replace(TICKET, project_name="Zürich")
    assert decode_ticket(encode_legacy_ticket(named)) == named


@pytest.mark.spec("AU-71")
def test_what_follows_from_the_project_id() -> None:
    place = "/dnsaddr/{0}.projects.orchestrator.ockam.io/tcp/443/service/{0}/service/"
    bare = decode_ticket(fields((0, "p7"), cut=6))
    assert isinstance(bare, Ticket)
    assert (bare.project_id, bare.project_route) == ("p7", place.format("p7") + "api")
    assert bare.authority_route == place.format("p7") + "authority/service/api"
    routed = decode_ticket(fields(cut=6))
    assert isinstance(routed, Ticket)
    assert (routed.project_id, routed.authority_route) == ("p1", place.format("p1") + "authority/service/api")
    legacy = decode_ticket(document(authority_access_route=None))
    assert isinstance(legacy, Ticket)
    assert legacy.authority_route == routed.authority_route
    assert refused(fields((0, "/ip4/1.2.3.4/tcp/1"))).code is ErrorCode.BAD_ADDRESS
    assert refused(fields((0, ""))).code is ErrorCode.BAD_ADDRESS
    for route, project_id in (("/dnsaddr/p2.example.com/tcp/1", "p2"), ("/ip4/1.2.3.4/tcp/1/service/p3", "p3")):
        other = decode_ticket(fields((0, route)))
        assert isinstance(other, Ticket)
        assert (other.project_id, other.project_route) == (project_id, route)
    other = decode_ticket(document(access_route="/ip4/1.2.3.4/tcp/1"))
    assert isinstance(other, Ticket)
    assert (other.project_id, other.project_route) == ("p1", "/ip4/1.2.3.4/tcp/1")


@pytest.mark.spec("AU-72")
def test_the_project_identifier_is_compared_with_nothing() -> None:
    assert decode_ticket(fields((1, "Ixyz"))) == decode_ticket(document(identity="Ixyz")) == TICKET


@pytest.mark.spec("AU-74")
def test_the_form_that_needs_no_authority() -> None:
    for ticket in (OFFLINE, replace(OFFLINE, authority_route="/dnsaddr/a/tcp/1/service/api")):
        text = encode_offline_ticket(ticket)
        assert decode_ticket(text) == decode_ticket(bytes.fromhex(text).decode()) == ticket


@pytest.mark.spec("AU-73")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", ErrorCode.MISSING_FIELD),
        ("nonsense", ErrorCode.MISSING_FIELD),
        ("ff", ErrorCode.BAD_TEXT),
        ("{", ErrorCode.WRONG_TYPE),
        ('{"a":' * 100_000, ErrorCode.TOO_LONG),
        ('{"a":' * 50_000, ErrorCode.WRONG_TYPE),
        ("{}", ErrorCode.MISSING_FIELD),
        (fields(cut=5), ErrorCode.MISSING_FIELD),
        (fields((3, "00")), ErrorCode.WRONG_TYPE),
        (fields((3, "xy" * 32)), ErrorCode.WRONG_TYPE),
        (fields((4, "xy")), ErrorCode.WRONG_TYPE),
        (fields((4, "ff")), ErrorCode.WRONG_TYPE),
        (fields((6, "/nowhere/at")), ErrorCode.BAD_ADDRESS),
        (document(project=None), ErrorCode.MISSING_FIELD),
        (document(project=[]), ErrorCode.MISSING_FIELD),
        (document(one_time_code=7), ErrorCode.MISSING_FIELD),
        (document(name="\ud800"), ErrorCode.MISSING_FIELD),
        (document(authority_access_route=7), ErrorCode.MISSING_FIELD),
        (document(authority_identity=None), ErrorCode.MISSING_FIELD),
        (f"{OFFLINE_MARK},a,b,{HISTORY}", ErrorCode.MISSING_FIELD),
        (f"{OFFLINE_MARK},a,b,{HISTORY},x", ErrorCode.WRONG_TYPE),
        (f"{OFFLINE_MARK},a,b,{HISTORY},00,/x/y", ErrorCode.BAD_ADDRESS),
        ("0" * (MAX_TICKET_CHARACTERS + 1), ErrorCode.TOO_LONG),
    ],
)
def test_what_is_no_ticket(text: str, code: ErrorCode) -> None:
    assert refused(text).code is code


@pytest.mark.spec("AU-72")
@pytest.mark.parametrize("index", [4, 5])
def test_a_history_that_does_not_hold(index: int) -> None:
    forged = HISTORY[:-2] + ("00" if HISTORY[-2:] != "00" else "01")
    with pytest.raises(VerificationError):
        decode_ticket(fields((index, forged)))
    with pytest.raises(VerificationError):
        decode_ticket(document(**{("project_change_history", "authority_identity")[index - 4]: forged}))
    with pytest.raises(VerificationError):
        decode_ticket(f"{OFFLINE_MARK},a,b,{forged},00")


@pytest.mark.spec("AU-71")
def test_what_cannot_be_written() -> None:
    for broken in (
        replace(TICKET, project_name="a,b"),
        replace(TICKET, authority_route="/dnsaddr/a,b/tcp/1"),
        replace(TICKET, project_route="/ip4/1.2.3.4/tcp/1"),
        replace(TICKET, project_name="\ud800"),
    ):
        with pytest.raises(MisuseError):
            encode_exported_ticket(broken)
    with pytest.raises(MisuseError):
        encode_legacy_ticket(replace(TICKET, project_name="\ud800"))
    with pytest.raises(MisuseError):
        encode_offline_ticket(replace(OFFLINE, project_name="a,b"))
    with_comma = replace(TICKET, project_name="a,b")
    assert decode_ticket(encode_legacy_ticket(with_comma)) == with_comma


def test_codes_have_32_bytes() -> None:
    with pytest.raises(OckamError):
        OneTimeCode(bytes(31))
