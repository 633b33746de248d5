"""The table of what is proved against the real peer: its rows, its cells, and how it is kept in a file."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tests.interop.traffic import BULK
from tests.processes import REPOSITORY

RESULTS: Final = REPOSITORY / "docs" / "interop.json"
PAGE: Final = REPOSITORY / "docs" / "interop.rst"
_MANIFEST: Final = Path(__file__).resolve().parent / "rust_peer" / "Cargo.toml"

DIRECTIONS: Final = (("python", "rust"), ("rust", "python"), ("python", "python"))
"""Initiator and responder of the columns."""

CONTROL: Final = ("rust", "rust")
"""Run as a check of the tests themselves, and no part of the table."""


class Row(StrEnum):
    """One way to use the protocols; the value is the name in test ids and in the file."""

    ECHO_TCP = "echo-tcp"
    ECHO_CHANNEL = "echo-channel"
    PORTAL_PLAIN = "portal-plain"
    PORTAL_CHANNEL = "portal-channel"
    PORTAL_RELAY = "portal-channel-relay"
    TWO_HOPS = "two-hops"
    ECHO_UDP = "echo-udp"
    ECHO_UDP_CHANNEL = "echo-udp-channel"
    TCP_THEN_UDP = "tcp-then-udp"
    UDP_THEN_TCP = "udp-then-tcp"
    HISTORY = "history"
    CREDENTIAL = "credential"
    ROTATED_CLIENT = "rotated-client"
    ROTATED_SERVER = "rotated-server"
    POLICY = "policy"
    PORTAL_POLICY = "portal-policy"
    RELAY_CREDENTIAL = "relay-credential"
    ENROLMENT = "enrolment"
    REFRESH = "credential-refresh"
    EXCHANGE = "credentials-exchange"


TITLES: Final[Mapping[Row, str]] = {
    Row.ECHO_TCP: "Echo over TCP",
    Row.ECHO_CHANNEL: "Echo over a secure channel",
    Row.PORTAL_PLAIN: "Portal, plain",
    Row.PORTAL_CHANNEL: "Portal in a secure channel",
    Row.PORTAL_RELAY: "Portal in a secure channel over the relay of a hub",
    Row.TWO_HOPS: "Echo over a secure channel over two TCP hops",
    Row.ECHO_UDP: "Echo over UDP",
    Row.ECHO_UDP_CHANNEL: "Echo over a secure channel over UDP",
    Row.TCP_THEN_UDP: "Echo over a secure channel over TCP, then UDP",
    Row.UDP_THEN_TCP: "Echo over a secure channel over UDP, then TCP",
    Row.HISTORY: "A change history that the first made and rotated, verified by the second",
    Row.CREDENTIAL: "A credential that the first issued, verified by the second",
    Row.ROTATED_CLIENT: "A client that rotated its key is recognised, and refused with its older history",
    Row.ROTATED_SERVER: "A server that rotated its key is recognised, and refused with its older history",
    Row.POLICY: "A policy of the second admits or refuses the first by its credential",
    Row.PORTAL_POLICY: "A portal with a policy at either end: an inlet of the first, an outlet of the second",
    Row.RELAY_CREDENTIAL: "An outlet of the first gets a relay on a hub of the second if its credential names it",
    Row.ENROLMENT: "The first enrols with a ticket, gets credentials and manages members at an authority of the second",
    Row.REFRESH: "A credential is replaced on an open channel before it expires",
    Row.EXCHANGE: "The lineage program 06-credentials-exchange",
}

TRUST: Final = frozenset(
    {
        Row.HISTORY,
        Row.CREDENTIAL,
        Row.ROTATED_CLIENT,
        Row.ROTATED_SERVER,
        Row.POLICY,
        Row.PORTAL_POLICY,
        Row.RELAY_CREDENTIAL,
        Row.ENROLMENT,
        Row.REFRESH,
        Row.EXCHANGE,
    }
)
"""The rows about who may do what; those of the others carry much data."""

THROUGH: Final[Mapping[Row, str]] = {
    Row.PORTAL_RELAY: "hub",
    Row.TWO_HOPS: "middle node",
    Row.TCP_THEN_UDP: "middle node",
    Row.UDP_THEN_TCP: "middle node",
    Row.REFRESH: "authority",
    Row.EXCHANGE: "authority",
}
"""Rows where a third node takes part, and what it is."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One row for one initiator, one responder and, where one takes part, one node between them."""

    row: Row
    initiator: str
    responder: str
    between: str | None = None

    @property
    def id(self) -> str:
        """The name of the cell in test ids and in the file."""
        between = [self.between] if self.between else []
        return "-".join([self.row, *[self.initiator, *between, self.responder]])

    @property
    def in_table(self) -> bool:
        """Whether a Python node takes part as an end."""
        return (self.initiator, self.responder) != CONTROL

    @property
    def implementations(self) -> frozenset[str]:
        """The implementations that this cell needs."""
        return frozenset({self.initiator, self.responder, self.between or self.responder})


def cells() -> Iterator[Cell]:
    """Yield every cell, those of the control included."""
    for row in Row:
        for initiator, responder in (*DIRECTIONS, CONTROL):
            for between in ("rust", "python") if row in THROUGH else (None,):
                yield Cell(row, initiator, responder, between)


TABLE: Final = tuple(cell for cell in cells() if cell.in_table)


def peer_version() -> str:
    """Return the version of the peer's library, as pinned in its manifest."""
    found = re.search(r'^ockam = "=([0-9.]+)"$', _MANIFEST.read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{_MANIFEST} does not pin the version of ockam")
    return found[1]


def results_text(outcomes: Mapping[str, str]) -> str:
    """Return the file for the outcome of every cell, by id."""
    document = {
        "bytes_each_way": BULK,
        "cells": {cell.id: outcomes[cell.id] for cell in TABLE},
        "peer": f"ockam {peer_version()}",
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def page_text(document: Mapping[str, Any]) -> str:
    """Return the page of the documentation for the content of the file."""
    mebibytes = document["bytes_each_way"] // (1024 * 1024)
    outcomes = document["cells"]
    lines = [
        "Interoperability",
        "================",
        "",
        f"What was run against the Rust implementation, crate ``{document['peer']}``, by the tests of ``tests/interop``.",
        "The side named first opens the connection.",
        "This page is written by a run of those tests; ``tests/interop/write_table.py`` makes it from ``interop.json``.",
        "",
        "Messages and bytes",
        "------------------",
        "",
        f"Every cell carries at least {mebibytes} MiB each way, compared byte for byte.",
        "",
        *_table([row for row in Row if row not in TRUST], outcomes),
        "",
        "Who may do what",
        "---------------",
        "",
        "Identities, credentials, policies and authorities. The Rust authority is that of crate ``ockam_api``.",
        "",
        *_table([row for row in Row if row in TRUST], outcomes),
    ]
    return "\n".join(lines) + "\n"


def _table(rows: Iterable[Row], outcomes: Mapping[str, str]) -> list[str]:
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        *_row("", "Through", *(f"{left.title()} to {right.title()}" for left, right in DIRECTIONS)),
    ]
    for row in rows:
        for between in ("rust", "python") if row in THROUGH else (None,):
            through = f"a {between.title()} {THROUGH[row]}" if between else ""
            found = (outcomes[Cell(row, left, right, between).id] for left, right in DIRECTIONS)
            lines += _row(TITLES[row], through, *found)
    return lines


def _row(*cells: str) -> list[str]:
    first, *others = cells
    return [f"   * - {first}".rstrip(), *(f"     - {cell}".rstrip() for cell in others)]
