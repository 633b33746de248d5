"""The service ``revocations``, which the peer does not have: whose credentials are void though they have not expired.

They are numbered; the answer to ``/since/N`` holds those with higher numbers than N, in order, a page of them.  A
page that is full says that there are more.
"""

from typing import Final

from ockam_ref.authority.answers import UNKNOWN, Asked, Granted, Refused, Verdict
from ockam_ref.authority.messages import Revocation, encode_revocations
from ockam_ref.authority.roles import roles_of
from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.api import Method

MAX_PAGE: Final = 1000
"""Revocations of one answer."""

NO_MEMBER: Final = "Non-member is trying to list revocations"
"""What is said to who is no member."""

_SINCE: Final = "/since/"
_MAX_DIGITS: Final = 20


def serve_revocations(asked: Asked) -> Verdict:
    """Answer a member that asks what has been revoked.

    Raises:
        DecodeError: there is no number after ``/since/``.
    """
    book, path = asked.book, asked.path
    if asked.method is not Method.GET or not (path == "/" or path.startswith(_SINCE)):
        return UNKNOWN
    if not roles_of(book, asked.settings, asked.who).is_member:
        return Refused(NO_MEMBER)
    since = 0 if path == "/" else _number(path.removeprefix(_SINCE))
    found = [revocation for revocation in book.revocations.values() if revocation.number > since]
    return Granted(encode_revocations(sorted(found, key=_number_of)[:MAX_PAGE]))


def _number_of(revocation: Revocation) -> int:
    return revocation.number


def _number(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise DecodeError(ErrorCode.WRONG_TYPE, "the number of a revocation belongs after /since/")
    return int(digits)
