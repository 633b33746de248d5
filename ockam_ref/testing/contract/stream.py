"""What an adapter of byte streams owes beyond what every adapter does: order without boundaries, and half of an end."""

import pytest

from ockam_ref.testing.contract.acts import write_big
from ockam_ref.testing.contract.links import LinkContract
from ockam_ref.testing.contract.scene import Scene, scenario


class StreamContract(LinkContract):
    """For transports of kind ``STREAM``: subclass it, override ``rig``, and pytest runs all of it."""

    @scenario
    async def test_bytes_arrive_in_order_both_ways_at_once(self, scene: Scene) -> None:
        near, far = await scene.reading_pair()
        there, back = write_big(scene, near), write_big(scene, far)
        assert await scene.received(far, len(there)) == there
        assert await scene.received(near, len(back)) == back

    @scenario
    async def test_chunks_of_every_kind_become_one_stream(self, scene: Scene) -> None:
        """Empty ones, views of parts, thousands at once, and one byte at a time."""
        near, far = await scene.reading_pair()
        chunks = [bytes([number % 256]) * (number % 7) for number in range(3000)]
        whole = b"the end of a longer buffer"
        near.write(*chunks)
        near.write(b"", bytearray(b"array"), memoryview(whole)[4:7], b"")
        for number in range(100):
            near.write(bytes([number]))
        expected = b"".join(chunks) + b"array" + b"end" + bytes(range(100))
        assert await scene.received(far, len(expected)) == expected

    @scenario
    async def test_one_direction_ends_and_the_other_goes_on(self, scene: Scene) -> None:
        if not scene.rig.half_close:
            pytest.skip("both directions of this transport end together")
        near, far = await scene.reading_pair()
        near.write(b"question")
        near.finish_sending()
        await scene.host.told("finished", far.id)
        assert scene.host.received[far.id] == b"question"
        answer = write_big(scene, far)
        far.finish_sending()
        assert await scene.received(near, len(answer)) == answer
        await scene.host.told("finished", near.id)
        for link in (near, far):
            link.close()
            await scene.host.told("gone", link.id)

    @scenario
    async def test_the_end_comes_after_all_bytes(self, scene: Scene) -> None:
        near, far = await scene.pair()
        sent = write_big(scene, near)
        near.finish_sending()
        await scene.settle()
        assert scene.host.count("finished", far.id) == 0
        far.start_reading()
        await scene.host.told_one_of(far.id, "finished", "closed")
        assert scene.host.received[far.id] == sent

    @scenario
    async def test_abort_is_no_orderly_end(self, scene: Scene) -> None:
        """A stream that was cut must not look complete."""
        if not scene.rig.abort_is_seen:
            pytest.skip("this transport cannot tell a cut from an end")
        near, far = await scene.reading_pair()
        write_big(scene, near)
        near.abort()
        await scene.host.told("closed", far.id)
        assert scene.host.count("finished", far.id) == 0
