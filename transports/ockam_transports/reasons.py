"""Operating-system errors as sentences for people; codes and numbers of a platform stop here."""

import errno
import socket
from typing import Final

_SENTENCES: Final = {
    errno.ECONNREFUSED: "nothing listens there (connection refused)",
    errno.ECONNRESET: "the other side reset the connection",
    errno.ECONNABORTED: "the connection was aborted",
    errno.EPIPE: "the other side has closed the connection",
    errno.ETIMEDOUT: "the other side does not answer (timed out)",
    errno.EHOSTUNREACH: "there is no way to that host",
    errno.ENETUNREACH: "there is no way to that network",
    errno.EADDRINUSE: "the port is taken: choose another one, or stop the program that has it",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "not permitted: ports below 1024 usually need more rights",
    errno.EMFILE: "this process has too many open files",
    errno.ENFILE: "this machine has too many open files",
}


def describe(error: OSError) -> str:
    """Return why the operating system refused, in words."""
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if error.errno in _SENTENCES:
        return _SENTENCES[error.errno]
    return (error.strerror or type(error).__name__).lower()
