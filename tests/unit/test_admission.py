"""Whom a node believes: histories compared, credentials verified and kept."""

import pytest

from ockam_ref.admission import MAX_CREDENTIALS, Admission, Admitted
from ockam_ref.effects import ComparePeer
from ockam_ref.errors import ErrorCode, VerificationError
from ockam_ref.identities.change_history import VerifiedIdentity
from ockam_ref.observations import CredentialAccepted, CredentialRefused, PeerLearned
from ockam_ref.policies.subjects import SubjectAttributes, Vouched
from tests.unit.channels.ends import ALICE, BOB
from tests.unit.channels.test_presenting import NEW_ALICE
from tests.unit.identities.credentials_for_tests import Issuer

NOW = 1_700_000_000
AUTHORITY, STRANGER = Issuer(), Issuer("stranger")
SUBJECT = ALICE.identifier.value
GOOD = AUTHORITY.vouch(ALICE.identifier, created_at=NOW, expires_at=NOW + 60, role="member")


class Scene:
    def __init__(self, *, knows: tuple[Issuer, ...] = (AUTHORITY,)) -> None:
        self.attributes = SubjectAttributes()
        self.admission = Admission(self.attributes)
        for issuer in knows:
            self.admission.learn(issuer.identity)

    def show(
        self, *credentials: bytes, identity: VerifiedIdentity = ALICE.identity, authority: bytes | None = None
    ) -> Admitted:
        asked = ComparePeer(identity, credentials, authority or AUTHORITY.identifier)
        return self.admission.compare(asked, NOW)

    def refused(self, *credentials: bytes) -> str:
        (refusal,) = (seen for seen in self.show(*credentials).observations if isinstance(seen, CredentialRefused))
        assert refusal.subject == SUBJECT
        assert self.attributes.find(SUBJECT, AUTHORITY.identifier, NOW) is None
        return refusal.reason


@pytest.mark.spec("NODE-94")
def test_a_good_credential_is_kept() -> None:
    scene = Scene()
    admitted = scene.show(GOOD)
    accepted = CredentialAccepted(SUBJECT, AUTHORITY.identifier, NOW + 60)
    assert admitted == Admitted(None, (PeerLearned(SUBJECT, ALICE.identity.history.encoded), accepted))
    vouched = Vouched(((b"role", b"member"),), NOW, NOW + 60)
    assert scene.attributes.find(SUBJECT, AUTHORITY.identifier, NOW) == vouched


@pytest.mark.spec("NODE-95")
def test_a_bad_credential_changes_nothing_else() -> None:
    assert "not even" in Scene().refused(b"not even a credential") or Scene().refused(b"\x00")
    of_bob = AUTHORITY.vouch(BOB.identifier, created_at=NOW, expires_at=NOW + 60)
    assert str(BOB.identifier) in Scene().refused(of_bob)
    by_stranger = STRANGER.vouch(ALICE.identifier, created_at=NOW, expires_at=NOW + 60)
    assert Scene(knows=(AUTHORITY, STRANGER)).refused(by_stranger)
    assert Scene(knows=()).refused(GOOD) == "the change history of the authority is not known"


@pytest.mark.spec("NODE-95")
def test_without_an_authority_credentials_are_not_looked_at() -> None:
    admission = Admission(SubjectAttributes())
    _, refused = admission.compare(ComparePeer(ALICE.identity, (GOOD,)), NOW).observations
    assert refused == CredentialRefused(SUBJECT, "no authority is configured for this channel")


@pytest.mark.spec("NODE-92")
def test_a_revoked_credential_does_not_count() -> None:
    scene = Scene()
    scene.attributes.revoke(SUBJECT, AUTHORITY.identifier, NOW)
    assert scene.refused(GOOD) == "the authority has revoked it"


@pytest.mark.spec("NODE-96")
def test_the_last_good_credential_counts_and_few_are_looked_at() -> None:
    scene = Scene()
    newer = AUTHORITY.vouch(ALICE.identifier, created_at=NOW, expires_at=NOW + 90, role="admin")
    scene.show(GOOD, b"bad", newer)
    assert scene.attributes.find(SUBJECT, AUTHORITY.identifier, NOW) == Vouched(((b"role", b"admin"),), NOW, NOW + 90)
    assert len(scene.show(*[b"bad"] * 100).observations) == MAX_CREDENTIALS


@pytest.mark.spec("NODE-60")
def test_credentials_of_an_identity_that_is_not_believed_are_not_looked_at() -> None:
    scene = Scene()
    scene.show(identity=NEW_ALICE.identity)
    admitted = scene.show(GOOD)
    assert admitted == Admitted("the change history is older than the one known", ())
    assert scene.attributes.find(SUBJECT, AUTHORITY.identifier, NOW) is None


@pytest.mark.spec("NODE-62")
def test_what_the_host_teaches_must_not_be_older_than_what_is_known() -> None:
    scene = Scene()
    assert scene.admission.learn(NEW_ALICE.identity).observations == (
        PeerLearned(SUBJECT, NEW_ALICE.identity.history.encoded),
    )
    with pytest.raises(VerificationError) as caught:
        scene.admission.learn(ALICE.identity)
    assert caught.value.code is ErrorCode.HISTORY_OLDER
