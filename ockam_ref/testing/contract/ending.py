"""Ends, of ours and of others: what every adapter owes, whatever its links carry."""

import pytest

from ockam_ref.testing.contract.acts import link_in_state, use_every_call, write_big
from ockam_ref.testing.contract.rig import Rig
from ockam_ref.testing.contract.scene import Contract, Pair, Run, Scene, scenario


class EndingContract(Contract):
    """Every link ends once, and is silent then."""

    # ---- ends

    @scenario
    async def test_close_sends_what_was_given_first(self, scene: Scene) -> None:
        near, far = await scene.pair()
        far.write(b"nobody will read this")
        sent = write_big(scene, near)
        near.close()
        far.start_reading()
        assert await scene.received(far, len(sent)) == sent
        await scene.host.told_one_of(far.id, "finished", "closed")
        if scene.host.count("closed", far.id) == 0:
            far.close()
        await scene.host.told("gone", near.id)

    @pytest.mark.parametrize("ending", ["close", "abort"])
    @pytest.mark.parametrize("state", ["opening", "named", "open", "reading", "full", "finished", "ended"])
    @scenario
    async def test_after_its_end_a_link_tells_that_it_is_gone_and_nothing_else(
        self, scene: Scene, state: str, ending: str
    ) -> None:
        """In every state, and whatever is asked of it afterwards; the host checks that ``gone`` is told once."""
        near, far = await link_in_state(scene, state)
        getattr(near, ending)()
        use_every_call(near)
        near.is_reading = False
        if far is not None and not scene.host.is_over(far.id):
            far.abort()
        await scene.host.told("gone", near.id)
        await scene.settle()
        assert near.buffered == 0

    @scenario
    async def test_close_and_then_abort(self, scene: Scene) -> None:
        """An orderly end that takes too long is cut short; the host checks that ``gone`` is told once."""
        near, _ = await scene.pair()
        write_big(scene, near)
        near.close()
        await scene.settle()
        assert scene.host.count("gone", near.id) == 0
        near.abort()
        await scene.host.told("gone", near.id)
        await scene.settle()

    @scenario
    async def test_close_from_inside_bytes_received(self, scene: Scene) -> None:
        near, far = await scene.pair()
        scene.host.on_bytes = lambda link: far.close() if link == far.id else None
        far.start_reading()
        near.start_reading()
        near.write(b"this is too much")
        near.write(b"and so is this")
        await scene.host.told_one_of(near.id, "finished", "closed")
        near.close()
        await scene.host.told("gone", far.id)

    @scenario
    async def test_an_end_of_the_other_side_is_told_once(self, scene: Scene) -> None:
        near, far = await scene.reading_pair()
        await scene.exchange(Pair(near, far))
        far.abort()
        kind = await scene.host.told_one_of(near.id, "closed", "finished")
        await scene.settle()
        assert scene.host.count(kind, near.id) == 1
        if scene.host.is_over(near.id):
            use_every_call(near)
            near.close()
            near.abort()
            await scene.settle()
            assert scene.host.count("gone", near.id) == 0, "the link was over already"

    # ---- the other side is no friend

    def test_a_half_dead_peer_is_given_up(self, run: Run, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """It neither reads nor writes nor ends: ``close`` is bounded in time nevertheless."""
        rig.hurry(monkeypatch)

        async def main() -> None:
            async with Scene(rig) as scene:
                silent, _ = await scene.pair()
                silent.close()
                await scene.host.told("gone", silent.id)
                full, _ = await scene.pair()
                write_big(scene, full)
                full.close()
                await scene.host.told("gone", full.id)

        run(main(), rig.deadline_s)

    @pytest.mark.parametrize("garbage", [b"\x00", b"\xff" * 64, b"GET / HTTP/1.0\r\n\r\n", bytes(range(256)) * 40])
    @scenario
    async def test_garbage_does_no_harm(self, scene: Scene, garbage: bytes) -> None:
        """It is told as bytes, or it ends that one link, with or without a word; the listener goes on."""
        peer = await scene.rig.raw_peer(scene.rig.target_of(scene.listener.address))
        if peer is None:
            pytest.skip("the rig has no raw peer")
        try:
            await peer.send(garbage)
            await scene.settle()
            for link in list(scene.host.accepted):
                if link.id not in scene.host.held:
                    scene.hold(link).start_reading()
            await scene.settle()
        finally:
            peer.reset()
            peer.close()
        await scene.settle()
        await scene.exchange(await scene.reading_pair())

    @scenario
    async def test_a_peer_that_vanishes_is_told_or_freed(self, scene: Scene) -> None:
        peer = await scene.rig.raw_peer(scene.rig.target_of(scene.listener.address))
        if peer is None:
            pytest.skip("the rig has no raw peer")
        peer.reset()
        peer.close()
        await scene.settle()
        await scene.exchange(await scene.reading_pair())
