"""What an adapter of datagrams owes: whole datagrams or none, their sources, and silence about what cannot be sent."""

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Final, ParamSpec

import pytest

from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.testing.contract.acts import check_sentence
from ockam_ref.testing.contract.held import HeldEndpoint, HeldLink
from ockam_ref.testing.contract.leaks import Leaks
from ockam_ref.testing.contract.rig import Rig
from ockam_ref.testing.contract.scene import Contract, Run, Stage, on_stage

MANY: Final = 20
"""Endpoints that talk with one."""

FAILURES: Final = 1000
"""How often something fails before what is left is counted."""

P = ParamSpec("P")


class DatagramScene(Stage):
    """A host with one datagram transport; endpoints are bound as a test needs them."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self.transport = rig.datagram_transport(self.host)

    async def bind(self, address: str | None = None, *, reading: bool = True) -> HeldEndpoint:
        """Bind an endpoint, at an address or at a fresh one."""
        where = self.rig.listen_at() if address is None else address
        endpoint = HeldEndpoint(self.host, await self.transport.bind(self.host.new_link(), where))
        if reading:
            endpoint.start_reading()
        return endpoint

    def open(self, target: str) -> HeldLink:
        """Begin to open a link to one other."""
        with self.host.calling():
            link = self.transport.open(self.host.new_link(), target)
        return HeldLink(self.host, link)

    async def heard(self, endpoint: HeldEndpoint, count: int) -> list[tuple[str, bytes]]:
        """Wait for that many datagrams; return all with their sources."""
        await self.host.until(lambda: len(self.host.datagrams[endpoint.id]) >= count)
        return self.host.datagrams[endpoint.id]

    async def exchange(self) -> None:
        """Send a datagram between two fresh endpoints: so the event loop has looked at every socket."""
        one, other = await self.bind(), await self.bind()
        one.send(self.rig.target_of(other.address), b"?")
        await self.heard(other, 1)
        for endpoint in (one, other):
            endpoint.close()
            await self.host.told("gone", endpoint.id)
        await self.turns()


def _scenario(test: Callable[Concatenate[Any, DatagramScene, P], Awaitable[None]]) -> Callable[..., None]:
    return on_stage(DatagramScene, test)


class DatagramContract(Contract):
    """For transports of kind ``DATAGRAM``: subclass it, override ``rig``, and pytest runs all of it.

    It expects that few datagrams between two endpoints of one machine are not lost.
    """

    # ---- endpoints

    @_scenario
    async def test_the_source_of_a_datagram_leads_back(self, scene: DatagramScene) -> None:
        """What the adapter calls an endpoint, and a source, can be sent to as it is."""
        one, other = await scene.bind(), await scene.bind()
        one.send(scene.rig.target_of(other.address), b"there")
        ((source, datagram),) = await scene.heard(other, 1)
        assert datagram == b"there"
        other.send(source, b"and back")
        ((back, answer),) = await scene.heard(one, 1)
        assert answer == b"and back"
        assert (source, back) == (one.address, other.address)

    @_scenario
    async def test_datagrams_arrive_whole_and_alone(self, scene: DatagramScene) -> None:
        one, other = await scene.bind(), await scene.bind()
        largest = min(one.mtu or 1200, 1200)
        sizes = [1, 2, 17, 100, largest - 1, largest, 3]
        sent = [bytes([number]) * size for number, size in enumerate(sizes)]
        target = scene.rig.target_of(other.address)
        one.send(target, *sent[:3])
        one.send(target, bytearray(sent[3]), memoryview(b"x" + sent[4])[1:])
        one.send(target, *sent[5:])
        heard = await scene.heard(other, len(sent))
        assert sorted(datagram for _, datagram in heard) == sorted(sent)
        assert {source for source, _ in heard} == {one.address}

    @_scenario
    async def test_many_sources_are_kept_apart(self, scene: DatagramScene) -> None:
        hub = await scene.bind()
        others = [await scene.bind() for _ in range(MANY)]
        for number, other in enumerate(others):
            other.send(scene.rig.target_of(hub.address), b"from %d" % number)
        heard = dict(await scene.heard(hub, MANY))
        assert heard == {other.address: b"from %d" % number for number, other in enumerate(others)}

    @_scenario
    async def test_nothing_is_told_before_reading_starts_and_after_it_stops(self, scene: DatagramScene) -> None:
        """Also from inside ``datagrams_received``, with datagrams of several sources at hand."""
        hub = await scene.bind(reading=False)
        for word in (b"one", b"two", b"three"):
            (await scene.bind()).send(scene.rig.target_of(hub.address), word)
        await scene.exchange()
        scene.host.on_bytes = lambda link: hub.stop_reading() if link == hub.id else None
        hub.start_reading()
        first = list(await scene.heard(hub, 1))
        await scene.exchange()
        assert scene.host.datagrams[hub.id] == first
        scene.host.on_bytes = lambda _: None
        hub.start_reading()
        heard = await scene.heard(hub, 3)
        assert sorted(datagram for _, datagram in heard) == [b"one", b"three", b"two"]

    @_scenario
    async def test_relieved_is_told_and_nothing_is_left_waiting(self, scene: DatagramScene) -> None:
        one, other = await scene.bind(), await scene.bind()
        size = min(one.mtu or 1200, 1200)
        for _ in range(2 * scene.rig.low_water_bytes // size // 64):
            one.send(scene.rig.target_of(other.address), *[bytes(size)] * 64)
        one.report_relieved()
        await scene.host.told("relieved", one.id)
        assert one.buffered <= scene.rig.low_water_bytes
        one.close()
        await scene.host.told("gone", one.id)
        assert one.buffered == 0

    # ---- what cannot be sent

    @_scenario
    async def test_what_cannot_be_sent_is_lost_and_nothing_else(self, scene: DatagramScene) -> None:
        """A target that cannot be read, that nobody knows, a datagram that is too long: told, and survived."""
        one, other = await scene.bind(), await scene.bind()
        for target in [*scene.rig.nonsense, *filter(None, [scene.rig.unresolvable])]:
            before = scene.host.count("lost", one.id)
            one.send(target, b"nowhere")
            await scene.host.until(lambda seen=before: scene.host.count("lost", one.id) > seen)  # type: ignore[misc]
        if one.mtu is not None:
            before = scene.host.count("lost", one.id)
            one.send(scene.rig.target_of(other.address), bytes(one.mtu + 1))
            await scene.host.until(lambda: scene.host.count("lost", one.id) > before)
        one.send(scene.rig.target_of(other.address), b"still here")
        assert await scene.heard(other, 1) == [(one.address, b"still here")]
        assert one.buffered == 0

    @_scenario
    async def test_a_target_that_is_gone_disturbs_nobody(self, scene: DatagramScene) -> None:
        """An operating system may answer for it, with an error at the next call of all."""
        one, other, gone = await scene.bind(), await scene.bind(), await scene.bind()
        gone.close()
        await scene.host.told("gone", gone.id)
        for _ in range(3):
            one.send(scene.rig.target_of(gone.address), b"anybody there?")
            await scene.turns()
        one.send(scene.rig.target_of(other.address), b"still here")
        assert (one.address, b"still here") in await scene.heard(other, 1)

    # ---- ends

    @pytest.mark.parametrize("ending", ["close", "abort"])
    @pytest.mark.parametrize("state", ["bound", "reading", "full", "looking up"])
    @_scenario
    async def test_after_its_end_an_endpoint_tells_that_it_is_gone_and_nothing_else(
        self, scene: DatagramScene, state: str, ending: str
    ) -> None:
        one, other = await scene.bind(reading=state == "reading"), await scene.bind()
        target = scene.rig.target_of(other.address)
        if state == "full":
            one.send(target, *[bytes(min(one.mtu or 1200, 1200))] * 2000)
        elif state == "looking up":
            one.send(scene.rig.unresolvable or target, b"who is that?")
        other.send(scene.rig.target_of(one.address), b"a word on its way")
        getattr(one, ending)()
        one.send(target, b"nobody there")
        one.stop_reading()
        one.start_reading()
        one.report_relieved()
        one.is_reading = False
        one.close()
        one.abort()
        await scene.host.told("gone", one.id)
        await scene.exchange()
        assert one.buffered == 0

    @_scenario
    async def test_an_address_is_free_again_after_close(self, scene: DatagramScene) -> None:
        one = await scene.bind()
        if scene.rig.one_listener:
            with pytest.raises(OckamError) as caught:
                await scene.bind(one.address)
            assert caught.value.code is ErrorCode.LINK_FAILED
            check_sentence(scene.rig, str(caught.value), one.address)
        one.close()
        await scene.host.told("gone", one.id)
        again = await scene.bind(one.address)
        assert again.address == one.address

    # ---- refusals

    @_scenario
    async def test_an_address_that_cannot_be_read_is_a_sentence(self, scene: DatagramScene) -> None:
        for address in scene.rig.nonsense:
            with pytest.raises(OckamError) as caught:
                await scene.bind(address)
            check_sentence(scene.rig, str(caught.value), address)
            link = scene.open(address)
            check_sentence(scene.rig, await scene.host.told("failed", link.id), address)
            link.write(b"nobody there")
            link.close()
            link.abort()

    @_scenario
    async def test_a_name_that_nobody_knows_is_a_sentence(self, scene: DatagramScene) -> None:
        target = scene.rig.unresolvable
        if target is None:
            pytest.skip("this transport looks no names up")
        link = scene.open(target)
        check_sentence(scene.rig, await scene.host.told("failed", link.id), target)
        with pytest.raises(OckamError) as caught:
            await scene.bind(target)
        check_sentence(scene.rig, str(caught.value), target)

    # ---- links to one other

    @_scenario
    async def test_a_link_talks_with_one_other_only(self, scene: DatagramScene) -> None:
        other, stranger = await scene.bind(), await scene.bind()
        link = scene.open(scene.rig.target_of(other.address))
        link.write(b"early")
        await scene.host.told("opened", link.id)
        link.start_reading()
        ((source, datagram),) = await scene.heard(other, 1)
        assert datagram == b"early"
        stranger.send(source, b"let me in")
        await scene.exchange()
        other.send(source, b"one", b"two")
        await scene.received(link, 6)
        assert sorted(scene.host.packets[link.id]) == [b"one", b"two"]

    @pytest.mark.parametrize("ending", ["close", "abort"])
    @pytest.mark.parametrize("state", ["opening", "open"])
    @_scenario
    async def test_after_its_end_a_link_tells_that_it_is_gone_and_nothing_else(
        self, scene: DatagramScene, state: str, ending: str
    ) -> None:
        other = await scene.bind()
        link = scene.open(scene.rig.target_of(other.address))
        if state == "open":
            await scene.host.told("opened", link.id)
        getattr(link, ending)()
        link.write(b"nobody there")
        link.start_reading()
        link.report_drained()
        link.close()
        link.abort()
        await scene.host.told("gone", link.id)
        await scene.exchange()

    @_scenario
    async def test_a_link_is_drained_and_relieved(self, scene: DatagramScene) -> None:
        other = await scene.bind()
        link = scene.open(scene.rig.target_of(other.address))
        await scene.host.told("opened", link.id)
        link.write(b"a word")
        link.report_drained()
        link.report_relieved()
        await scene.host.told("drained", link.id)
        await scene.host.told("relieved", link.id)
        assert link.buffered == 0

    # ---- leaks

    @pytest.mark.parametrize("why", ["unreadable", "bound and closed", "given up"])
    def test_a_thousand_failures_leave_nothing(self, run: Run, rig: Rig, why: str) -> None:
        """No socket, no task, no memory: counted after 100 and again after 1,000 more."""

        async def main() -> None:
            async with DatagramScene(rig) as scene:
                await _fail(scene, why, FAILURES // 10)
                leaks = Leaks()
                await _fail(scene, why, FAILURES)
                leaks.check()

        run(main(), 6 * rig.deadline_s)


async def _fail(scene: DatagramScene, why: str, times: int) -> None:
    other = await scene.bind()
    for _ in range(times):
        if why == "bound and closed":
            endpoint = await scene.bind()
            endpoint.send(scene.rig.target_of(other.address), b"hello")
            endpoint.close()
            await scene.host.told("gone", endpoint.id)
        else:
            link = scene.open(scene.rig.nonsense[0] if why == "unreadable" else scene.rig.target_of(other.address))
            if why == "given up":
                link.close()
            await scene.host.told_one_of(link.id, "failed", "gone")
        scene.host.held = {other.id: other}
        scene.host.events.clear()
        scene.host.datagrams.clear()
    other.abort()
    await scene.host.told("gone", other.id)
    scene.host.forget()
