"""What a node remembers of the identities it has met."""

import pytest

from ockam_ref.identities import known_peers
from ockam_ref.identities.change_history import VerifiedIdentity, create_identity, rotate_identity
from ockam_ref.identities.keys import SigningKey, ed25519_from_seed
from ockam_ref.identities.known_peers import MAX_KNOWN_BYTES, MAX_KNOWN_PEERS, KnownPeers, Met

START, END = 1_700_000_000, 2_015_360_000
OLDER = "the change history is older than the one known"
CONFLICT = "the change history conflicts with the one known"


def key(number: int) -> SigningKey:
    return ed25519_from_seed(number.to_bytes(32, "big"))


def somebody(number: int) -> VerifiedIdentity:
    return create_identity(key(number), valid_from=START, valid_until=END)


def rotated(identity: VerifiedIdentity, old: int, new: int) -> VerifiedIdentity:
    return rotate_identity(identity, key(old), key(new), valid_from=START + 1, valid_until=END)


@pytest.mark.spec("NODE-60")
def test_a_stranger_is_believed_and_known_from_then_on(alice: VerifiedIdentity) -> None:
    known = KnownPeers()
    assert known.compare(alice).refusal is None
    assert known.compare(alice).refusal is None


@pytest.mark.spec("NODE-60")
def test_a_newer_history_is_believed_and_an_older_one_no_more(
    alice: VerifiedIdentity, rotated_alice: VerifiedIdentity
) -> None:
    known = KnownPeers()
    assert known.compare(alice).refusal is None
    assert known.compare(rotated_alice).refusal is None
    assert known.compare(alice).refusal == OLDER
    assert known.compare(rotated_alice).refusal is None
    assert known.compare(alice).refusal == OLDER


@pytest.mark.spec("NODE-60")
def test_an_older_history_is_refused_also_when_the_newer_was_met_first(
    alice: VerifiedIdentity, rotated_alice: VerifiedIdentity
) -> None:
    known = KnownPeers()
    assert known.compare(rotated_alice).refusal is None
    assert known.compare(alice).refusal == OLDER


@pytest.mark.spec("NODE-60")
def test_two_ways_to_go_on_conflict() -> None:
    first = somebody(1)
    one, other = rotated(first, 1, 2), rotated(first, 1, 3)
    known = KnownPeers()
    assert known.compare(one).refusal is None
    assert known.compare(other).refusal == CONFLICT
    assert known.compare(rotated(other, 3, 4)).refusal == CONFLICT
    assert known.compare(one).refusal is None
    assert known.compare(rotated(one, 2, 5)).refusal is None


@pytest.mark.spec("NODE-60")
def test_identities_are_kept_apart(
    alice: VerifiedIdentity, rotated_alice: VerifiedIdentity, bob: VerifiedIdentity
) -> None:
    known = KnownPeers()
    assert known.compare(rotated_alice).refusal is None
    assert known.compare(bob).refusal is None
    assert known.compare(alice).refusal == OLDER


@pytest.mark.spec("NODE-61")
def test_the_limits() -> None:
    assert MAX_KNOWN_PEERS == 10_000
    assert MAX_KNOWN_BYTES == 16 * 1024 * 1024
    assert MAX_KNOWN_BYTES > 65_535  # the longest history alone fits


@pytest.mark.spec("NODE-61")
def test_who_was_met_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_peers, "MAX_KNOWN_PEERS", 3)
    old = [somebody(number) for number in range(1, 5)]
    new = [rotated(identity, number, number + 100) for number, identity in enumerate(old, start=1)]
    known = KnownPeers()
    for identity in new[:3]:
        known.compare(identity)
    assert known.compare(new[0]).refusal is None  # met again: the second is the oldest now
    assert known.compare(new[3]).refusal is None
    assert [known.compare(identity).refusal for identity in (old[0], old[2], old[3])] == [OLDER] * 3
    assert known.compare(old[1]).refusal is None


@pytest.mark.spec("NODE-61")
def test_the_bytes_of_all_histories_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    old = [somebody(number) for number in range(1, 4)]
    new = [rotated(identity, number, number + 100) for number, identity in enumerate(old, start=1)]
    size = len(new[0].history.encoded)
    assert [len(identity.history.encoded) for identity in new] == [size] * 3
    monkeypatch.setattr(known_peers, "MAX_KNOWN_BYTES", 2 * size)
    known = KnownPeers()
    for _ in range(3):  # meeting somebody again takes no more room
        assert [known.compare(identity).refusal for identity in new[:2]] == [None, None]
    assert [known.compare(identity).refusal for identity in old[:2]] == [OLDER, OLDER]
    known.compare(new[2])
    assert known.compare(old[0]).refusal is None


@pytest.mark.spec("NODE-60")
def test_what_is_new_is_said_to_be(alice: VerifiedIdentity, rotated_alice: VerifiedIdentity) -> None:
    known = KnownPeers()
    met = [known.compare(identity).is_news for identity in (alice, alice, rotated_alice, alice, rotated_alice)]
    assert met == [True, False, True, False, False]
    assert known.find(alice.identifier) == rotated_alice.history
    assert known.find(somebody(7).identifier) is None


@pytest.mark.spec("NODE-62")
def test_histories_of_an_earlier_run_are_known(alice: VerifiedIdentity, rotated_alice: VerifiedIdentity) -> None:
    known = KnownPeers()
    known.load([(alice.identifier, rotated_alice.history)])
    assert known.compare(alice).refusal == OLDER
    known.load([(alice.identifier, alice.history)])  # what this run knows stays
    assert known.compare(alice).refusal == OLDER


@pytest.mark.spec("NODE-62")
def test_whom_the_host_taught_is_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_peers, "MAX_KNOWN_PEERS", 1)
    known, authority = KnownPeers(), somebody(1)
    newer = rotated(authority, 1, 100)
    assert known.learn(newer).is_news
    for number in range(2, 5):
        known.compare(somebody(number))
    assert known.find(authority.identifier) == newer.history
    assert known.learn(authority).refusal == OLDER
    newest = rotated(newer, 100, 101)
    assert known.compare(newest) == Met(None, is_news=True)
    assert known.compare(newer).refusal == OLDER
    assert known.learn(newest) == Met(None, is_news=False)
