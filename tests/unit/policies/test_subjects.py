"""What authorities vouch for: until when, and until whom they revoke."""

import pytest

from ockam_ref.policies import subjects
from ockam_ref.policies.subjects import SubjectAttributes, Vouched

ALICE, BOB, AUTHORITY, OTHER = b"a" * 32, b"b" * 32, b"c" * 32, b"o" * 32
MEMBER = Vouched(((b"role", b"member"),), 1000, 2000)
ADMIN = Vouched(((b"role", b"admin"),), 1500, 3000)


def table(*entries: tuple[bytes, bytes, Vouched]) -> SubjectAttributes:
    attributes = SubjectAttributes()
    for subject, authority, vouched in entries:
        assert attributes.store(subject, authority, vouched)
    return attributes


@pytest.mark.spec("NODE-90")
def test_attributes_are_gone_from_the_second_at_which_the_credential_expires() -> None:
    attributes = table((ALICE, AUTHORITY, MEMBER))
    assert attributes.find(ALICE, AUTHORITY, 1999) == MEMBER
    assert attributes.find(ALICE, AUTHORITY, 2000) is None
    assert attributes.find(ALICE, AUTHORITY, 1999) is None  # forgotten, not only hidden
    assert attributes.next_expiry(ALICE, 1000) is None


@pytest.mark.spec("NODE-90")
def test_nobody_else_has_them() -> None:
    attributes = table((ALICE, AUTHORITY, MEMBER))
    assert attributes.find(BOB, AUTHORITY, 1500) is None
    assert attributes.find(ALICE, OTHER, 1500) is None


@pytest.mark.spec("NODE-91")
def test_a_newer_credential_of_an_authority_replaces_its_older_one_and_no_other() -> None:
    attributes = table((ALICE, AUTHORITY, MEMBER), (ALICE, OTHER, MEMBER), (ALICE, AUTHORITY, ADMIN))
    assert attributes.find(ALICE, AUTHORITY, 1600) == ADMIN
    assert attributes.find(ALICE, OTHER, 1600) == MEMBER
    assert attributes.next_expiry(ALICE, 1600) == 2000
    assert attributes.next_expiry(ALICE, 2000) == 3000  # nobody has asked about what has expired
    assert attributes.next_expiry(ALICE, 3000) is None
    assert attributes.find(ALICE, OTHER, 2000) is None
    assert attributes.next_expiry(ALICE, 1600) == 3000


@pytest.mark.spec("NODE-92")
def test_a_revocation_voids_what_was_said_up_to_its_second() -> None:
    attributes = table((ALICE, AUTHORITY, MEMBER), (ALICE, OTHER, MEMBER))
    attributes.revoke(ALICE, AUTHORITY, 999)
    assert attributes.find(ALICE, AUTHORITY, 1600) == MEMBER
    attributes.revoke(ALICE, AUTHORITY, 1000)
    assert attributes.find(ALICE, AUTHORITY, 1600) is None
    assert attributes.find(ALICE, OTHER, 1600) == MEMBER
    assert not attributes.store(ALICE, AUTHORITY, MEMBER)
    assert attributes.store(ALICE, AUTHORITY, ADMIN)
    attributes.revoke(ALICE, AUTHORITY, 500)  # an earlier one says nothing new
    assert not attributes.store(ALICE, AUTHORITY, MEMBER)
    attributes.revoke(BOB, AUTHORITY, 5000)
    assert not attributes.store(BOB, AUTHORITY, ADMIN)


@pytest.mark.spec("NODE-93")
def test_both_tables_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects, "MAX_SUBJECTS", 2)
    monkeypatch.setattr(subjects, "MAX_REVOCATIONS", 2)
    third = b"t" * 32
    attributes = table((ALICE, AUTHORITY, MEMBER), (BOB, AUTHORITY, MEMBER))
    attributes.store(ALICE, AUTHORITY, ADMIN)  # Alice is the newest again
    attributes.store(third, AUTHORITY, MEMBER)
    assert [attributes.find(one, AUTHORITY, 1600) for one in (ALICE, BOB, third)] == [ADMIN, None, MEMBER]
    for one in (ALICE, BOB, third):
        attributes.revoke(one, OTHER, 1000)
    assert [attributes.store(one, OTHER, MEMBER) for one in (ALICE, BOB, third)] == [True, False, False]
