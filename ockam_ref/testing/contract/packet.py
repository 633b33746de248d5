"""What an adapter of packets owes beyond what every adapter does: boundaries, order, and a size that it means."""

import pytest

from ockam_ref.testing.contract.acts import write_big
from ockam_ref.testing.contract.held import HeldLink
from ockam_ref.testing.contract.links import LinkContract
from ockam_ref.testing.contract.scene import Scene, scenario

LARGE_BYTES = 64 * 1024
"""The largest packet that the suite sends where packets have no bound."""


class PacketContract(LinkContract):
    """For transports of kind ``PACKET``: subclass it, override ``rig``, and pytest runs all of it."""

    @scenario
    async def test_every_write_arrives_as_one_packet_in_order(self, scene: Scene) -> None:
        """Whatever the size and the number of its chunks, both ways at once."""
        near, far = await scene.reading_pair()
        sizes = [1, 2, 3, 17, 18, 19, 100, largest(near) - 1, largest(near), 1, 7]
        packets = [bytes([number]) * min(size, largest(near)) for number, size in enumerate(sizes)]
        for packet in packets:
            near.write(packet[:1], bytearray(packet[1:2]), b"", memoryview(packet)[2:])
            far.write(packet)
        await scene.received(far, sum(map(len, packets)))
        await scene.received(near, sum(map(len, packets)))
        assert scene.host.packets[far.id] == packets
        assert scene.host.packets[near.id] == packets

    @scenario
    async def test_packets_that_waited_keep_their_boundaries(self, scene: Scene) -> None:
        near, far = await scene.pair()
        sent = write_big(scene, near)
        size = len(sent) // -(-scene.rig.big_bytes // len(sent[: largest(near)]))
        await scene.settle()
        far.start_reading()
        await scene.received(far, len(sent))
        packets = scene.host.packets[far.id]
        assert {len(packet) for packet in packets} == {len(packets[0])}
        assert len(packets[0]) >= size
        assert b"".join(packets) == sent

    @scenario
    async def test_the_largest_packet_is_stated_when_the_link_opens(self, scene: Scene) -> None:
        near, far = await scene.pair()
        assert near.mtu is None or near.mtu >= 1
        assert far.mtu is None or far.mtu >= 1

    @scenario
    async def test_a_packet_that_is_too_long_is_not_sent(self, scene: Scene) -> None:
        """Neither whole nor cut short, and the link lives on: the core never asks for it, a fault of ours might."""
        near, far = pair = await scene.reading_pair()
        if near.mtu is None:
            pytest.skip("packets of this transport can have any size")
        near.write(bytes(near.mtu + 1))
        await scene.exchange(pair)
        assert scene.host.packets[far.id] == [b"ping?"]

    @scenario
    async def test_the_end_comes_after_all_packets(self, scene: Scene) -> None:
        near, far = await scene.pair()
        sent = write_big(scene, near)
        near.close()
        far.start_reading()
        await scene.host.told_one_of(far.id, "finished", "closed")
        assert scene.host.received[far.id] == sent


def largest(link: HeldLink) -> int:
    """Return the size of the largest packet to send."""
    return min(link.mtu or LARGE_BYTES, LARGE_BYTES)
