"""``ockam-ref identity``: who we are, and whom we know."""

import sys
from pathlib import Path
from stat import S_IMODE, S_IRWXG, S_IRWXO
from time import time
from typing import Any, Final, NamedTuple

import click

from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.identities import StoredIdentity
from ockam_ref.cli import parameters
from ockam_ref.cli.ages import since
from ockam_ref.cli.homes import run_at_home
from ockam_ref.cli.identity_tree import KIND_NAMES, changes_of, identity_tree
from ockam_ref.cli.output import Output
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.identities.change_history import (
    Comparison,
    VerifiedIdentity,
    decode_change_history,
    verify_change_history,
)
from ockam_ref.identities.identifier import parse_identifier
from ockam_ref.identities.keys import KeyKind
from ockam_ref.identities.purpose_keys import AttestationData, SecureChannelKey

_KINDS: Final = {"ed25519": KeyKind.ED25519, "p256": KeyKind.P256}
_KIND_WORDS: Final = {kind: word for word, kind in _KINDS.items()}

_kind: Final = click.option("--kind", type=click.Choice(list(_KINDS)), help="The kind of the new key.")
_name: Final = click.argument("name", required=False)

_NEWS: Final = {
    None: "is known from now on",
    Comparison.NEWER: "has new keys, which are known from now on",
    Comparison.EQUAL: "is known already",
}


@click.group()
def identity() -> None:
    """Make and keep who you are, and get to know others.

    An identity is a chain of keys; its identifier never changes, its key can be replaced.  Commands that take a NAME
    mean the default identity when there is none.  The state is in OCKAM_REF_HOME, or where the system keeps such data.
    """


@identity.command()
@_name
@_kind
@parameters.as_json
def create(name: str | None, kind: str | None, *, as_json: bool) -> None:
    """Make an identity; the first one becomes the default."""

    async def work(home: Home, output: Output) -> None:
        made = await home.identities.create(name, kind=_KINDS[kind or "ed25519"])
        stored = await home.identities.get(str(made.identifier))
        default = " It is the default identity." if stored.is_default else ""
        output.event("identity-created", f"{stored.name} is {made.identifier}.{default}", **_fields(stored))

    run_at_home(work, as_json=as_json)


@identity.command("list")
@parameters.as_json
def list_(*, as_json: bool) -> None:
    """List your identities; a star marks the default."""

    async def work(home: Home, output: Output) -> None:
        found, now = await home.identities.list(), int(time())
        width = max((len(stored.name) for stored in found), default=0)
        for stored in found:
            output.event("identity", _line(stored, width, now), **_fields(stored))
        if not found and not as_json:
            output.event("none", "There is none yet: 'ockam-ref identity create' makes one.")

    run_at_home(work, as_json=as_json)


@identity.command()
@_name
@parameters.as_json
def show(name: str | None, *, as_json: bool) -> None:
    """Draw the keys of an identity and what they attest.

    NAME may also be the identifier of somebody else whom you know.
    """

    async def work(home: Home, output: Output) -> None:
        shown = await _shown(home, name)
        heading = f"{shown.name}{' (default)' if shown.is_default else ''}: "
        tree = identity_tree(shown.identity, shown.attested, int(time()))
        fields = {"name": shown.name, "default": shown.is_default} | _details(shown.identity, shown.attested)
        output.event("identity", (heading if shown.name else "Somebody else: ") + tree, **fields)

    run_at_home(work, as_json=as_json)


@identity.command()
@_name
@parameters.as_json
def default(name: str | None, *, as_json: bool) -> None:
    """Say which identity is the default, or make NAME the default."""

    async def work(home: Home, output: Output) -> None:
        identities = home.identities
        stored = await identities.get() if name is None else await identities.set_default(name)
        output.event(
            "identity",
            f"{stored.name} is the default identity: {stored.identity.identifier}",
            **_fields(stored),
        )

    run_at_home(work, as_json=as_json)


@identity.command()
@_name
@_kind
@parameters.as_json
def rotate(name: str | None, kind: str | None, *, as_json: bool) -> None:
    """Give an identity a new key and destroy the old one.

    Nodes that run with this state take over the new key within two seconds and tell their peers.
    """

    async def work(home: Home, output: Output) -> None:
        stored = await home.identities.get(name)
        await home.identities.rotate(stored.name, kind=None if kind is None else _KINDS[kind])
        rotated = await home.identities.get(stored.name)
        number = len(rotated.identity.history.changes)
        sentence = f"{stored.name} has its key number {number}; {rotated.identity.identifier} stays as it is."
        output.event("identity-rotated", sentence, **_fields(rotated))

    run_at_home(work, as_json=as_json)


@identity.command()
@_name
@parameters.as_json
def export(name: str | None, *, as_json: bool) -> None:
    """Print the change history, with which others verify who you are; no secret is in it."""

    async def work(home: Home, output: Output) -> None:
        stored = await home.identities.get(name)
        output.event("identity-exported", stored.identity.history.encoded.hex(), **_fields(stored))

    run_at_home(work, as_json=as_json)


