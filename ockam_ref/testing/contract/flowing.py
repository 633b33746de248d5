"""Opening, reading and pushing back: what every adapter owes, whatever its links carry."""

import pytest

from ockam_ref.testing.contract.acts import MANY, write_big
from ockam_ref.testing.contract.scene import Contract, Scene, scenario


class FlowingContract(Contract):
    """Bytes go where they should, and only when they should."""

    # ---- opening

    @scenario
    async def test_the_address_of_a_listener_leads_to_it(self, scene: Scene) -> None:
        """What the listener calls itself can be given to ``open`` as it is, and is a text that people can copy."""
        assert scene.listener.address == scene.listener.address.strip() != ""
        assert scene.listener.address.isprintable()
        pair = await scene.reading_pair()
        await scene.exchange(pair)

    @scenario
    async def test_what_is_written_while_opening_is_sent(self, scene: Scene) -> None:
        near = scene.open(scene.rig.target_of(scene.listener.address))
        near.write(b"early")
        near.report_drained()
        near.report_relieved()
        far = await scene.accepted(0)
        far.start_reading()
        assert await scene.received(far, 5) == b"early"
        await scene.host.told("drained", near.id)
        await scene.host.told("relieved", near.id)
        assert near.buffered == 0

    @scenario
    async def test_many_links_are_kept_apart(self, scene: Scene) -> None:
        if not scene.rig.many_links:
            pytest.skip("this transport has one link at a time")
        pairs = [await scene.reading_pair() for _ in range(MANY)]
        for number, (near, far) in enumerate(pairs):
            near.write(b"to %03d" % number)
            far.write(b"re %03d" % number)
        for number, (near, far) in enumerate(pairs):
            assert await scene.received(far, 6) == b"to %03d" % number
            assert await scene.received(near, 6) == b"re %03d" % number
        assert len({link.id for pair in pairs for link in pair}) == 2 * MANY

    @scenario
    async def test_a_link_can_be_opened_again_and_again(self, scene: Scene) -> None:
        for _ in range(5):
            near, far = pair = await scene.reading_pair()
            await scene.exchange(pair)
            near.close()
            far.close()
            await scene.host.told("gone", near.id)
            await scene.host.told("gone", far.id)

    # ---- reading

    @scenario
    async def test_nothing_is_told_before_reading_starts(self, scene: Scene) -> None:
        """The listed fault is in the host: bytes that come in while nobody reads."""
        near, far = await scene.pair()
        near.write(b"to the far end")
        far.write(b"to the near end")
        await scene.settle()
        far.start_reading()
        assert await scene.received(far, 14) == b"to the far end"
        near.start_reading()
        assert await scene.received(near, 15) == b"to the near end"

    @scenario
    async def test_stop_reading_stops_at_once(self, scene: Scene) -> None:
        """Also from inside ``bytes_received``, where most calls of it come from; twice is as good as once."""
        near, far = await scene.pair()
        scene.host.on_bytes = lambda link: far.stop_reading() if link == far.id else None
        far.start_reading()
        far.start_reading()
        near.write(b"one")
        await scene.received(far, 3)
        near.write(b"two")
        far.stop_reading()
        await scene.settle()
        assert scene.host.received[far.id] == b"one"
        scene.host.on_bytes = lambda _: None
        far.start_reading()
        assert await scene.received(far, 6) == b"onetwo"

    # ---- pushing back

    @scenario
    async def test_an_idle_link_is_drained_and_relieved_at_once(self, scene: Scene) -> None:
        near, _ = await scene.pair()
        near.report_drained()
        near.report_relieved()
        near.flush()
        await scene.host.told("drained", near.id)
        await scene.host.told("relieved", near.id)

    @scenario
    async def test_a_side_that_does_not_read_fills_its_sender(self, scene: Scene) -> None:
        """``buffered`` is honest: it grows when nobody takes the bytes and ends at nothing when all are taken."""
        near, far = await scene.pair()
        sent = write_big(scene, near)
        await scene.settle()
        assert scene.rig.low_water_bytes < near.buffered <= len(sent)
        held = near.buffered
        await scene.settle()
        assert near.buffered == held, "bytes go somewhere although nobody reads"
        near.report_drained()
        far.start_reading()
        assert await scene.received(far, len(sent)) == sent
        await scene.host.told("drained", near.id)
        assert near.buffered == 0

    @scenario
    async def test_drained_is_told_once_for_all_that_was_written_before(self, scene: Scene) -> None:
        near, far = await scene.pair()
        sent = write_big(scene, near)
        near.report_drained()
        near.report_drained()
        await scene.settle()
        assert scene.host.count("drained", near.id) == 0
        far.start_reading()
        await scene.received(far, len(sent))
        await scene.host.told("drained", near.id)
        await scene.settle()
        assert scene.host.count("drained", near.id) == 1

    @scenario
    async def test_relieved_is_told_once_at_the_low_water_mark(self, scene: Scene) -> None:
        near, far = await scene.pair()
        sent = write_big(scene, near)
        near.report_relieved()
        await scene.settle()
        assert scene.host.count("relieved", near.id) == 0
        far.start_reading()
        await scene.host.told("relieved", near.id)
        assert near.buffered <= scene.rig.low_water_bytes
        await scene.received(far, len(sent))
        await scene.settle()
        assert scene.host.count("relieved", near.id) == 1
