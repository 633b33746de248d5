"""What a service of an authority is asked, and what it says before that is a response on the wire."""

from typing import Final, NamedTuple, TypeAlias

from ockam_ref.authority.book import Book, Change
from ockam_ref.authority.roles import Settings
from ockam_ref.identities.identifier import Identifier
from ockam_ref.wire.api import Method
from ockam_ref.wire.cursor import Buffer


class Caller(NamedTuple):
    """Who asks, proved by the secure channel; the hash of its latest change goes into its credential."""

    identifier: Identifier
    latest_change_hash: bytes | None = None


class Drawn(NamedTuple):
    """What is random in an answer: the id of the response, a one-time code, the code's name for people."""

    response_id: int
    code: bytes
    reference: str


class Asked(NamedTuple):
    """A request and all that its answer depends on; ``now`` in seconds since 1970."""

    book: Book
    settings: Settings
    caller: Caller
    method: Method | None
    path: str
    body: Buffer
    drawn: Drawn
    now: int

    @property
    def who(self) -> Identifier:
        """The identifier of who asks."""
        return self.caller.identifier


class Granted(NamedTuple):
    """The answer is 200; ``changes`` are to be kept before anybody hears of it."""

    body: bytes = b""
    changes: tuple[Change, ...] = ()


class Refused(NamedTuple):
    """The answer is 403; ``counts_as_guess`` is a code that did not work."""

    why: str
    counts_as_guess: bool = False
    changes: tuple[Change, ...] = ()


class Unknown(NamedTuple):
    """The answer is 400: there is no such path, or not with that method."""


class Unreadable(NamedTuple):
    """The answer is 400: the body or the path is not what it should be."""

    why: str


class Broken(NamedTuple):
    """The answer is 500."""

    why: str


Verdict: TypeAlias = Granted | Refused | Unknown | Unreadable | Broken

UNKNOWN: Final = Unknown()
