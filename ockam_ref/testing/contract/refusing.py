"""Refusals, listeners and leaks: what every adapter owes, whatever its links carry."""

from typing import Final

import pytest

from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.testing.contract.acts import check_sentence, fail, nobody_at, use_every_call
from ockam_ref.testing.contract.leaks import Leaks
from ockam_ref.testing.contract.rig import Rig
from ockam_ref.testing.contract.scene import Contract, Run, Scene, scenario

FAILURES: Final = 1000
"""How often opening fails before what is left is counted."""


class RefusingContract(Contract):
    """What cannot be is a sentence for people, and costs nothing."""

    # ---- refusals

    @scenario
    async def test_an_address_at_which_nobody_listens_is_a_sentence(self, scene: Scene) -> None:
        target = await nobody_at(scene)
        near = scene.open(target)
        check_sentence(scene.rig, await scene.host.told("failed", near.id), target)
        use_every_call(near)
        near.close()
        near.abort()
        await scene.settle()
        assert scene.host.count("gone", near.id) == 0, "the link was over already"

    @scenario
    async def test_an_address_that_cannot_be_read_is_a_sentence(self, scene: Scene) -> None:
        for target in scene.rig.nonsense:
            near = scene.open(target)
            check_sentence(scene.rig, await scene.host.told("failed", near.id), target)
            with pytest.raises(OckamError) as caught:
                await scene.listen(target)
            check_sentence(scene.rig, str(caught.value), target)

    @scenario
    async def test_a_name_that_nobody_knows_is_a_sentence(self, scene: Scene) -> None:
        target = scene.rig.unresolvable
        if target is None:
            pytest.skip("this transport looks no names up")
        near = scene.open(target)
        check_sentence(scene.rig, await scene.host.told("failed", near.id), target)

    @scenario
    async def test_an_address_that_is_not_ours_to_take_is_a_sentence(self, scene: Scene) -> None:
        target = scene.rig.not_permitted
        if target is None:
            pytest.skip("every address may be taken here")
        with pytest.raises(OckamError) as caught:
            await scene.listen(target)
        assert caught.value.code is ErrorCode.LINK_FAILED
        check_sentence(scene.rig, str(caught.value), target)

    @scenario
    async def test_an_address_that_is_taken_is_a_sentence(self, scene: Scene) -> None:
        if not scene.rig.one_listener:
            pytest.skip("several may listen at one address")
        with pytest.raises(OckamError) as caught:
            await scene.listen(scene.listener.address)
        assert caught.value.code is ErrorCode.LINK_FAILED
        check_sentence(scene.rig, str(caught.value), scene.listener.address)
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
            await scene.host.until(lambda over=link.id: scene.host.is_over(over))  # type: ignore[misc]
        again = await scene.listen(address)
        assert again.address == address
        await scene.exchange(await scene.reading_pair(again))

    # ---- leaks

    @pytest.mark.parametrize("why", ["refused", "unreadable", "given up"])
    def test_a_thousand_failures_leave_nothing(self, run: Run, rig: Rig, why: str) -> None:
        """No socket, no task, no memory: counted after 100 and again after 1,000 more."""

        async def main() -> None:
            async with Scene(rig) as scene:
                target = {
                    "refused": await nobody_at(scene),
                    "unreadable": rig.nonsense[0],
                    "given up": rig.target_of(scene.listener.address),
                }[why]
                await fail(scene, target, FAILURES // 10, give_up=why == "given up")
                leaks = Leaks()
                await fail(scene, target, FAILURES, give_up=why == "given up")
                await scene.turns()  # the other ends of the last failures are just being freed
                leaks.check()

        run(main(), 6 * rig.deadline_s)
