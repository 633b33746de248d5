"""How an identity looks: its keys in the order in which they came, each with its age, as a small tree."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ockam_ref.cli.ages import since, span
from ockam_ref.identities.change_history import ChangeData, VerifiedIdentity, decode_change_data
from ockam_ref.identities.keys import KeyKind
from ockam_ref.identities.purpose_keys import AttestationData, SecureChannelKey
from ockam_ref.identities.versioned_data import decode_versioned_data, digest_of

KIND_NAMES: Final = {KeyKind.ED25519: "Ed25519", KeyKind.P256: "P-256"}
"""What people call the kinds."""

SHOWN_DIGITS: Final = 16
"""Hexadecimal digits of a public key that are shown."""


class Shown(NamedTuple):
    """One change of a history, for people."""

    number: int
    change_hash: bytes
    content: ChangeData


def changes_of(identity: VerifiedIdentity) -> tuple[Shown, ...]:
    """Return what the changes say, oldest first."""
    return tuple(
        Shown(number, digest_of(change.data), decode_change_data(decode_versioned_data(change.data).data))
        for number, change in enumerate(identity.history.changes, start=1)
    )


def identity_tree(identity: VerifiedIdentity, attested: Sequence[AttestationData], now: int) -> str:
    """Draw the keys of an identity, and under the latest what it attests."""
    changes = changes_of(identity)
    lines = [str(identity.identifier)]
    for shown, following in zip(changes, (*changes[1:], None), strict=True):
        lines.append(("├─ " if following else "└─ ") + _change(shown, following, now))
    keys = [_purpose_key(data, identity, now) for data in attested]
    lines += [f"   {'└─' if line is keys[-1] else '├─'} {line}" for line in keys]
    return "\n".join(lines)


def _change(shown: Shown, following: Shown | None, now: int) -> str:
    content = shown.content
    key = content.primary_public_key
    began = content.attestations_valid_from
    text = f"{shown.number}  {KIND_NAMES[key.kind]:7}  {_short(key.data)}  made {since(began, now)}"
    if following is not None:
        return f"{text}, replaced after {span(following.content.attestations_valid_from - began)}"
    until = content.attestations_valid_until
    return f"{text}, {f'for {span(until - now)} more' if until >= now else f'ended {since(until, now)}: rotate it'}"


def _purpose_key(data: AttestationData, identity: VerifiedIdentity, now: int) -> str:
    if isinstance(data.public_key, SecureChannelKey):
        what, public = "secure channels", data.public_key.public
    else:
        what, public = "credentials", data.public_key.public.data
    text = f"{what:15}  {_short(public)}  made {since(data.created_at, now)}"
    if data.subject_latest_change_hash != identity.latest_change_hash or data.expires_at < now:
        return f"{text}, void: replaced when it is needed"
    return f"{text}, for {span(data.expires_at - now)} more"


def _short(public: bytes) -> str:
    return f"{public.hex()[:SHOWN_DIGITS]}…"
