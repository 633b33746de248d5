"""Links in memory beyond what every adapter owes: names, limits, and what one end sees of the other."""

import asyncio

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.testing.contract import NotingHost, Scene
from ockam_ref.testing.contract.scene import Run, run_on
from ockam_transports import memory, memory_link
from tests.transports.test_memory_contract import MemoryRig


@pytest.fixture
def run() -> Run:
    """Run a coroutine."""
    return run_on(asyncio.new_event_loop)


@pytest.mark.spec("TRN-30")
def test_any_name_is_one_that_nobody_has(run: Run) -> None:
    async def main() -> None:
        async with Scene(MemoryRig()) as scene:
            one, other = await scene.listen("*"), await scene.listen("*")
            assert one.address != other.address
            named = await scene.listen("alice.node_1-a")
            assert named.address == "alice.node_1-a"
            with pytest.raises(OckamError, match=r"memory name 'alice.node_1-a': it is taken") as caught:
                await scene.listen("alice.node_1-a")
            assert caught.value.code is ErrorCode.LINK_FAILED
            with pytest.raises(MisuseError, match="is no memory name"):
                await scene.listen("no name")

    run(main(), 5)


@pytest.mark.spec("TRN-30")
def test_a_packet_has_any_size(run: Run) -> None:
    async def main() -> None:
        async with Scene(MemoryRig()) as scene:
            near, far = await scene.reading_pair()
            near.write(bytes(20_000_000))
            await scene.received(far, 20_000_000)
            assert [len(packet) for packet in scene.host.packets[far.id]] == [20_000_000]
            assert near.mtu is None

    run(main(), 5)


@pytest.mark.spec("TRN-31")
def test_names_of_another_loop_are_unknown() -> None:
    async def listen() -> memory.MemoryListener:
        return await memory.MemoryTransport(NotingHost()).listen("shared-name", lambda _: None)

    async def connect() -> str:
        host = NotingHost()
        link = memory.MemoryTransport(host).open(host.new_link(), "shared-name")
        return await host.told("failed", link.id)

    with asyncio.Runner() as one, asyncio.Runner() as other:
        listener = one.run(listen())
        assert "nothing listens there" in other.run(connect())
        other.run(listen()).close()
        listener.close()


def test_a_listener_has_a_limit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_ACCEPTED_LINKS", 1)

    async def main() -> None:
        async with Scene(MemoryRig()) as scene:
            _, far = await scene.pair()
            refused = scene.open(scene.listener.address)
            assert "as many links as it takes" in await scene.host.told("failed", refused.id)
            far.abort()
            await scene.host.told("gone", far.id)
            await scene.pair()

    run(main(), 5)


def test_a_slow_side_that_takes_a_little_is_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_link, "FLUSH_STALL_S", 0.02)
    monkeypatch.setattr(memory_link, "PACKETS_PER_TURN", 1)

    async def main() -> None:
        async with Scene(MemoryRig()) as scene:
            near, far = await scene.pair()
            for _ in range(10):
                near.write(b"x")
            near.close()
            for taken in range(1, 11):
                scene.host.on_bytes = lambda link: far.stop_reading() if link == far.id else None
                far.start_reading()
                await scene.received(far, taken)
                await asyncio.sleep(0.01)
            await scene.host.told("gone", near.id)
            assert scene.host.count("closed", far.id) == 0

    run(main(), 5)


def test_an_end_that_came_unread_is_heard_when_reading_starts(run: Run) -> None:
    async def main() -> None:
        async with Scene(MemoryRig()) as scene:
            near, far = await scene.pair()
            near.close()
            await scene.host.told("gone", near.id)
            far.report_drained()
            await scene.host.told("drained", far.id)
            far.start_reading()
            await scene.host.told("finished", far.id)
            far.write(b"too late")
            assert await scene.host.told("closed", far.id) == "the other side has closed the link"

    run(main(), 5)


def test_closing_behind_a_link_that_is_gone(run: Run) -> None:
    async def main() -> None:
        async with Scene(MemoryRig()) as scene:
            near, far = await scene.pair()
            near.close()
            await scene.host.told("gone", near.id)
            far.close()
            await scene.host.told("gone", far.id)

    run(main(), 5)


def test_a_link_given_up_while_it_opens_is_not_accepted(run: Run) -> None:
    async def main() -> None:
        async with Scene(MemoryRig()) as scene:
            near = scene.open(scene.listener.address)
            near.abort()
            await scene.host.told("gone", near.id)
            await scene.settle()
            assert len(scene.host.accepted) == 1  # the one that settling has made

    run(main(), 5)
