"""Change histories and credentials that one implementation made are what they are to the other."""

from collections.abc import Callable
from time import time
from typing import Final, TypeAlias

import pytest

from ockam_ref.errors import ErrorCode, VerificationError
from ockam_ref.identities.change_history import (
    Comparison,
    compare_histories,
    decode_change_history,
    verify_change_history,
)
from ockam_ref.identities.credentials import verify_credential
from ockam_ref.identities.keys import KeyKind
from tests.interop.harness import Program
from tests.interop.matrix import Cell, Row
from tests.interop.people import DAY_S, Person, person, rust_person, rust_rotated
from tests.interop.rows import rows

pytestmark = pytest.mark.interop

KINDS: Final = (KeyKind.ED25519, KeyKind.P256)
CONSISTENCY: Final = "ConsistencyError"
"""What the peer calls a history that is older than the one it knows, or leads elsewhere."""

Rotate: TypeAlias = Callable[[Person, KeyKind], Person]


@pytest.fixture(params=["python", "rust"])
def rotate(request: pytest.FixtureRequest, rust: Program) -> Rotate:
    """Give an identity a new key, in either implementation."""
    if request.param == "rust":
        return lambda who, kind: rust_rotated(rust, who, kind)
    return lambda who, kind: who.rotated(kind)


@pytest.mark.parametrize("kind", KINDS)
@rows(Row.HISTORY)
def test_a_history_made_and_rotated_by_one_is_verified_by_the_other(
    cell: Cell, kind: KeyKind, request: pytest.FixtureRequest
) -> None:
    makes = request.getfixturevalue("rust") if cell.initiator == "rust" else None
    verifies = request.getfixturevalue("rust") if cell.responder == "rust" else None
    who = person(kind) if makes is None else rust_person(makes, kind)
    identifier = who.identifier
    for changes, next_kind in enumerate((KeyKind.P256, KeyKind.ED25519, kind), start=1):
        if verifies is None:
            ours = verify_change_history(decode_change_history(bytes.fromhex(who.history)))
            assert ours.identifier == identifier
            assert len(ours.history.changes) == changes
            assert ours.history.encoded.hex() == who.history
        else:
            theirs = verifies.ask("verify", "--of", who.history)
            assert theirs["identifier"] == str(identifier)
            assert theirs["changes"] == changes
            assert theirs["change_history_hex"] == who.history
        who = who.rotated(next_kind) if makes is None else rust_rotated(makes, who, next_kind)


def test_a_newer_history_is_taken_and_an_older_one_refused(rotate: Rotate, rust: Program) -> None:
    old = rust_person(rust)
    new = rotate(old, KeyKind.ED25519)
    assert rust.ask("verify", "--of", new.history, "--known", old.history)["changes"] == 2
    assert CONSISTENCY in rust.refusal("verify", "--of", old.history, "--known", new.history)
    assert compare_histories(new.identity.history, old.identity.history) is Comparison.NEWER
    assert compare_histories(old.identity.history, new.identity.history) is Comparison.OLDER


def test_a_fork_is_refused(rotate: Rotate, rust: Program) -> None:
    old = person()
    one, other = rotate(old, KeyKind.ED25519), rotate(old, KeyKind.ED25519)
    assert CONSISTENCY in rust.refusal("verify", "--of", one.history, "--known", other.history)
    assert compare_histories(one.identity.history, other.identity.history) is Comparison.CONFLICT


@pytest.mark.parametrize("position", [20, -1])
def test_a_changed_history_is_refused(position: int, rust: Program) -> None:
    history = bytearray.fromhex(rust_person(rust).rotated().history)
    history[position] ^= 1
    assert rust.refusal("verify", "--of", history.hex())
    with pytest.raises(VerificationError):
        verify_change_history(decode_change_history(bytes(history)))


# credentials

ATTRIBUTES: Final = {"cluster": "production", "a": ""}


@pytest.mark.parametrize("kind", KINDS)
@rows(Row.CREDENTIAL)
def test_a_credential_by_one_is_good_for_the_other(cell: Cell, kind: KeyKind, request: pytest.FixtureRequest) -> None:
    issues = request.getfixturevalue("rust") if cell.initiator == "rust" else None
    verifies = request.getfixturevalue("rust") if cell.responder == "rust" else None
    issuer, subject = person(kind), person()
    for authority in (issuer, issuer.rotated()):
        credential = authority.issue(subject, ATTRIBUTES) if issues is None else issue(issues, authority, subject)
        if verifies is None:
            found = verify_credential(
                bytes.fromhex(credential), subject=subject.identifier, authority=authority.identity, now=int(time())
            )
            assert dict(found.attributes) == {b"a": b"", b"cluster": b"production"}
        else:
            seen = verifies.ask("check", *check_options(credential, authority, subject))
            assert seen["subject"] == str(subject.identifier)
            assert seen["attributes"] == "a=;cluster=production"


def test_what_is_wrong_with_a_credential_is_seen_by_both(rust: Program) -> None:
    issuer, subject, other = person(), person(), rust_person(rust)
    long_ago = int(time()) - DAY_S
    cases = (
        (issuer.issue(subject, {}, created_at=long_ago, ttl_s=60), issuer, subject, ErrorCode.BAD_CREDENTIAL),
        (issuer.issue(subject, {}), issuer, other, ErrorCode.BAD_CREDENTIAL),
        (issue(rust, other, subject), issuer, subject, ErrorCode.NOT_TRUSTED),
        # What an issuer attested with a key that it has given up is void.
        (issuer.issue(subject, {}), issuer.rotated(), subject, ErrorCode.BAD_ATTESTATION),
        (issue(rust, other, subject), other.rotated(), subject, ErrorCode.BAD_ATTESTATION),
    )
    for credential, authority, shown_by, code in cases:
        assert rust.refusal("check", *check_options(credential, authority, shown_by))
        with pytest.raises(VerificationError) as caught:
            verify_credential(
                bytes.fromhex(credential),
                subject=shown_by.identifier,
                authority=authority.identity,
                now=int(time()),
            )
        assert caught.value.code is code


def issue(rust: Program, issuer: Person, subject: Person) -> str:
    """Return a credential that the Rust implementation issued."""
    options = ["--subject", subject.history, "--attributes", "cluster=production,a=", "--ttl", "60"]
    credential = rust.ask("issue", *issuer.options, *options)["credential_hex"]
    assert isinstance(credential, str)
    return credential


def check_options(credential: str, authority: Person, subject: Person) -> list[str]:
    """Return the options of a check."""
    return ["--credential", credential, "--authority", authority.history, "--subject", subject.history]
