"""What an authority remembers, as one value, and the changes of it that a host has to keep."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias, assert_never

from ockam_ref.authority.attributes import Attributes
from ockam_ref.authority.messages import OneTimeCode, Revocation
from ockam_ref.authority.rates import Rates
from ockam_ref.identities.identifier import Identifier

MAX_MEMBERS: Final = 100_000
"""Members of one authority; more are refused."""
MAX_TOKENS: Final = 10_000
"""One-time codes that are not used up or expired; more are refused."""

CodeHash: TypeAlias = bytes
"""SHA-256 of a one-time code: what the book keeps, so that a thief of it cannot enrol."""


class Member(NamedTuple):
    """Somebody whom the authority gives credentials.

    ``is_pre_trusted`` members are those of the authority's configuration; nobody can remove them.
    """

    identifier: Identifier
    attributes: Attributes
    added_by: Identifier
    added_at: int
    is_pre_trusted: bool = False


class Token(NamedTuple):
    """A one-time code that was given out; ``reference`` is its name for people, and no secret."""

    code_hash: CodeHash
    reference: str
    attributes: Attributes
    issued_by: Identifier
    created_at: int
    expires_at: int
    uses_left: int


class AuditRecord(NamedTuple):
    """Who asked for what and what the answer was; ``caller`` is ``None`` outside a secure channel."""

    at: int
    caller: Identifier | None
    what: str
    answer: str


# changes


class MemberAdded(NamedTuple):
    """A member is new, or replaces the one of its identifier."""

    member: Member


class MemberRemoved(NamedTuple):
    """A member is gone; ``revocation`` says which of its credentials are void."""

    revocation: Revocation


class TokenChanged(NamedTuple):
    """A code was given out, or used and can be used again."""

    token: Token


class TokenRemoved(NamedTuple):
    """A code is used up or has expired."""

    code_hash: CodeHash


Change: TypeAlias = MemberAdded | MemberRemoved | TokenChanged | TokenRemoved | AuditRecord

Members: TypeAlias = Mapping[Identifier, Member]
Tokens: TypeAlias = Mapping[CodeHash, Token]
Revocations: TypeAlias = Mapping[Identifier, Revocation]


@dataclass(frozen=True, slots=True)
class Book:
    """Members, one-time codes, the latest revocation of each subject; and who asked how often, lately."""

    members: Members = field(default_factory=dict)
    tokens: Tokens = field(default_factory=dict)
    revocations: Revocations = field(default_factory=dict)
    rates: Rates = field(default_factory=Rates)


def hash_code(code: OneTimeCode) -> CodeHash:
    """Return what the book knows a code by."""
    return sha256(code.value).digest()


def apply(book: Book, change: Change) -> Book:
    """Return the book after a change."""
    match change:
        case MemberAdded(member):
            return replace(book, members={**book.members, member.identifier: member})
        case MemberRemoved(revocation):
            return replace(
                book,
                members={key: member for key, member in book.members.items() if key != revocation.subject},
                revocations={**book.revocations, revocation.subject: revocation},
            )
        case TokenChanged(token):
            return replace(book, tokens={**book.tokens, token.code_hash: token})
        case TokenRemoved(code_hash):
            return replace(book, tokens={key: token for key, token in book.tokens.items() if key != code_hash})
        case AuditRecord():
            return book
        case _:
            assert_never(change)


def apply_all(book: Book, changes: Iterable[Change]) -> Book:
    """Return the book after several changes."""
    for change in changes:
        book = apply(book, change)
    return book


def trust(
    book: Book, trusted: Mapping[Identifier, Attributes], *, authority: Identifier, now: int
) -> tuple[Change, ...]:
    """Return the changes that make exactly ``trusted`` the pre-trusted members, as an authority does when it starts.

    Who was one and is no more is removed like any other member.
    """
    gone = (
        member.identifier
        for member in book.members.values()
        if member.is_pre_trusted and member.identifier not in trusted
    )
    there = (
        MemberAdded(Member(identifier, attributes, authority, now, is_pre_trusted=True))
        for identifier, attributes in trusted.items()
        if not _is_unchanged(book.members.get(identifier), attributes)
    )
    return (*remove(book, gone, now=now), *there)


def _is_unchanged(member: Member | None, attributes: Attributes) -> bool:
    return member is not None and member.is_pre_trusted and member.attributes == attributes


def remove(book: Book, identifiers: Iterable[Identifier], *, now: int) -> tuple[MemberRemoved, ...]:
    """Return the changes that remove members and revoke what they have."""
    latest = max((revocation.number for revocation in book.revocations.values()), default=0)
    removed = []
    for number, who in enumerate(identifiers, latest + 1):
        before = book.revocations.get(who)
        not_after = now if before is None else max(now, before.not_after)
        removed.append(MemberRemoved(Revocation(who, not_after, number)))
    return tuple(removed)
