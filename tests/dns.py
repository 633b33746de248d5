"""A real DNS server in a thread, and questions to it."""

from types import TracebackType
from typing import Any, Final, Self

from dnslib import QTYPE, RR, TXT, A, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer

LONG_TEXT: Final = "x" * 200
"""Fifteen of these make an answer of about 3 kB."""


class Zone(BaseResolver):  # type: ignore[misc]  # the package has no types
    """Knows ``host-N.example`` and ``long.example``; everything else has no answer."""

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        del handler
        reply, name = request.reply(), str(request.q.qname)
        if name.startswith("host-"):
            number = int(name.removeprefix("host-").partition(".")[0])
            reply.add_answer(RR(name, QTYPE.A, rdata=A(address_of(number)), ttl=60))
        elif name == "long.example.":
            for _ in range(15):
                reply.add_answer(RR(name, QTYPE.TXT, rdata=TXT(LONG_TEXT), ttl=60))
        return reply


class DnsServer:
    """The server of the package ``dnslib`` on a free port of the loopback interface."""

    def __enter__(self) -> Self:
        quiet = DNSLogger(logf=lambda _: None)
        self._server: Any = DNSServer(Zone(), address="127.0.0.1", port=0, logger=quiet)
        self._server.start_thread()
        self.address = f"127.0.0.1:{self._server.server.server_address[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        self._server.server.server_close()
        self._server.thread.join()


def address_of(number: int) -> str:
    """The address of ``host-N.example``."""
    return f"10.1.{number // 256}.{number % 256}"


def question(name: str, kind: str = "A") -> tuple[bytes, int]:
    """Return a question and its number, which the answer repeats."""
    asked: Any = DNSRecord.question(name, kind)
    return asked.pack(), asked.header.id


def answers(reply: bytes) -> tuple[int, list[str]]:
    """Return the number of a reply and what it says."""
    parsed: Any = DNSRecord.parse(reply)
    return parsed.header.id, [str(one.rdata).strip('"') for one in parsed.rr]


def ask(address: str, name: str, timeout_s: float = 10.0) -> list[str]:
    """Ask from a socket of our own and wait for the reply."""
    host, _, port = address.rpartition(":")
    asked: Any = DNSRecord.question(name)
    reply = asked.send(host, int(port), timeout=timeout_s)
    number, said = answers(reply)
    assert number == asked.header.id
    return said
