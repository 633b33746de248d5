"""Tickets: a text that lets its bearer enrol with an authority (facts 03 section 9).

Two forms are those of the peer: *exported*, seven fields between commas, and *legacy*, a JSON object; both are written
as the hexadecimal digits of that text.  The third, ``OfflineTicket``, is ours: it holds a finished credential for one
identity, so that no authority has to be asked.
"""

import json
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

from ockam_ref.authority.messages import OneTimeCode, parse_one_time_code
from ockam_ref.authority.multi_address import format_multi_address, parse_multi_address
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.identities.change_history import VerifiedIdentity, decode_change_history, verify_change_history

MAX_TICKET_CHARACTERS: Final = 256 * 1024
"""Characters that a ticket may have; the peer's have about three thousand."""
OFFLINE_MARK: Final = "ockam-ref-ticket-1"
"""What the text of an offline ticket begins with."""

_ORCHESTRATOR: Final = "/dnsaddr/{id}.projects.orchestrator.ockam.io/tcp/443/service/{id}"
_EXPORTED_FIELDS: Final = 6
_OFFLINE_FIELDS: Final = 5


@dataclass(frozen=True, slots=True)
class Ticket:
    """A one-time code and what is needed to use it.  Routes are MultiAddrs; the two identities are verified.

    ``project_id`` is a name for people and for caches, nothing is checked against it.
    """

    code: OneTimeCode
    project_id: str
    project_name: str
    project_route: str
    project: VerifiedIdentity
    authority: VerifiedIdentity
    authority_route: str


@dataclass(frozen=True, slots=True)
class OfflineTicket:
    """A credential for one identity, not verified yet, and the history of who signed it.

    ``authority_route`` is the MultiAddr of an authority's node, or empty where there is none.
    """

    project_id: str
    project_name: str
    authority: VerifiedIdentity
    credential: bytes
    authority_route: str = ""


AnyTicket: TypeAlias = Ticket | OfflineTicket


# writing


def encode_exported_ticket(ticket: Ticket) -> str:
    """Return the exported form.

    Raises:
        MisuseError: ``BAD_TEXT`` for a comma in a field, ``BAD_ADDRESS`` for a project route that the peer does not
            take in this form: it has to begin with ``/dnsaddr/``.
    """
    if not ticket.project_route.startswith("/dnsaddr/"):
        raise MisuseError(ErrorCode.BAD_ADDRESS, "the project route of an exported ticket begins with /dnsaddr/")
    return _join(
        ticket.project_route,
        str(ticket.project.identifier),
        ticket.project_name,
        ticket.code.value.hex(),
        ticket.project.history.encoded.hex(),
        ticket.authority.history.encoded.hex(),
        ticket.authority_route,
    )


def encode_legacy_ticket(ticket: Ticket) -> str:
    """Return the legacy form, which ``ockam project ticket`` prints."""
    project: dict[str, object] = {
        "id": ticket.project_id,
        "name": ticket.project_name,
        "space_name": "",
        "access_route": ticket.project_route,
        "users": [],
        "space_id": "",
        "identity": str(ticket.project.identifier),
        "authority_access_route": ticket.authority_route,
        "authority_identity": ticket.authority.history.encoded.hex(),
        "version": None,
        "running": None,
        "operation_id": None,
        "user_roles": [],
        "project_change_history": ticket.project.history.encoded.hex(),
    }
    document = {"one_time_code": ticket.code.value.hex(), "project": project}
    return _hex(json.dumps(document, separators=(",", ":"), ensure_ascii=False))


def encode_offline_ticket(ticket: OfflineTicket) -> str:
    """Return the text form; ``MisuseError`` (``BAD_TEXT``) for a comma in a field."""
    return _join(
        OFFLINE_MARK,
        ticket.project_id,
        ticket.project_name,
        ticket.authority.history.encoded.hex(),
        ticket.credential.hex(),
        *([ticket.authority_route] if ticket.authority_route else []),
    )


def _join(*fields: str) -> str:
    if any("," in field for field in fields):
        raise MisuseError(ErrorCode.BAD_TEXT, "no field of a ticket may contain a comma")
    return _hex(",".join(fields))


def _hex(text: str) -> str:
    try:
        return text.encode().hex()
    except UnicodeEncodeError:
        raise MisuseError(ErrorCode.BAD_TEXT, "the ticket would hold a lone surrogate") from None


# reading


