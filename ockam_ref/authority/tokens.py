"""The services for tickets (facts 03 sections 8.5 and 8.6).

``enrollment_token_issuer`` gives out one-time codes, ``enrollment_token_acceptor`` makes who has one a member.
"""

from typing import Final

from ockam_ref.authority.answers import UNKNOWN, Asked, Granted, Refused, Verdict
from ockam_ref.authority.attributes import attributes_problem
from ockam_ref.authority.book import (
    MAX_MEMBERS,
    MAX_TOKENS,
    Book,
    Change,
    Member,
    MemberAdded,
    Token,
    TokenChanged,
    TokenRemoved,
    hash_code,
)
from ockam_ref.authority.messages import OneTimeCode, decode_create_token, decode_one_time_code, encode_one_time_code
from ockam_ref.authority.roles import makes_enroller, roles_of
from ockam_ref.wire.api import Method

DEFAULT_TOKEN_TTL_S: Final = 600
"""Seconds for which a code works unless its maker says otherwise."""
DEFAULT_TOKEN_USES: Final = 1
"""How often a code works unless its maker says otherwise."""
MAX_STORED: Final = 2**63 - 1
"""The largest time and number that a store keeps; what goes beyond means the same."""


def serve_token_issuer(asked: Asked) -> Verdict:
    """Answer a request for a one-time code.

    Raises:
        DecodeError: the body is none.
    """
    if asked.method is not Method.POST or asked.path not in ("/", "/tokens"):
        return UNKNOWN
    wanted, book, now = decode_create_token(asked.body), asked.book, asked.now
    roles = roles_of(book, asked.settings, asked.who)
    if not roles.is_enroller:
        return Refused("Non-enroller is trying to issue an enrollment token")
    if makes_enroller(wanted.attributes) and not roles.is_admin:
        return Refused("Not admin is trying to issue an enrollment token for an enroller")
    if problem := attributes_problem(wanted.attributes):
        return Refused(f"Error issuing an enrollment token: {problem}")
    expired = _expired(book, now)
    if len(book.tokens) - len(expired) >= MAX_TOKENS:
        return Refused(f"Error issuing an enrollment token: {MAX_TOKENS} are waiting already")
    code = OneTimeCode(asked.drawn.code)
    ttl_s = DEFAULT_TOKEN_TTL_S if wanted.ttl_s is None else wanted.ttl_s
    uses = DEFAULT_TOKEN_USES if wanted.ttl_count is None else wanted.ttl_count
    token = Token(
        hash_code(code),
        asked.drawn.reference,
        wanted.attributes,
        asked.who,
        now,
        min(now + ttl_s, MAX_STORED),
        min(uses, MAX_STORED),
    )
    return Granted(encode_one_time_code(code), (*expired, TokenChanged(token)))


def serve_token_acceptor(asked: Asked) -> Verdict:
    """Answer somebody who wants to become a member with a one-time code.

    Raises:
        DecodeError: the body is none.
    """
    if asked.method is not Method.POST or asked.path not in ("/", "/credential"):
        return UNKNOWN
    code, book, now = decode_one_time_code(asked.body), asked.book, asked.now
    if asked.who in book.members:
        return Refused("Already a member")
    expired = _expired(book, now)
    token = book.tokens.get(hash_code(code))
    if token is None or token.expires_at <= now:
        return Refused("Unknown enrollment token", counts_as_guess=True, changes=expired)
    if len(book.members) >= MAX_MEMBERS:
        return Refused("Error adding member using enrollment token", changes=expired)
    member = Member(asked.who, token.attributes, token.issued_by, now)
    return Granted(changes=(*expired, _used(token), MemberAdded(member)))


def _used(token: Token) -> Change:
    """Return what becomes of a code; one that is said to work no times works once, as at the peer."""
    if token.uses_left <= 1:
        return TokenRemoved(token.code_hash)
    return TokenChanged(token._replace(uses_left=token.uses_left - 1))


def _expired(book: Book, now: int) -> tuple[Change, ...]:
    return tuple(TokenRemoved(token.code_hash) for token in book.tokens.values() if token.expires_at <= now)
