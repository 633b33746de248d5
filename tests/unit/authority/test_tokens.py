"""One-time codes: made by enrollers, used as often and as long as they say."""

import pytest

from ockam_ref.authority.book import (
    MAX_TOKENS,
    Book,
    Member,
    MemberAdded,
    Token,
    TokenChanged,
    TokenRemoved,
    hash_code,
)
from ockam_ref.authority.messages import (
    CreateToken,
    OneTimeCode,
    decode_one_time_code,
    encode_create_token,
    encode_one_time_code,
)
from ockam_ref.authority.rates import REFUSED_CODES_A_MINUTE
from ockam_ref.authority.services import ENTROPY_BYTES, Service
from ockam_ref.authority.tokens import MAX_STORED
from ockam_ref.wire.api import Method, Status
from tests.unit.authority.parts import (
    ADMIN,
    ENROLLS,
    ENTROPY,
    HELPER,
    MEMBER,
    NOW,
    OTHER,
    STRANGER,
    USUAL,
    Desk,
    changes,
    someone,
)

ISSUER, ACCEPTOR = Service.ENROLLMENT_TOKEN_ISSUER, Service.ENROLLMENT_TOKEN_ACCEPTOR
CODE = OneTimeCode(ENTROPY[4:36])


def wanted(
    ttl_s: int | None = None, uses: int | None = None, attributes: tuple[tuple[bytes, bytes], ...] = ()
) -> bytes:
    return encode_create_token(CreateToken(attributes, ttl_s, uses))


def waiting(uses_left: int = 1, expires_at: int = NOW + 600, code: OneTimeCode = CODE) -> Token:
    return Token(hash_code(code), "reference0", ((b"a", b"1"),), HELPER, NOW - 1, expires_at, uses_left)


def with_tokens(*tokens: Token) -> Book:
    return Book(USUAL.members, {token.code_hash: token for token in tokens})


USE = encode_one_time_code(CODE)


# ---- making


@pytest.mark.spec("AU-40", "AU-44", "AU-3")
@pytest.mark.parametrize("path", ["/", "/tokens"])
def test_a_code_works_ten_minutes_and_once_unless_told_otherwise(path: str) -> None:
    desk = Desk()
    answered = desk.ok(ISSUER, HELPER, Method.POST, path, wanted(attributes=((b"a", b"1"),)))
    assert decode_one_time_code(answered.response.body) == CODE
    (made,) = changes(answered)
    assert isinstance(made, TokenChanged)
    assert made.token == Token(hash_code(CODE), made.token.reference, ((b"a", b"1"),), HELPER, NOW, NOW + 600, 1)
    assert (len(made.token.reference), made.token.reference.isalnum()) == (10, True)
    assert CODE.value not in made.token
    assert CODE.value.hex() not in repr(CODE)
    assert desk.book.tokens == {hash_code(CODE): made.token}


@pytest.mark.spec("AU-40")
def test_life_and_uses_as_asked_for() -> None:
    desk = Desk()
    desk.ok(ISSUER, HELPER, Method.POST, "/", wanted(60, 5))
    (token,) = desk.book.tokens.values()
    assert (token.expires_at, token.uses_left) == (NOW + 60, 5)
    desk.ok(ISSUER, HELPER, Method.POST, "/", wanted(2**64 - 1, 2**64 - 1), entropy=bytes(ENTROPY_BYTES))
    *_, token = desk.book.tokens.values()
    assert (token.expires_at, token.uses_left) == (MAX_STORED, MAX_STORED)


@pytest.mark.spec("AU-4", "AU-20", "AU-21")
def test_who_gets_no_code() -> None:
    strict = Desk(has_account_authority=True, enforce_admin_checks=True)
    assert strict.refused(ISSUER, MEMBER, Method.POST, "/", wanted()) == (
        "Non-enroller is trying to issue an enrollment token"
    )
    assert strict.refused(ISSUER, HELPER, Method.POST, "/", wanted(attributes=ENROLLS)) == (
        "Not admin is trying to issue an enrollment token for an enroller"
    )
    Desk().ok(ISSUER, HELPER, Method.POST, "/", wanted(attributes=ENROLLS))


@pytest.mark.spec("AU-34", "AU-41")
def test_limits_of_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_TOKENS == 10_000
    monkeypatch.setattr("ockam_ref.authority.tokens.MAX_TOKENS", 1)
    desk = Desk(with_tokens(waiting(expires_at=NOW + 1)))
    assert "1 are waiting already" in desk.refused(ISSUER, HELPER, Method.POST, "/", wanted())
    desk.now += 1
    fresh = bytes(ENTROPY_BYTES)
    answered = desk.ok(ISSUER, HELPER, Method.POST, "/", wanted(), entropy=fresh)
    assert changes(answered)[0] == TokenRemoved(hash_code(CODE))
    assert desk.book.tokens.keys() == {hash_code(OneTimeCode(fresh[4:36]))}
    too_large = wanted(attributes=((b"a", b"b" * 4096),))
    assert "4097 bytes" in desk.refused(ISSUER, HELPER, Method.POST, "/", too_large)