def decode_ticket(text: str) -> AnyTicket:
    """Read a ticket of any form; white space around it is dropped.

    Raises:
        DecodeError: it is no ticket; the message does not repeat its content.
        VerificationError: a change history in it does not hold.
    """
    trimmed = text.strip()
    if len(trimmed) > MAX_TICKET_CHARACTERS:
        raise _bad(f"it has more than {MAX_TICKET_CHARACTERS} characters", ErrorCode.TOO_LONG)
    content = _content(trimmed)
    if content.startswith("{"):
        return _decode_legacy(content)
    fields = content.split(",")
    if fields[0] == OFFLINE_MARK:
        return _decode_offline(fields)
    if len(fields) < _EXPORTED_FIELDS:
        raise _bad("it has fewer than six fields; was it cut short when it was copied?", ErrorCode.MISSING_FIELD)
    return _decode_exported(fields)


def _content(trimmed: str) -> str:
    try:
        raw = bytes.fromhex(trimmed)
    except ValueError:
        return trimmed
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise _bad("its digits are no text", ErrorCode.BAD_TEXT) from None


def _decode_exported(fields: list[str]) -> Ticket:
    route, _, name, code, project, authority, *rest = fields
    project_id, project_route = _project_route(route)
    return Ticket(
        parse_one_time_code(code),
        project_id,
        name,
        project_route,
        _identity(project, "project"),
        _identity(authority, "authority"),
        _normal(rest[0]) if rest else _authority_route_of(project_id),
    )


def _project_route(text: str) -> tuple[str, str]:
    """Return id and route: the id is the first service of the route, or the first label of the host.

    Releases of the peer differ in which of the two they take; where both are there they are the same in practice.  A
    text that is no MultiAddr is an id.
    """
    try:
        address = parse_multi_address(text)
    except DecodeError:
        route = _ORCHESTRATOR.format(id=text) + "/service/api"
        return text, _normal(route)
    services = [component.value for component in address if component.protocol == "service"]
    if services:
        return services[0], format_multi_address(address)
    if not address or address[0].protocol != "dnsaddr":
        raise _bad("its project route has no /service/ and does not begin with /dnsaddr/", ErrorCode.BAD_ADDRESS)
    return address[0].value.partition(".")[0], format_multi_address(address)


def _authority_route_of(project_id: str) -> str:
    return _normal(_ORCHESTRATOR.format(id=project_id) + "/service/authority/service/api")


def _decode_legacy(content: str) -> Ticket:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise _bad("its content is no JSON", ErrorCode.WRONG_TYPE) from None
    project = document.get("project")
    if not _is_object(project):
        raise _bad("it names no project", ErrorCode.MISSING_FIELD)
    project_id = _text(project, "id")
    route = project.get("authority_access_route")
    return Ticket(
        parse_one_time_code(_text(document, "one_time_code")),
        project_id,
        _text(project, "name"),
        _normal(_text(project, "access_route")),
        _identity(_text(project, "project_change_history"), "project"),
        _identity(_text(project, "authority_identity"), "authority"),
        _authority_route_of(project_id) if route is None else _normal(_text(project, "authority_access_route")),
    )


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _text(container: dict[str, object], key: str) -> str:
    value = container.get(key)
    if not isinstance(value, str) or not _is_unicode(value):
        raise _bad(f"{key} is missing or no text", ErrorCode.MISSING_FIELD)
    return value


def _is_unicode(text: str) -> bool:
    """Tell what UTF-8 can hold: JSON has a notation for lone surrogates."""
    return text == text.encode(errors="replace").decode()


def _decode_offline(fields: list[str]) -> OfflineTicket:
    if len(fields) < _OFFLINE_FIELDS:
        raise _bad("it has fewer than five fields; was it cut short when it was copied?", ErrorCode.MISSING_FIELD)
    _, project_id, name, authority, credential, *rest = fields
    route = _normal(rest[0]) if rest else ""
    return OfflineTicket(project_id, name, _identity(authority, "authority"), _bytes(credential, "credential"), route)


def _identity(text: str, whose: str) -> VerifiedIdentity:
    return verify_change_history(decode_change_history(_bytes(text, f"change history of the {whose}")))


def _bytes(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise _bad(f"the {what} is not written in hexadecimal digits", ErrorCode.WRONG_TYPE) from None


def _normal(route: str) -> str:
    return format_multi_address(parse_multi_address(route))


def _bad(why: str, code: ErrorCode) -> DecodeError:
    return DecodeError(code, f"this is no ticket: {why}")
