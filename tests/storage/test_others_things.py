"""What is kept of others: peers, policies for them, and an authority's members, tickets, revocations and audit log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.errors import DecodeError
from ockam_ref.storage import audit, peers
from ockam_ref.storage.attributes import decode_attributes, encode_attributes
from ockam_ref.storage.audit import AuditRepository
from ockam_ref.storage.members import MemberRepository, MemberRow
from ockam_ref.storage.peers import PeerRepository
from ockam_ref.storage.policies import PolicyRepository, PolicyRow, ResourceRow
from ockam_ref.storage.revocations import RevocationRepository, RevocationRow
from ockam_ref.storage.store import Store
from ockam_ref.storage.tickets import TicketRepository, TicketRow
from tests.storage.conftest import Run
from tests.storage.samples import NOW, fork, identity

AUTHORITY = b"authority"


@pytest.mark.spec("STO-34")
def test_of_a_peer_the_newest_history_is_kept(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            known = PeerRepository(store)
            peer = identity(1).identifier.value
            old, new = (identity(1, rotations=turns).history.encoded for turns in (0, 2))
            assert await known.get(peer) is None
            assert await known.put(peer, old)
            assert await known.put(peer, new)
            for refused in (old, new, identity(1, rotations=1).history.encoded, fork(1).history.encoded):
                assert not await known.put(peer, refused)
            assert await known.get(peer) == new
            other = identity(2).identifier.value
            assert await known.put(other, identity(2).history.encoded)
            assert [row.identifier for row in await known.list()] == [peer, other]
            with pytest.raises(DecodeError):
                await known.put(peer, b"\xff")
            assert await known.delete(peer)
            assert not await known.delete(peer)

    run(scenario())


@pytest.mark.spec("STO-34")
def test_the_peer_that_was_learned_longest_ago_is_forgotten(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "MAX_STORED_PEERS", 3)

    async def scenario() -> None:
        async with await Store.open(None) as store:
            known = PeerRepository(store)
            for number in range(1, 6):
                await known.put(identity(number).identifier.value, identity(number).history.encoded)
            assert [row.identifier for row in await known.list()] == [identity(n).identifier.value for n in (3, 4, 5)]

    run(scenario())


@pytest.mark.spec("STO-35")
def test_the_policy_of_a_name_counts_before_that_of_its_type(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            policies = PolicyRepository(store)
            await policies.set_for_type("tcp-outlet", "false")
            await policies.set_for_type("tcp-outlet", "subject.has_credential")
            await policies.set_for_resource("web", "false")
            await policies.set_for_resource("web", 'subject.role == "admin"')
            await policies.add_resource("web", "tcp-outlet")
            await policies.add_resource("mail", "tcp-outlet")
            assert await policies.resources() == (ResourceRow("mail", "tcp-outlet"), ResourceRow("web", "tcp-outlet"))
            assert await policies.list() == (
                PolicyRow("web", "tcp-outlet", 'subject.role == "admin"'),
                PolicyRow(None, "tcp-outlet", "subject.has_credential"),
            )
            assert await policies.find("web", "tcp-outlet") == 'subject.role == "admin"'
            assert await policies.find("mail", "tcp-outlet") == "subject.has_credential"
            assert await policies.find("mail", "relay") is None
            assert await policies.for_resource("mail") is None
            assert await policies.for_type("tcp-outlet") == "subject.has_credential"
            assert await policies.delete_resource("web")
            assert not await policies.delete_resource("web")
            assert await policies.for_resource("web") is None
            await policies.set_for_resource("web", "true")
            assert await policies.list() == (
                PolicyRow("web", None, "true"),
                PolicyRow(None, "tcp-outlet", "subject.has_credential"),
            )
            assert await policies.delete_for_resource("web")
            assert not await policies.delete_for_resource("web")
            assert await policies.delete_for_type("tcp-outlet")
            assert not await policies.delete_for_type("tcp-outlet")
            assert await policies.list() == ()

    run(scenario())


def member(name: bytes, *, is_pre_trusted: bool = False) -> MemberRow:
    return MemberRow(AUTHORITY, name, ((b"project", b"1"), (b"role", b"member")), b"admin", NOW, is_pre_trusted)


@pytest.mark.spec("STO-36")
def test_members_of_an_authority(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            members = MemberRepository(store)
            alice, bob = member(b"alice", is_pre_trusted=True), member(b"bob")
            for row in (bob, alice, alice._replace(authority=b"other")):
                await members.put(row)
            assert await members.list(AUTHORITY) == (alice, bob)
            assert await members.get(AUTHORITY, b"alice") == alice
            assert await members.get(AUTHORITY, b"carol") is None
            changed = bob._replace(attributes=((b"z", b"2"), (b"a", b"1")))
            await members.put(changed)
            assert await members.get(AUTHORITY, b"bob") == bob._replace(attributes=((b"a", b"1"), (b"z", b"2")))
            assert [row.identifier for row in await members.list(b"other")] == [b"alice"]
            assert await members.delete(AUTHORITY, b"bob")
            assert not await members.delete(AUTHORITY, b"bob")

    run(scenario())


def ticket(code_hash: bytes) -> TicketRow:
    return TicketRow(AUTHORITY, code_hash, "reference", ((b"role", b"member"),), b"admin", NOW, NOW + 600, 2)


@pytest.mark.spec("STO-36")
def test_tickets_of_an_authority(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            tickets = TicketRepository(store)
            first, second = ticket(b"z"), ticket(b"a")._replace(created_at=NOW + 1)
            for row in (second, first, first._replace(authority=b"other")):
                await tickets.put(row)
            assert await tickets.list(AUTHORITY) == (first, second)
            assert await tickets.get(AUTHORITY, b"z") == first
            assert await tickets.get(AUTHORITY, b"y") is None
            used = first._replace(uses_left=1)
            await tickets.put(used)
            assert await tickets.get(AUTHORITY, b"z") == used
            assert await tickets.delete(AUTHORITY, b"z")
            assert not await tickets.delete(AUTHORITY, b"z")
            assert len(await tickets.list(b"other")) == 1

    run(scenario())


@pytest.mark.spec("STO-37")
def test_revocations_never_move_back(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            revocations = RevocationRepository(store)
            alice, bob = RevocationRow(AUTHORITY, b"alice", NOW, 1), RevocationRow(AUTHORITY, b"bob", NOW, 2)
            await revocations.learn([alice, bob])
            later = alice._replace(not_after=NOW + 5, number=3)
            far = RevocationRow(b"far", b"alice", NOW - 1, 9)
            await revocations.learn([later, alice, far])
            assert await revocations.list(AUTHORITY) == (bob, later)
            assert await revocations.all() == (bob, later, far)

    run(scenario())


@pytest.mark.spec("STO-39")
def test_the_audit_log_keeps_the_latest_entries(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MAX_AUDIT_ROWS", 5)
    monkeypatch.setattr(audit, "MAX_LISTED_ROWS", 4)

    async def scenario() -> None:
        async with await Store.open(None) as store:
            log = AuditRepository(store)
            rows = [await log.append(at=NOW, caller=b"alice", what=f"POST /{n}", answer="200") for n in range(8)]
            assert [row.number for row in rows] == list(range(1, 9))
            assert await log.list(limit=10) == tuple(rows[:3:-1])
            assert await log.list(limit=2) == (rows[7], rows[6])
            assert await log.list(limit=10, before=rows[5].number) == (rows[4], rows[3])

    run(scenario())


@given(st.dictionaries(st.binary(max_size=20), st.binary(max_size=20), max_size=8))
def test_attributes_come_back_in_the_order_of_their_names(attributes: dict[bytes, bytes]) -> None:
    assert decode_attributes(encode_attributes(tuple(attributes.items()))) == tuple(sorted(attributes.items()))


@given(st.binary(max_size=40))
def test_a_damaged_column_of_attributes_is_a_decode_error(column: bytes) -> None:
    try:
        decode_attributes(column)
    except DecodeError:
        return
