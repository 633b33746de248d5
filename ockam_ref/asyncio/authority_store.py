"""The book of an authority in a store."""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from ockam_ref.authority.book import (
    AuditRecord,
    Book,
    Change,
    Member,
    MemberAdded,
    MemberRemoved,
    Token,
    TokenChanged,
    TokenRemoved,
)
from ockam_ref.authority.messages import Revocation
from ockam_ref.identities.identifier import Identifier
from ockam_ref.storage.audit import append_audit
from ockam_ref.storage.members import MemberRow, delete_member, list_members, put_member
from ockam_ref.storage.revocations import RevocationRow, learn_revocations, list_revocations
from ockam_ref.storage.tickets import TicketRow, delete_ticket, list_tickets, put_ticket


class Page(NamedTuple):
    """What the store has of an authority, and the number of that state: another one after others have written."""

    book: Book
    version: int


def open_page(connection: sqlite3.Connection, authority: Identifier) -> Page:
    """Return what the store has now; the connection is the one that writes."""
    return Page(load_book(connection, authority), _version(connection))


def keep_if_current(
    connection: sqlite3.Connection, authority: Identifier, version: int, changes: Iterable[Change]
) -> Page | None:
    """Write what an answer has changed; if another process has written since, write nothing and return what is there.

    So two processes that run the same authority cannot both give away the last use of a code, and none issues a
    credential to a member that the other one has removed.
    """
    if _version(connection) != version:
        return open_page(connection, authority)
    keep_changes(connection, authority, changes)
    return None


def _version(connection: sqlite3.Connection) -> int:
    """Return a number that changes when another connection has written; what this one writes does not count."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def load_book(connection: sqlite3.Connection, authority: Identifier) -> Book:
    """Return what the store has of that authority."""
    members = (
        Member(Identifier(row.identifier), row.attributes, Identifier(row.added_by), row.added_at, row.is_pre_trusted)
        for row in list_members(connection, authority.value)
    )
    tokens = (
        Token(
            row.code_hash,
            row.reference,
            row.attributes,
            Identifier(row.issued_by),
            row.created_at,
            row.expires_at,
            row.uses_left,
        )
        for row in list_tickets(connection, authority.value)
    )
    revocations = (
        Revocation(Identifier(row.subject), row.not_after, row.number)
        for row in list_revocations(connection, authority.value)
    )
    return Book(
        {member.identifier: member for member in members},
        {token.code_hash: token for token in tokens},
        {revocation.subject: revocation for revocation in revocations},
    )


def keep_changes(connection: sqlite3.Connection, authority: Identifier, changes: Iterable[Change]) -> None:
    """Write what an answer has changed, inside the transaction of the connection."""
    owner = authority.value
    for change in changes:
        match change:
            case MemberAdded(member):
                put_member(connection, _member_row(owner, member))
            case MemberRemoved(revocation):
                delete_member(connection, owner, revocation.subject.value)
                row = RevocationRow(owner, revocation.subject.value, revocation.not_after, revocation.number)
                learn_revocations(connection, [row])
            case TokenChanged(token):
                put_ticket(connection, _ticket_row(owner, token))
            case TokenRemoved(code_hash):
                delete_ticket(connection, owner, code_hash)
            case AuditRecord(at, caller, what, answer):
                append_audit(connection, at=at, caller=caller.value if caller else b"", what=what, answer=answer)


def _member_row(owner: bytes, member: Member) -> MemberRow:
    identifier, attributes, added_by, added_at, is_pre_trusted = member
    return MemberRow(owner, identifier.value, attributes, added_by.value, added_at, is_pre_trusted)


def _ticket_row(owner: bytes, token: Token) -> TicketRow:
    code_hash, reference, attributes, issued_by, created_at, expires_at, uses_left = token
    return TicketRow(owner, code_hash, reference, attributes, issued_by.value, created_at, expires_at, uses_left)
