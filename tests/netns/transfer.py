"""The two ends of a transfer through a portal: ``server`` echoes, ``client`` sends, compares, and tells how far it is.

Run as ``python -m tests.netns.transfer server HOST:PORT`` and ``... client HOST:PORT BYTES``; prints JSON lines.
"""

import json
import random
import socket
import sys
import threading
from contextlib import suppress
from typing import Final

CHUNK: Final = 1 << 16


def serve(address: str) -> None:
    """Echo each connection until this process is told to end."""
    host, _, port = address.rpartition(":")
    with socket.create_server((host, int(port))) as listener:
        report("ready")
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=echo, args=(connection,), daemon=True).start()


def echo(connection: socket.socket) -> None:
    """Send everything back."""
    with connection, suppress(OSError):
        while data := connection.recv(CHUNK):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)


def transfer(address: str, size: int) -> None:
    """Send ``size`` bytes and read them back; tell when a quarter of them is here, and whether all were right."""
    host, _, port = address.rpartition(":")
    data = random.Random(size).randbytes(size)
    with socket.create_connection((host, int(port))) as connection:

        def push() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        threading.Thread(target=push, daemon=True).start()
        back = bytearray()
        told = False
        while chunk := connection.recv(CHUNK):
            back += chunk
            if not told and 4 * len(back) >= size:
                told = True
                report("quarter")
    report("done", bytes=len(back), same=bytes(back) == data)


def report(event: str, **fields: object) -> None:
    """Print one event."""
    print(json.dumps({"event": event, **fields}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(sys.argv[2])
    else:
        transfer(sys.argv[2], int(sys.argv[3]))