@identity.command("import")
@click.argument("history", metavar="HISTORY")
@click.option(
    "--secret-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="It is your own identity: 64 hexadecimal digits, its latest secret key.",
)
@click.option("--name", help="The name of your own identity.")
@parameters.as_json
def import_(history: str, secret_key_file: Path | None, name: str | None, *, as_json: bool) -> None:
    """Get to know somebody else's identity, or take over one of your own.

    HISTORY is what 'identity export' prints, @FILE, or - for the standard input.  A history that is older than the one
    known, or that contradicts it, is refused.
    """
    if name is not None and secret_key_file is None:
        message = "--name is for an identity of your own: it needs --secret-key-file"
        raise click.UsageError(message)

    async def work(home: Home, output: Output) -> None:
        data = _read_history(history)
        if secret_key_file is not None:
            own = await home.identities.import_(data, _read_secret(secret_key_file), name=name)
            stored = await home.identities.get(str(own.identifier))
            output.event("identity-imported", f"{stored.name} is {own.identifier}.", **_fields(stored))
            return
        found, comparison = await home.learn(data)
        output.event(
            "peer-known",
            f"{found.identifier} {_NEWS[comparison]}.",
            identifier=str(found.identifier),
            changes=len(found.history.changes),
            comparison=comparison or "unknown",
        )

    run_at_home(work, as_json=as_json)


@identity.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@parameters.as_json
def delete(name: str, *, yes: bool, as_json: bool) -> None:
    """Forget an identity and destroy its keys; nobody can ever be it again."""

    async def work(home: Home, output: Output) -> None:
        stored = await home.identities.get(name)
        await home.identities.delete(stored.name)
        output.event("identity-deleted", f"{stored.name} is gone for ever.", **_fields(stored))

    if not yes:
        click.confirm(f"Destroy the keys of {name} for ever?", abort=True, err=True)
    run_at_home(work, as_json=as_json)


class _Shown(NamedTuple):
    name: str | None
    is_default: bool
    identity: VerifiedIdentity
    attested: tuple[AttestationData, ...]


async def _shown(home: Home, name: str | None) -> _Shown:
    try:
        stored = await home.identities.get(name)
    except MisuseError:
        history = await _history_of_peer(home, name)
        if history is None:
            raise
        return _Shown(None, False, verify_change_history(decode_change_history(history)), ())
    return _Shown(stored.name, stored.is_default, stored.identity, await home.identities.attested(stored.name))


async def _history_of_peer(home: Home, name: str | None) -> bytes | None:
    try:
        return None if name is None else await home.peers.get(parse_identifier(name).value)
    except DecodeError:
        return None


def _fields(stored: StoredIdentity) -> dict[str, Any]:
    return {"name": stored.name, "default": stored.is_default} | _details(stored.identity, ())


def _details(found: VerifiedIdentity, attested: tuple[AttestationData, ...]) -> dict[str, Any]:
    details: dict[str, Any] = {
        "identifier": str(found.identifier),
        "history": found.history.encoded.hex(),
        "changes": [
            {
                "hash": shown.change_hash.hex(),
                "kind": _KIND_WORDS[shown.content.primary_public_key.kind],
                "public_key": shown.content.primary_public_key.data.hex(),
                "valid_from": shown.content.attestations_valid_from,
                "valid_until": shown.content.attestations_valid_until,
            }
            for shown in changes_of(found)
        ],
    }
    if attested:
        details["purpose_keys"] = [_attested_fields(data) for data in attested]
    return details


def _attested_fields(data: AttestationData) -> dict[str, Any]:
    key = data.public_key
    is_channel = isinstance(key, SecureChannelKey)
    return {
        "purpose": "secure-channels" if is_channel else "credentials",
        "public_key": (key.public if isinstance(key, SecureChannelKey) else key.public.data).hex(),
        "created_at": data.created_at,
        "expires_at": data.expires_at,
    }


def _line(stored: StoredIdentity, width: int, now: int) -> str:
    star = "*" if stored.is_default else " "
    found = stored.identity
    kind, began = KIND_NAMES[found.latest_key.kind], changes_of(found)[0].content.attestations_valid_from
    return f"{star} {stored.name:{width}}  {found.identifier}  {kind}, made {since(began, now)}"


def _read_history(text: str) -> bytes:
    digits = _read_text(text)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise MisuseError(
            ErrorCode.BAD_TEXT, "a change history is hexadecimal: what 'ockam-ref identity export' prints"
        ) from None


def _read_text(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MisuseError(ErrorCode.BAD_TEXT, f"{text[1:]}: {error}") from None


def _read_secret(path: Path) -> bytes:
    try:
        if S_IMODE(path.stat().st_mode) & (S_IRWXG | S_IRWXO):
            raise MisuseError(ErrorCode.STORAGE, f"{path} holds a secret key and others may read it: chmod 600 {path}")
        return bytes.fromhex(path.read_text(encoding="ascii"))
    except OSError as error:
        raise MisuseError(ErrorCode.BAD_TEXT, f"{path}: {error.strerror}") from None
    except ValueError:  # and not a word of what is in it
        raise MisuseError(ErrorCode.BAD_TEXT, f"{path} is no secret key: 64 hexadecimal digits") from None
