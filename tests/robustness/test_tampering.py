"""A relay that changes, loses, repeats or exchanges anything: a client gets the right bytes or an end, never a wrong byte."""

import threading
import time

import pytest

from tests.commands import open_portal
from tests.interop.harness import CommandLine, Peer, Relayed
from tests.interop.traffic import connect, data_of
from tests.robustness.servers import Server, assert_beginning, echo, read_to_end
from tests.robustness.tampering import TAMPERS, Direction, Frames, TamperingRelay

LENGTH = 6 * 1024 * 1024
END_S = 5.0
BACK_S = 8.0


def exchange(address: str, data: bytes, *, timeout: float) -> tuple[bytes, bool]:
    """Send, read everything that comes back until it is whole or the connection ends; return it, and whether it is."""
    with connect(address) as client:
        client.settimeout(timeout)
        sender = threading.Thread(target=push, args=(client, data), daemon=True)
        sender.start()
        got = bytearray()
        try:
            while len(got) < len(data) and (chunk := client.recv(256 * 1024)):
                got += chunk
        except ConnectionError:
            return bytes(got), False
        return bytes(got), len(got) == len(data)


def push(client: object, data: bytes) -> None:
    raise NotImplementedError
