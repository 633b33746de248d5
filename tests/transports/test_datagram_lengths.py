"""What leaves in one write and comes in one read has the lengths that it had."""

import socket
from contextlib import closing

import pytest

from ockam_transports.datagram_socket import DatagramSocket


@pytest.mark.parametrize("offload", [True, False])
def test_a_shorter_last_datagram_stays_short(offload: bool) -> None:  # noqa: FBT001  # a parameter of the test
    receiving, sending = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for sock in (receiving, sending):
        sock.bind(("127.0.0.1", 0))
    near, far = DatagramSocket(sending, offload=offload), DatagramSocket(receiving, offload=offload)
    with closing(near), closing(far):
        for last in (1, 878, 1200):
            datagrams = [bytes((number,)) * 1200 for number in range(1, 8)] + [b"z" * last]
            position = 0
            while position < len(datagrams):
                position += near.send(datagrams, position, receiving.getsockname(), 64)
            arrived: list[bytes] = []
            while len(arrived) < len(datagrams):
                try:
                    found = far.receive()
                except BlockingIOError:
                    continue
                arrived += found[1] if found else []
            assert arrived == datagrams