# ---- using


@pytest.mark.spec("AU-41", "AU-43", "AU-3")
@pytest.mark.parametrize("path", ["/", "/credential"])
def test_a_code_makes_a_member(path: str) -> None:
    desk = Desk(with_tokens(waiting()))
    answered = desk.ok(ACCEPTOR, STRANGER, Method.POST, path, USE)
    assert changes(answered) == [
        TokenRemoved(hash_code(CODE)),
        MemberAdded(Member(STRANGER, ((b"a", b"1"),), HELPER, NOW)),
    ]
    assert desk.refused(ACCEPTOR, OTHER, Method.POST, "/", USE) == "Unknown enrollment token"


@pytest.mark.spec("AU-40", "AU-41")
@pytest.mark.parametrize(("uses_left", "works"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_a_code_works_as_often_as_it_says(uses_left: int, works: int) -> None:
    desk = Desk(with_tokens(waiting(uses_left)))
    for number in range(works):
        desk.ok(ACCEPTOR, someone(100 + number), Method.POST, "/", USE)
    assert desk.refused(ACCEPTOR, someone(99), Method.POST, "/", USE) == "Unknown enrollment token"
    assert len(desk.book.members) == 3 + works


@pytest.mark.spec("AU-40", "AU-41")
def test_a_code_works_until_the_second_before_it_expires() -> None:
    desk = Desk(with_tokens(waiting(2, expires_at=NOW + 1)))
    desk.ok(ACCEPTOR, STRANGER, Method.POST, "/", USE)
    desk.now += 1
    late = desk.ask(ACCEPTOR, OTHER, Method.POST, "/", USE)
    assert late.response.header.status is Status.FORBIDDEN
    assert changes(late) == [TokenRemoved(hash_code(CODE))]
    assert not desk.book.tokens
    desk = Desk()
    desk.ok(ISSUER, HELPER, Method.POST, "/", wanted(ttl_s=0))
    assert desk.refused(ACCEPTOR, OTHER, Method.POST, "/", USE) == "Unknown enrollment token"


@pytest.mark.spec("AU-42")
def test_a_member_does_not_use_a_code_up() -> None:
    desk = Desk(with_tokens(waiting()))
    assert desk.refused(ACCEPTOR, MEMBER, Method.POST, "/", USE) == "Already a member"
    desk.ok(ACCEPTOR, STRANGER, Method.POST, "/", USE)


@pytest.mark.spec("AU-42", "AU-21")
def test_an_admin_by_credential_is_no_row_of_the_table_and_may_use_a_code() -> None:
    desk = Desk(with_tokens(waiting()), has_account_authority=True, is_account_admin=STRANGER.__eq__)
    desk.ok(ACCEPTOR, STRANGER, Method.POST, "/", USE)


@pytest.mark.spec("AU-34")
def test_a_code_is_of_no_use_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ockam_ref.authority.tokens.MAX_MEMBERS", 3)
    desk = Desk(with_tokens(waiting()))
    assert desk.refused(ACCEPTOR, STRANGER, Method.POST, "/", USE) == "Error adding member using enrollment token"
    assert desk.book.tokens


@pytest.mark.spec("AU-7")
def test_after_five_codes_in_vain_none_is_looked_at() -> None:
    desk = Desk(with_tokens(waiting()))
    wrong = encode_one_time_code(OneTimeCode(bytes(32)))
    for _ in range(REFUSED_CODES_A_MINUTE):
        assert desk.refused(ACCEPTOR, STRANGER, Method.POST, "/", wrong) == "Unknown enrollment token"
    assert desk.refused(ACCEPTOR, STRANGER, Method.POST, "/", USE) == "too many requests: try again in 60 seconds"
    desk.ok(ISSUER, ADMIN, Method.POST, "/", wanted(), entropy=bytes(ENTROPY_BYTES))
    desk.now += 60
    desk.ok(ACCEPTOR, STRANGER, Method.POST, "/", USE)


@pytest.mark.spec("AU-3", "AU-5")
def test_other_requests() -> None:
    desk = Desk()
    for service in (ISSUER, ACCEPTOR):
        for method, path in ((Method.GET, "/"), (Method.POST, ""), (Method.POST, "//"), (Method.POST, "/other")):
            assert desk.refused(service, HELPER, method, path, status=Status.BAD_REQUEST) == "unknown path"
        for body in (b"\x01", b"\xa0", b"\xa1\x01"):
            assert desk.refused(service, HELPER, Method.POST, "/", body, status=Status.BAD_REQUEST)
