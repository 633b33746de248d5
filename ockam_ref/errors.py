"""The error tree, and the stable codes that vectors and callers compare.

A peer's fault is a value: machines catch what codecs raise and return it in an effect.
A programmer's fault is an exception.
"""

from enum import StrEnum


class ErrorCode(StrEnum):
    """Why something was refused; the text of a code never changes once released."""

    # decoding
    TRUNCATED = "truncated"
    TRAILING_BYTES = "trailing-bytes"
    NON_CANONICAL = "non-canonical"
    OUT_OF_RANGE = "out-of-range"
    WRONG_TYPE = "wrong-type"
    BAD_TEXT = "bad-text"
    MISSING_FIELD = "missing-field"
    UNKNOWN_VARIANT = "unknown-variant"
    TOO_LONG = "too-long"
    TOO_DEEP = "too-deep"
    UNSUPPORTED_VERSION = "unsupported-version"
    # addresses and routing
    BAD_ADDRESS = "bad-address"
    INCOMPLETE_ROUTE = "incomplete-route"
    UNKNOWN_ADDRESS = "unknown-address"
    ADDRESS_TAKEN = "address-taken"
    NOT_MY_ADDRESS = "not-my-address"
    ACCESS_DENIED = "access-denied"
    # cryptography: one code for every failed authentication, whatever the cause
    AUTHENTICATION_FAILED = "authentication-failed"
    NONCE_REJECTED = "nonce-rejected"
    NONCE_EXHAUSTED = "nonce-exhausted"
    STATE_ALREADY_USED = "state-already-used"
    # identities
    BAD_IDENTIFIER = "bad-identifier"
    BAD_HISTORY = "bad-history"
    HISTORY_CONFLICT = "history-conflict"
    HISTORY_OLDER = "history-older"
    BAD_ATTESTATION = "bad-attestation"
    BAD_CREDENTIAL = "bad-credential"
    KEY_MISMATCH = "key-mismatch"
    NO_CREDENTIAL = "no-credential"
    NOT_TRUSTED = "not-trusted"
    # the vault
    KEY_NOT_FOUND = "key-not-found"
    BAD_PUBLIC_KEY = "bad-public-key"
    # what outlives a process
    STORAGE = "storage"
    WRONG_PASSPHRASE = "wrong-passphrase"  # noqa: S105  # a reason
    NAME_TAKEN = "name-taken"
    NOT_FOUND = "not-found"
    # policies
    BAD_POLICY = "bad-policy"
    # recipes
    BAD_RECIPE = "bad-recipe"
    # time and resources
    TIMEOUT = "timeout"
    LIMIT_REACHED = "limit-reached"
    CLOSED = "closed"
    # links, portals, relays
    LINK_FAILED = "link-failed"
    NOT_INSTALLED = "not-installed"
    TLS_FILES = "tls-files"
    PROTOCOL = "protocol"
    BAD_NAME = "bad-name"
    REFUSED = "refused"
    MISUSE = "misuse"


class OckamError(Exception):
    """Base of all errors of this package."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class DecodeError(OckamError):
    """The bytes are not what they should be; ``offset`` says where it showed."""

    def __init__(self, code: ErrorCode, message: str, *, offset: int = 0) -> None:
        super().__init__(code, f"{message} (at byte {offset})")
        self.offset = offset


class PeerError(OckamError):
    """The other side broke the rules of the protocol."""


class MisuseError(OckamError):
    """The caller of this library broke the rules of its interface."""


class VerificationError(OckamError):
    """A signature, a history, an attestation or a policy said no."""


class VaultError(OckamError):
    """A vault has no such key, or cannot do with it what was asked."""


class StorageError(OckamError):
    """What outlives a process cannot be read or written; the message says what to do."""
