"""Change histories: how an identity proves which key is its own today (facts 03 section 3).

A history is a chain of changes, each signed by the key it introduces and by the key before it.  The hash of the first
change is the identifier.  Only ``verify_change_history`` makes a ``VerifiedIdentity``; nothing further accepts less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, VerificationError
from ockam_ref.identities.identifier import IDENTIFIER_LENGTH, Identifier
from ockam_ref.identities.keys import (
    PublicKey,
    Signature,
    SigningKey,
    encode_public_key,
    encode_signature,
    read_fixed_bytes,
    read_optional_signature,
    read_public_key,
    read_signature,
    verify_signature,
)
from ockam_ref.identities.versioned_data import (
    CURRENT_VERSION,
    DataType,
    decode_versioned_data,
    digest_of,
    encode_versioned_data,
)
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Buffer, Cursor

DEFAULT_IDENTITY_TTL_S: Final = 10 * 365 * 86_400
"""Seconds for which the peer lets the key of a new identity attest."""
HISTORY_MEMO_ENTRIES: Final = 1024
"""Verified histories that are remembered."""
HISTORY_MEMO_BYTES: Final = 1024
"""The longest history that is remembered; longer ones (of about five changes and more) are verified each time."""


class Change(NamedTuple):
    """One key of an identity; ``data`` is what was hashed and signed, as received."""

    data: bytes
    signature: Signature
    previous_signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class ChangeHistory:
    """The changes, oldest first, and their encoding in normal form, by which two histories are equal or not.

    Nothing is verified yet.
    """

    changes: tuple[Change, ...] = field(compare=False, repr=False)
    encoded: bytes = field(init=False)

    def __post_init__(self) -> None:
        encoded = cbor.array_head(len(self.changes)) + b"".join(map(_encode_change, self.changes))
        object.__setattr__(self, "encoded", encoded)


class ChangeData(NamedTuple):
    """What a change says.  ``revoke_all_purpose_keys`` has no effect: any rotation revokes them (facts 03 section 14).

    The times, in seconds since 1970, bound what the key may attest and nothing else.
    """

    previous_change: bytes | None
    primary_public_key: PublicKey
    revoke_all_purpose_keys: bool
    attestations_valid_from: int
    attestations_valid_until: int


class VerifiedIdentity(NamedTuple):
    """An identity whose whole history was verified.  The times, in seconds since 1970, are those of the latest key."""

    identifier: Identifier
    history: ChangeHistory
    latest_key: PublicKey
    latest_change_hash: bytes
    valid_from: int
    valid_until: int


class Comparison(StrEnum):
    """How a history stands to the one that is known."""

    EQUAL = "equal"
    NEWER = "newer"
    OLDER = "older"
    CONFLICT = "conflict"


# bytes


def read_change_history(cursor: Cursor) -> ChangeHistory:
    """Read a history and leave what follows it; a history without changes decodes, and fails to verify.

    Raises:
        DecodeError: no history.  What the changes say is looked at when they are verified.
    """
    return ChangeHistory(cbor.read_list(cursor, _read_change))


def decode_change_history(data: Buffer) -> ChangeHistory:
    """Decode an exported history; like the peer, pass over what follows it.  Raises as ``read_change_history``."""
    return read_change_history(Cursor(data))


def decode_change_data(data: Buffer) -> ChangeData:
    """Decode what a change says, without its envelope of version and type.

    Raises:
        DecodeError: no ChangeData.
    """
    fields = cbor.Fields(Cursor(data), "ChangeData")
    decoded = ChangeData(
        fields.optional(read_change_hash),
        fields.required(read_public_key),
        fields.required(cbor.read_bool),
        fields.required(cbor.read_uint),
        fields.required(cbor.read_uint),
    )
    fields.finish()
    return decoded


def encode_change_data(data: ChangeData) -> bytes:
    """Return what goes into the VersionedData of a change."""
    return cbor.encode_fields(
        None if data.previous_change is None else cbor.encode_bytes(data.previous_change),
        encode_public_key(data.primary_public_key),
        cbor.encode_bool(data.revoke_all_purpose_keys),
        cbor.encode_uint(data.attestations_valid_from),
        cbor.encode_uint(data.attestations_valid_until),
    )


def read_change_hash(cursor: Cursor) -> bytes:
    """Read the 32 bytes of an identifier or of another change hash; ``DecodeError`` for another length."""
    return read_fixed_bytes(cursor, IDENTIFIER_LENGTH)


def _read_change(cursor: Cursor) -> Change:
    fields = cbor.Fields(cursor, "Change")
    data, signature = fields.required(cbor.read_bytes), fields.required(read_signature)
    previous_signature = fields.optional(read_optional_signature)
    fields.finish()
    return Change(data, signature, previous_signature)


def _encode_change(change: Change) -> bytes:
    previous = change.previous_signature
    return cbor.encode_fields(
        cbor.encode_bytes(change.data),
        encode_signature(change.signature),
        None if previous is None else encode_signature(previous),
    )


# making


def create_identity(key: SigningKey, *, valid_from: int, valid_until: int) -> VerifiedIdentity:
    """Return a new identity of that key; the times, in seconds since 1970, bound what the key may attest.

    Raises:
        MisuseError: a time that is negative or does not fit in 64 bits.
    """
    return verify_change_history(ChangeHistory((_make_change(None, key, valid_from, valid_until),)))


def rotate_identity(
    identity: VerifiedIdentity,
    old_key: SigningKey,
    new_key: SigningKey,
    *,
    valid_from: int,
    valid_until: int,
    revoke_all_purpose_keys: bool = False,
) -> VerifiedIdentity:
    """Return the identity with one more key.  All purpose keys are void with it, and the old key should be destroyed.

    Raises:
        MisuseError: ``old_key`` is not the identity's latest key, or a time is out of range.
        VerificationError: the new key would be valid before the old one.
    """
    if old_key.public != identity.latest_key:
        raise MisuseError(ErrorCode.KEY_MISMATCH, "the old key is not the latest key of the identity")
    change = _make_change(identity.latest_change_hash, new_key, valid_from, valid_until, revoke=revoke_all_purpose_keys)
    change = Change(change.data, change.signature, old_key.sign(digest_of(change.data)))
    return verify_change_history(ChangeHistory((*identity.history.changes, change)), expected=identity.identifier)


def _make_change(
    previous: bytes | None, key: SigningKey, valid_from: int, valid_until: int, *, revoke: bool = False
) -> Change:
    content = encode_change_data(ChangeData(previous, key.public, revoke, valid_from, valid_until))
    data = encode_versioned_data(DataType.CHANGE, content)
    return Change(data, key.sign(digest_of(data)))


# verifying


class _Inspected(NamedTuple):
    """A change whose content was decoded, and its hash."""

    change_hash: bytes
    content: ChangeData


def verify_change_history(history: ChangeHistory, *, expected: Identifier | None = None) -> VerifiedIdentity:
    """Verify a whole history in the two passes of the peer (facts 03 section 3.5).  The clock has no part in it.

    The latest short histories that were found good are remembered, because verifying one takes as long as its
    signatures do.

    Raises:
        VerificationError: ``BAD_HISTORY`` for a broken chain, a wrong signature, no change at all or another
            identifier than ``expected``; ``UNSUPPORTED_VERSION``; ``WRONG_TYPE`` for signed data of another type;
            ``KEY_MISMATCH`` for a signature of another kind than the key; the code of a ``DecodeError`` for signed
            data that does not decode.
    """
    verify = _verify_remembered if len(history.encoded) <= HISTORY_MEMO_BYTES else _verify
    identity = verify(history)
    if expected is not None and identity.identifier != expected:
        raise _bad(f"the history is that of {identity.identifier}, not of {expected}")
    return identity


def _verify(history: ChangeHistory) -> VerifiedIdentity:
    inspected = _check_chain(history.changes)
    _check_signatures(history.changes, inspected)
    if not inspected:
        raise _bad("a history has at least one change")
    latest = inspected[-1]
    return VerifiedIdentity(
        Identifier(inspected[0].change_hash),
        history,
        latest.content.primary_public_key,
        latest.change_hash,
        latest.content.attestations_valid_from,
        latest.content.attestations_valid_until,
    )


_verify_remembered = lru_cache(maxsize=HISTORY_MEMO_ENTRIES)(_verify)


def _check_chain(changes: Sequence[Change]) -> list[_Inspected]:
    """Run pass 1: everything but the signatures."""
    inspected: list[_Inspected] = []
    for index, change in enumerate(changes):
        current = _inspect(index, change)
        content = current.content
        # The peer refuses a falling version too; as long as there is only one version, none can fall.
        if index:
            previous = inspected[-1]
            if previous.content.attestations_valid_from > content.attestations_valid_from:
                raise _bad(f"change {index}: its key is valid before the one it replaces")
            if content.previous_change != previous.change_hash:
                raise _bad(f"change {index}: it does not follow the change before it")
        elif content.previous_change is not None:
            raise _bad("the first change says that there is one before it")
        inspected.append(current)
    return inspected


def _inspect(index: int, change: Change) -> _Inspected:
    try:
        signed = decode_versioned_data(change.data)
        if signed.version != CURRENT_VERSION:
            raise VerificationError(ErrorCode.UNSUPPORTED_VERSION, f"change {index}: version {signed.version}")
        if signed.data_type != DataType.CHANGE:
            raise VerificationError(ErrorCode.WRONG_TYPE, f"change {index}: signed data of type {signed.data_type}")
        return _Inspected(digest_of(change.data), decode_change_data(signed.data))
    except DecodeError as error:
        raise VerificationError(error.code, f"change {index}: {error}") from error


def _check_signatures(changes: Sequence[Change], inspected: Sequence[_Inspected]) -> None:
    """Run pass 2."""
    previous_key: PublicKey | None = None
    for index, (change, (change_hash, content)) in enumerate(zip(changes, inspected, strict=True)):
        if previous_key is not None:
            if change.previous_signature is None:
                raise _bad(f"change {index}: the key before it did not sign")
            _check_signature(f"change {index}: the previous key", previous_key, change_hash, change.previous_signature)
        _check_signature(f"change {index}: its own key", content.primary_public_key, change_hash, change.signature)
        previous_key = content.primary_public_key


def _check_signature(signer: str, key: PublicKey, change_hash: bytes, signature: Signature) -> None:
    try:
        verify_signature(key, change_hash, signature)
    except VerificationError as error:
        code = error.code if error.code is ErrorCode.KEY_MISMATCH else ErrorCode.BAD_HISTORY
        raise VerificationError(code, f"{signer}: {error}") from error


def _bad(message: str) -> VerificationError:
    return VerificationError(ErrorCode.BAD_HISTORY, message)


def compare_histories(current: ChangeHistory, known: ChangeHistory) -> Comparison:
    """Say how a history stands to the one that is known (facts 03 section 3.6).

    Changes are the same when their signed data is: signatures count for nothing, since a second valid one can be made
    from any signature of P-256 without the key.
    """
    for one, other in zip(current.changes, known.changes, strict=False):
        if one.data != other.data:
            return Comparison.CONFLICT
    difference = len(current.changes) - len(known.changes)
    if difference == 0:
        return Comparison.EQUAL
    return Comparison.NEWER if difference > 0 else Comparison.OLDER
