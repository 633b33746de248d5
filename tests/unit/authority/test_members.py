"""The direct authenticator: who may add, see and remove whom."""

import pytest

from ockam_ref.authority.book import MAX_MEMBERS, Book, Member, MemberAdded, MemberRemoved, apply, trust
from ockam_ref.authority.messages import (
    AddMember,
    AttributesEntry,
    Revocation,
    decode_identifiers,
    decode_members,
    encode_add_member,
    read_attributes_entry,
)
from ockam_ref.authority.roles import Roles, nobody, roles_of
from ockam_ref.authority.services import Service
from ockam_ref.identities.identifier import Identifier
from ockam_ref.wire.api import Method, Status
from ockam_ref.wire.cursor import Cursor
from tests.unit.authority.parts import (
    ADMIN,
    AUTHORITY,
    ENROLLS,
    HELPER,
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

MEMBERS = Service.DIRECT_AUTHENTICATOR


def adding(who: Identifier, *attributes: tuple[bytes, bytes]) -> bytes:
    return encode_add_member(AddMember(who, attributes))


# ---- roles


@pytest.mark.spec("AU-20")
def test_roles_without_an_account_authority() -> None:
    assert roles_of(USUAL, settings(), ADMIN) == Roles(True, True, True, True)
    assert roles_of(USUAL, settings(), HELPER) == Roles(True, True, True, False)
    assert roles_of(USUAL, settings(), MEMBER) == Roles(True, False, False, False)
    assert roles_of(USUAL, settings(), STRANGER) == Roles(False, False, False, False)
    assert not nobody(ADMIN)


@pytest.mark.spec("AU-21")
def test_roles_with_an_account_authority() -> None:
    lenient = settings(has_account_authority=True, is_account_admin=STRANGER.__eq__)
    strict = settings(has_account_authority=True, is_account_admin=STRANGER.__eq__, enforce_admin_checks=True)
    assert roles_of(USUAL, lenient, STRANGER) == roles_of(USUAL, strict, STRANGER) == Roles(True, True, True, False)
    assert roles_of(USUAL, lenient, HELPER) == Roles(True, True, True, False)
    assert roles_of(USUAL, strict, HELPER) == Roles(True, True, False, False)
    # without an account authority nobody is asked who its admins are, and nothing is enforced
    assert roles_of(USUAL, settings(is_account_admin=STRANGER.__eq__), STRANGER).is_member is False
    assert roles_of(USUAL, settings(enforce_admin_checks=True), HELPER).is_admin


@pytest.mark.spec("AU-22")
def test_the_pre_trusted_are_those_of_the_configuration() -> None:
    before = book(
        member(ADMIN, ENROLLS, is_pre_trusted=True),
        member(OTHER, (), is_pre_trusted=True),
        member(HELPER, ENROLLS, is_pre_trusted=True),
        member(MEMBER),
    )
    made = trust(before, {ADMIN: ENROLLS, HELPER: (), MEMBER: ENROLLS}, authority=AUTHORITY, now=NOW)
    assert made == (
        MemberRemoved(Revocation(OTHER, NOW, 1)),
        MemberAdded(Member(HELPER, (), AUTHORITY, NOW, is_pre_trusted=True)),
        MemberAdded(Member(MEMBER, ENROLLS, AUTHORITY, NOW, is_pre_trusted=True)),
    )
    after = before
    for change in made:
        after = apply(after, change)
    assert trust(after, {ADMIN: ENROLLS, HELPER: (), MEMBER: ENROLLS}, authority=AUTHORITY, now=NOW + 1) == ()


# ---- adding


@pytest.mark.spec("AU-3", "AU-30")
@pytest.mark.parametrize("path", ["/", "", "members", "/members", "//members"])
def test_an_enroller_adds_a_member(path: str) -> None:
    desk = Desk()
    answered = desk.ok(MEMBERS, HELPER, Method.POST, path, adding(STRANGER, (b"b", b"2"), (b"a", b"1")))
    added = Member(STRANGER, ((b"a", b"1"), (b"b", b"2")), HELPER, NOW)
    assert changes(answered) == [MemberAdded(added)]
    assert answered.book.members[STRANGER] == added


@pytest.mark.spec("AU-20", "AU-31", "AU-4")
def test_who_may_not_add() -> None:
    desk = Desk()
    assert desk.refused(MEMBERS, MEMBER, Method.POST, "/", adding(STRANGER)) == (
        f"Non-enroller {MEMBER} is trying to add a member {STRANGER}"
    )
    strict = Desk(has_account_authority=True, enforce_admin_checks=True)
    strict.ok(MEMBERS, HELPER, Method.POST, "/", adding(STRANGER))
    assert strict.refused(MEMBERS, HELPER, Method.POST, "/", adding(OTHER, *ENROLLS)) == (
        "Not pre trusted enroller is trying to create an enroller"
    )


@pytest.mark.spec("AU-34")
def test_limits_of_members(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    many = [(b"%d" % n, b"") for n in range(65)]
    assert "65 attributes" in desk.refused(MEMBERS, ADMIN, Method.POST, "/", adding(STRANGER, *many))
    desk.ok(MEMBERS, ADMIN, Method.POST, "/", adding(STRANGER, *many[1:]))
    assert "4097 bytes" in desk.refused(MEMBERS, ADMIN, Method.POST, "/", adding(OTHER, (b"a", bytes(4096))))
    desk.ok(MEMBERS, ADMIN, Method.POST, "/", adding(OTHER, (b"a", b"b" * 4095)))
    assert MAX_MEMBERS == 100_000
    monkeypatch.setattr("ockam_ref.authority.members.MAX_MEMBERS", 5)
    assert "there are 5 already" in desk.refused(MEMBERS, ADMIN, Method.POST, "/", adding(someone(99)))
    desk.ok(MEMBERS, ADMIN, Method.POST, "/", adding(OTHER))


@pytest.mark.spec("AU-23")
def test_adding_a_pre_trusted_member_takes_its_mark_away() -> None:
    desk = Desk()
    desk.ok(MEMBERS, HELPER, Method.POST, "/", adding(ADMIN))
    assert desk.book.members[ADMIN] == Member(ADMIN, (), HELPER, NOW)


# ---- seeing


@pytest.mark.spec("AU-30", "AU-3")
def test_an_enroller_sees_members() -> None:
    desk = Desk()
    entries = {who: AttributesEntry(one.attributes, NOW - 500, None, AUTHORITY) for who, one in USUAL.members.items()}
    for path in ("/", "", "/members"):
        assert decode_members(desk.ok(MEMBERS, HELPER, Method.GET, path).response.body) == entries
    for path in ("member_ids", "/member_ids"):
        found = decode_identifiers(desk.ok(MEMBERS, HELPER, Method.GET, path).response.body)
        assert found == (ADMIN, HELPER, MEMBER)
    for path in (f"/{MEMBER}", f"members/{MEMBER}", f"{MEMBER}"):
        shown = desk.ok(MEMBERS, HELPER, Method.GET, path).response.body
        assert read_attributes_entry(Cursor(shown)) == entries[MEMBER]


@pytest.mark.spec("AU-32", "AU-4", "AU-20")
def test_what_is_not_shown() -> None:
    desk = Desk()
    assert desk.refused(MEMBERS, HELPER, Method.GET, f"/{STRANGER}") == f"Member {STRANGER} not found"
    assert desk.refused(MEMBERS, MEMBER, Method.GET, f"/{MEMBER}") == "Non-enroller is trying to retrieve a member"
    for path in ("/", "/member_ids"):
        assert desk.refused(MEMBERS, MEMBER, Method.GET, path) == "Non-enroller is trying to list members"


# ---- removing


@pytest.mark.spec("AU-30", "AU-32", "AU-60")
@pytest.mark.parametrize("path", ["/{}", "/members/{}", "{}"])
def test_an_enroller_removes_a_member(path: str) -> None:
    desk = Desk()
    answered = desk.ok(MEMBERS, HELPER, Method.DELETE, path.format(MEMBER))
    assert changes(answered) == [MemberRemoved(Revocation(MEMBER, NOW, 1))]
    assert MEMBER not in desk.book.members
    assert desk.book.revocations == {MEMBER: Revocation(MEMBER, NOW, 1)}
    assert changes(desk.ok(MEMBERS, HELPER, Method.DELETE, path.format(MEMBER))) == []


@pytest.mark.spec("AU-23", "AU-31", "AU-20")
def test_who_may_not_remove_whom() -> None:
    desk = Desk(has_account_authority=True, enforce_admin_checks=True)
    assert desk.refused(MEMBERS, MEMBER, Method.DELETE, f"/{HELPER}") == "Non-enroller is trying to delete a member"
    assert desk.refused(MEMBERS, HELPER, Method.DELETE, f"/{ADMIN}") == (
        "Enroller is trying to delete a pre trusted identity"
    )
    assert desk.refused(MEMBERS, HELPER, Method.DELETE, f"/{HELPER}") == "Not admin is trying to delete an enroller"
    Desk().ok(MEMBERS, ADMIN, Method.DELETE, f"/{HELPER}")


@pytest.mark.spec("AU-33")
def test_removing_all_leaves_the_caller_and_the_pre_trusted() -> None:
    desk = Desk(book(*USUAL.members.values(), member(OTHER), member(someone(9), ENROLLS)))
    answered = desk.ok(MEMBERS, HELPER, Method.DELETE, "/members")
    assert changes(answered) == [
        MemberRemoved(Revocation(MEMBER, NOW, 1)),
        MemberRemoved(Revocation(OTHER, NOW, 2)),
        MemberRemoved(Revocation(someone(9), NOW, 3)),
    ]
    assert desk.book.members.keys() == {ADMIN, HELPER}
    assert desk.refused(MEMBERS, MEMBER, Method.DELETE, "/members") == "Non-enroller is trying to list members"


@pytest.mark.spec("AU-60", "AU-61")
def test_a_second_revocation_has_the_next_number_and_is_never_earlier() -> None:
    desk = Desk(Book(USUAL.members, {}, {OTHER: Revocation(OTHER, 5, 6), MEMBER: Revocation(MEMBER, NOW + 50, 7)}))
    desk.ok(MEMBERS, HELPER, Method.DELETE, f"/{MEMBER}")
    assert desk.book.revocations[MEMBER] == Revocation(MEMBER, NOW + 50, 8)


# ---- everything else


@pytest.mark.spec("AU-3", "AU-5")
def test_other_requests() -> None:
    desk = Desk()
    for method, path in (
        (Method.PUT, "/"),
        (Method.POST, "/other"),
        (Method.GET, "/members/a/b"),
        (Method.GET, "/a/b/c/d/e/f"),
        (Method.DELETE, "/other/x"),
    ):
        assert desk.refused(MEMBERS, ADMIN, method, path, status=Status.BAD_REQUEST) == "unknown path"
    for method, path in ((Method.GET, "/nobody"), (Method.DELETE, "/"), (Method.DELETE, "/members/I00")):
        assert "identifier" in desk.refused(MEMBERS, ADMIN, method, path, status=Status.BAD_REQUEST)
    assert "expected" in desk.refused(MEMBERS, ADMIN, Method.POST, "/", b"\x01", status=Status.BAD_REQUEST)
