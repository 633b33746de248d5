"""The service ``direct_authenticator``: enrollers add, look at and remove members (facts 03 section 8.7)."""

from typing import Final

from ockam_ref.authority.answers import UNKNOWN, Asked, Granted, Refused, Verdict
from ockam_ref.authority.attributes import attributes_problem
from ockam_ref.authority.book import (
    MAX_MEMBERS,
    Member,
    MemberAdded,
    remove,
)
from ockam_ref.authority.messages import (
    AttributesEntry,
    decode_add_member,
    encode_attributes_entry,
    encode_identifiers,
    encode_members,
)
from ockam_ref.authority.roles import makes_enroller, roles_of
from ockam_ref.identities.identifier import Identifier, parse_identifier
from ockam_ref.wire.api import Method

_MAX_SEGMENTS: Final = 5


def serve_members(asked: Asked) -> Verdict:
    """Answer a request.

    Raises:
        DecodeError: the body, or the identifier in the path, is none.
    """
    segments = asked.path.lstrip("/").split("/", _MAX_SEGMENTS - 1)
    match (asked.method, segments):
        case (Method.POST, [""] | ["members"]):
            return _add(asked)
        case (Method.GET, ["member_ids"]):
            return _list(asked, only_ids=True)
        case (Method.GET, [""] | ["members"]):
            return _list(asked, only_ids=False)
        case (Method.GET, [who] | ["members", who]):
            return _show(asked, parse_identifier(who))
        case (Method.DELETE, ["members"]):
            return _remove_all(asked)
        case (Method.DELETE, [who] | ["members", who]):
            return _remove(asked, parse_identifier(who))
        case _:
            return UNKNOWN


def _add(asked: Asked) -> Verdict:
    member, attributes = decode_add_member(asked.body)
    roles, members = roles_of(asked.book, asked.settings, asked.who), asked.book.members
    if not roles.is_enroller:
        return Refused(f"Non-enroller {asked.who} is trying to add a member {member}")
    if makes_enroller(attributes) and not roles.is_admin:
        return Refused("Not pre trusted enroller is trying to create an enroller")
    if problem := attributes_problem(attributes):
        return Refused(f"Error adding member: {problem}")
    if member not in members and len(members) >= MAX_MEMBERS:
        return Refused(f"Error adding member: there are {MAX_MEMBERS} already")
    return Granted(changes=(MemberAdded(Member(member, attributes, asked.who, asked.now)),))


def _show(asked: Asked, who: Identifier) -> Verdict:
    if not roles_of(asked.book, asked.settings, asked.who).is_enroller:
        return Refused("Non-enroller is trying to retrieve a member")
    member = asked.book.members.get(who)
    if member is None:
        return Refused(f"Member {who} not found")
    return Granted(encode_attributes_entry(_entry(member)))


def _list(asked: Asked, *, only_ids: bool) -> Verdict:
    if not roles_of(asked.book, asked.settings, asked.who).is_enroller:
        return Refused("Non-enroller is trying to list members")
    members = asked.book.members
    if only_ids:
        return Granted(encode_identifiers(members))
    return Granted(encode_members({who: _entry(member) for who, member in members.items()}))


def _entry(member: Member) -> AttributesEntry:
    return AttributesEntry(member.attributes, member.added_at, None, member.added_by)


def _remove(asked: Asked, who: Identifier) -> Verdict:
    book = asked.book
    if not roles_of(book, asked.settings, asked.who).is_enroller:
        return Refused("Non-enroller is trying to delete a member")
    if why := _why_not_removed(asked, who):
        return Refused(why)
    return Granted(changes=remove(book, [who] if who in book.members else [], now=asked.now))


def _why_not_removed(asked: Asked, who: Identifier) -> str | None:
    target = roles_of(asked.book, asked.settings, who)
    if target.is_pre_trusted:
        return "Enroller is trying to delete a pre trusted identity"
    if target.is_enroller and not roles_of(asked.book, asked.settings, asked.who).is_admin:
        return "Not admin is trying to delete an enroller"
    return None


def _remove_all(asked: Asked) -> Verdict:
    """Remove every member but the caller; those who may not be removed stay, and nobody is told."""
    if not roles_of(asked.book, asked.settings, asked.who).is_enroller:
        return Refused("Non-enroller is trying to list members")
    gone = [who for who in asked.book.members if who != asked.who and _why_not_removed(asked, who) is None]
    return Granted(changes=remove(asked.book, gone, now=asked.now))
