"""TLS at the plain side of a portal: whom an outlet trusts, and the certificate that an inlet shows."""

import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ockam_ref.errors import ErrorCode, OckamError


def trust_for_tls(authorities: Path | None = None) -> ssl.SSLContext:
    """Return the settings of a client that trusts what the system trusts, or the authorities of a PEM file only.

    They take the end of TCP for the end of a server that says no end of TLS, as many servers do; clear their option
    ``OP_IGNORE_UNEXPECTED_EOF`` to have such a stream end with a reset.

    Raises:
        OckamError: ``TLS_FILES``, the file cannot be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=None if authorities is None else str(authorities))
    except (OSError, ValueError) as error:
        raise OckamError(ErrorCode.TLS_FILES, f"cannot trust {authorities}: {_describe(error)}") from None
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


class CertificateFiles:
    """The certificate chain and the private key of a server, in PEM files that are read again when they change.

    While what is there now cannot be used, for instance because the second file is still being written, the old
    certificate is shown; ``warn`` is told why, once for each change.

    Raises:
        OckamError: ``TLS_FILES``, they cannot be used now; the message says what to do.
    """

    def __init__(self, certificate: Path, key: Path, *, warn: Callable[[str], None] = lambda _: None) -> None:
        self._certificate = certificate
        self._key = key
        self._warn = warn
        self._stamp = self._stamp_now()
        self._context = self._load()

    def __call__(self) -> ssl.SSLContext:
        """Return the settings of the server for the next client."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._load()
            except OckamError as error:
                self._warn(f"{error}; the certificate of before is shown")
        return self._context

    def _stamp_now(self) -> tuple[tuple[int, int, int], ...]:
        """Return what changes when one of the files does; nothing for one that is not there."""
        stamps = []
        for file in (self._certificate, self._key):
            try:
                found = file.stat()
            except OSError:
                continue
            stamps.append((found.st_ino, found.st_size, found.st_mtime_ns))
        return tuple(stamps)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            if stat.S_IMODE(self._key.stat().st_mode) & stat.S_IRWXO:
                detail = f"everybody on this machine can read the private key: run 'chmod o-rwx {self._key}'"
                raise OckamError(ErrorCode.TLS_FILES, detail)
            context.load_cert_chain(self._certificate, self._key, _no_password)
        except (OSError, ValueError) as error:
            detail = f"cannot use the certificate {self._certificate} with the key {self._key}: {_describe(error)}"
            raise OckamError(ErrorCode.TLS_FILES, detail) from None
        return context


def _no_password() -> NoReturn:
    raise ValueError("the key is encrypted, and nobody is there to type its passphrase")


def _describe(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "").lower().replace("_", " ")
        return reason or "these are no PEM files, with the chain in the one and its key in the other"
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"{(error.strerror or type(error).__name__).lower()}{where}"
    return str(error)
