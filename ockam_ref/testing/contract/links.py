"""What every adapter owes, whatever its links carry: opening, reading, pushing back, ending, refusing, no leaks."""

from typing import Final

import pytest

from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.testing.contract.leaks import Leaks
from ockam_ref.testing.contract.nodes import NodesContract
from ockam_ref.testing.contract.noting_host import HeldLink
from ockam_ref.testing.contract.rig import Rig
from ockam_ref.testing.contract.scene import Pair, Run, Scene, scenario
from ockam_transports.base import LOW_WATER_BYTES

FAILURES: Final = 1000
"""How often opening fails before what is left is counted."""

MANY: Final = 20
"""Links that are open at a time."""

_WRITE_BYTES: Final = 64 * 1024


class LinkContract(NodesContract):
    """The tests that stream and packet transports share; see ``StreamContract`` and ``PacketContract``.

    A class of yours overrides the fixture ``rig``; pytest finds the rest.
    """

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
        assert LOW_WATER_BYTES < near.buffered <= len(sent)
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
        assert near.buffered <= LOW_WATER_BYTES
        await scene.received(far, len(sent))
        await scene.settle()
        assert scene.host.count("relieved", near.id) == 1

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

    # ---- refusals

    @scenario
    async def test_an_address_at_which_nobody_listens_is_a_sentence(self, scene: Scene) -> None:
        target = await nobody_at(scene)
        near = scene.open(target)
        check_sentence(scene, await scene.host.told("failed", near.id), target)
        use_every_call(near)
        near.close()
        near.abort()
        await scene.settle()
        assert scene.host.count("gone", near.id) == 0, "the link was over already"

    @scenario
    async def test_an_address_that_cannot_be_read_is_a_sentence(self, scene: Scene) -> None:
        for target in scene.rig.nonsense:
            near = scene.open(target)
            check_sentence(scene, await scene.host.told("failed", near.id), target)
            with pytest.raises(OckamError) as caught:
                await scene.listen(target)
            check_sentence(scene, str(caught.value), target)

    @scenario
    async def test_a_name_that_nobody_knows_is_a_sentence(self, scene: Scene) -> None:
        target = scene.rig.unresolvable
        if target is None:
            pytest.skip("this transport looks no names up")
        near = scene.open(target)
        check_sentence(scene, await scene.host.told("failed", near.id), target)

    @scenario
    async def test_an_address_that_is_not_ours_to_take_is_a_sentence(self, scene: Scene) -> None:
        target = scene.rig.not_permitted
        if target is None:
            pytest.skip("every address may be taken here")
        with pytest.raises(OckamError) as caught:
            await scene.listen(target)
        assert caught.value.code is ErrorCode.LINK_FAILED
        check_sentence(scene, str(caught.value), target)

    @scenario
    async def test_an_address_that_is_taken_is_a_sentence(self, scene: Scene) -> None:
        if not scene.rig.one_listener:
            pytest.skip("several may listen at one address")
        with pytest.raises(OckamError) as caught:
            await scene.listen(scene.listener.address)
        assert caught.value.code is ErrorCode.LINK_FAILED
        check_sentence(scene, str(caught.value), scene.listener.address)
        await scene.exchange(await scene.reading_pair())

    # ---- listeners

    @scenario
    async def test_a_closed_listener_leaves_its_links_and_its_address(self, scene: Scene) -> None:
        pair = await scene.reading_pair()
        address = scene.listener.address
        scene.listener.close()
        scene.listener.close()
        scene.listeners.clear()
        refused = scene.open(scene.rig.target_of(scene.listener.address))
        await scene.host.told("failed", refused.id)
        await scene.exchange(pair)
        for link in pair:
            link.close()
            await scene.host.told("gone", link.id)
        again = await scene.listen(address)
        assert again.address == address
        await scene.exchange(await scene.reading_pair(again))

    # ---- leaks

    @pytest.mark.parametrize("why", ["refused", "unreadable", "given up"])
    def test_a_thousand_failures_leave_nothing(self, run: Run, rig: Rig, why: str) -> None:
        """No socket, no task, no memory: counted after 100 and again after 1,000 more."""

        async def main() -> None:
            async with Scene(rig) as scene:
                target = await nobody_at(scene)
                targets = {
                    "refused": target,
                    "unreadable": rig.nonsense[0],
                    "given up": rig.target_of(scene.listener.address),
                }
                await fail(scene, targets[why], FAILURES // 10, give_up=why == "given up")
                leaks = Leaks()
                await fail(scene, targets[why], FAILURES, give_up=why == "given up")
                leaks.check()

        run(main(), 6 * rig.deadline_s)


def write_big(scene: Scene, link: HeldLink) -> bytes:
    """Write more than fits between two ends, in pieces that the link takes; return it."""
    size = min(_WRITE_BYTES, link.mtu or _WRITE_BYTES)
    block = bytes(range(251)) * (size // 251 + 1)
    pieces = []
    for number in range(-(-scene.rig.big_bytes // size)):
        pieces.append(number.to_bytes(4, "big") + block[: size - 4])
        link.write(pieces[-1])
    return b"".join(pieces)


async def link_in_state(scene: Scene, state: str) -> tuple[HeldLink, HeldLink | None]:
    """Return a link in that state, and its other end if there is one already."""
    if state == "opening":
        return scene.open(scene.rig.target_of(scene.listener.address)), None
    near, far = await scene.pair()
    if state == "named":
        near.write(b"a few bytes")
    elif state == "reading":
        near.start_reading()
    elif state == "full":
        write_big(scene, near)
    elif state == "finished":
        near.finish_sending()
    elif state == "ended":
        near.start_reading()
        far.finish_sending()
        if scene.rig.half_close:
            await scene.host.told("finished", near.id)
    return near, far


def use_every_call(link: HeldLink) -> None:
    """Make every call there is on a link that is over: nothing may come of it."""
    link.write(b"nobody there")
    link.stop_reading()
    link.start_reading()
    link.finish_sending()
    link.report_drained()
    link.report_relieved()


async def nobody_at(scene: Scene) -> str:
    """Return an address in good form at which nobody listens: somebody did a moment ago."""
    listener = await scene.listen()
    target = scene.rig.target_of(listener.address)
    listener.close()
    scene.listeners.remove(listener)
    return target


def check_sentence(scene: Scene, text: str, target: str) -> None:
    """A reason for people names the transport and the address, and no number or class of an operating system."""
    name = scene.rig.plugin.name
    assert name in text.lower(), f"the sentence does not name the transport {name!r}: {text}"
    assert target in text or repr(target) in text, f"the sentence does not name {target!r}: {text}"
    assert "Errno" not in text, f"this is no sentence for people: {text}"
    assert "Error" not in text, f"this is no sentence for people: {text}"


async def fail(scene: Scene, target: str, times: int, *, give_up: bool) -> None:
    """Fail to open a link that often, or close it while it opens."""
    for _ in range(times // MANY):
        links = [scene.open(target) for _ in range(MANY)]
        for link in links:
            if give_up:
                link.close()
        for link in links:
            await scene.host.until(lambda over=link.id: scene.host.is_over(over))  # type: ignore[misc]
        for accepted in scene.host.accepted:
            link = scene.hold(accepted)
            link.abort()
            await scene.host.until(lambda over=link.id: scene.host.is_over(over))  # type: ignore[misc]
        scene.host.forget()
