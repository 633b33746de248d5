"""Whole experiments: unlike hops, one channel, and what was measured of each."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ockam_ref.errors import OckamError
from ockam_ref.lab.description import parse_description
from ockam_ref.lab.experiment import Load, run_experiment
from ockam_ref.lab.nodes import LocalNode, Setup
from ockam_ref.lab.processes import node_in_process
from ockam_ref.lab.report import RouteReport, report_fields, table

LIGHT = Load(sizes=(16, 1024, 16 * 1024), repeat=3, probes=10, bulk_bytes=96 * 1024)
LIMIT_S = 90


def experiment(text: str, load: Load = LIGHT, **options: Any) -> RouteReport:
    """Run one; nothing may be left."""

    async def main() -> RouteReport:
        async with asyncio.timeout(LIMIT_S):
            report = await run_experiment(parse_description(text), load, **options)
        for _ in range(50):  # what was closed needs a few turns of the loop to be gone
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks are left: {left}"
        return report

    return asyncio.run(main())


def assert_whole(report: RouteReport, load: Load = LIGHT) -> None:
    """Everything arrived, and nobody on the way could read it."""
    assert [one.size for one in report.messages] == list(load.sizes)
    assert [(one.round_trip.count, one.round_trip.lost) for one in report.messages] == [(load.repeat, 0)] * 3
    assert report.portal.status == "HTTP/1.1 200 OK"
    assert report.portal.intact
    assert report.channel_s is not None
    there = sum(load.sizes) * load.repeat
    for hop in report.hops:
        assert (hop.marks, hop.readable) == (0, "routes, sizes, times")
        assert hop.bytes_out > there
        assert hop.bytes_in > there + load.bulk_bytes
        assert 0 < hop.overhead < 0.6
        assert hop.delay.count == 10
        assert 0 < (hop.delay.p50_s or 0) <= (hop.delay.p99_s or 0) < 10


@pytest.mark.spec("RX-4", "RX-5", "RX-7", "RX-14")
def test_one_channel_over_tcp_udp_bluetooth_websocket_and_tcp() -> None:
    report = experiment("tcp > udp > ble > ws > tcp")
    assert_whole(report)
    assert [hop.transport for hop in report.hops] == ["tcp", "udp", "ble", "ws", "tcp"]
    assert [hop.lost_packets for hop in report.hops] == [0] * 5
    assert [hop.mtu is None for hop in report.hops] == [True, False, False, False, True]
    assert report.hops[2].mtu == 512


@pytest.mark.spec("RX-3", "RX-12", "RX-14")
def test_the_same_while_datagrams_are_lost() -> None:
    load = Load(LIGHT.sizes, LIGHT.repeat, LIGHT.probes, 512 * 1024)
    report = experiment("tcp > udp(loss=5%) > ble > ws > tcp", load)
    assert_whole(report, load)
    lossy = report.hops[1]
    assert 0.01 < lossy.lost_packets / lossy.packets < 0.12
    assert [hop.lost_packets for hop in report.hops if hop is not lossy] == [0] * 4


@pytest.mark.spec("RX-4", "RX-5", "RX-9")
def test_every_transport_in_one_process() -> None:
    report = experiment("memory > uds > [middle] ws > tcp > udp(reorder=5%, duplicate=2%, delay=1ms)")
    assert_whole(report)
    assert report.nodes == ("node 1", "node 2", "middle", "node 4", "node 5", "node 6")
    assert (report.hops[4].delay.p50_s or 0) > 0.001


@pytest.mark.spec("RX-11")
def test_without_a_channel_every_hop_reads_everything() -> None:
    report = experiment("tcp > memory > udp", Load(LIGHT.sizes, 3, 10, LIGHT.bulk_bytes, channel=False))
    assert report.channel_s is None
    for hop in report.hops:
        assert hop.readable == "everything"
        assert 0.8 * hop.marks_sent < hop.marks < 1.2 * hop.marks_sent  # some packets may be sent again
    assert "No channel" in table(report)


@pytest.mark.spec("RX-12")
def test_what_nothing_recovers_is_counted() -> None:
    report = experiment("udp(loss=100%, recovery=off)", Load((16,), 2, 2, 1024, channel=False))
    (hop,) = report.hops
    assert hop.lost_packets == hop.packets > 0
    assert [(one.round_trip.count, one.round_trip.lost) for one in report.messages] == [(0, 2)]
    assert (report.portal.seconds, report.portal.intact, hop.delay.p50_s) == (None, False, None)
    assert "cut" in table(report)


@pytest.mark.spec("RX-6", "RX-14")
def test_every_node_in_a_process_of_its_own() -> None:
    report = experiment("tcp > udp(loss=5%) > uds > ws", make_node=node_in_process, processes=5)
    assert_whole(report)
    assert report.processes == 5


@pytest.mark.spec("RX-6")
@pytest.mark.parametrize("transport", ["memory", "ble"])
def test_hops_that_cannot_leave_a_process(transport: str) -> None:
    with pytest.raises(OckamError, match="cannot join two processes"):
        experiment(f"tcp > {transport}", make_node=node_in_process)


@pytest.mark.spec("RX-6", "RX-8")
def test_a_process_that_has_ended_is_told() -> None:
    @asynccontextmanager
    async def mortal(setup: Setup) -> AsyncIterator[Any]:
        async with node_in_process(setup) as node:
            if setup.name == "victim":
                node._process.kill()
                await node._process.wait()
            yield node

    with pytest.raises(OckamError, match="the process of victim has ended"):
        experiment("tcp > [victim] tcp", make_node=mortal)


@pytest.mark.spec("RX-8")
@pytest.mark.parametrize("make_node", [None, node_in_process])
def test_a_transport_that_is_not_installed(make_node: Any) -> None:
    if make_node is None:
        with pytest.raises(OckamError, match="no transport 'pigeon' is installed"):
            experiment("tcp > pigeon", make_node=make_node)
    else:
        done = subprocess.run(
            [sys.executable, "-m", "ockam_ref", "route", "--processes", "tcp > pigeon"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert "no transport 'pigeon' is installed" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.spec("RX-8")
def test_nodes_at_the_ends_have_no_hop_beyond() -> None:
    async def main() -> None:
        setup = Setup("alone", None, None, b"12345678")
        async with LocalNode(setup) as node:
            with pytest.raises(OckamError, match="before the first"):
                await node.listen()
            with pytest.raises(OckamError, match="behind the last"):
                await node.connect("127.0.0.1:1")

    asyncio.run(main())


@pytest.mark.spec("RX-7")
def test_without_the_packages_for_bluetooth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ockam_transports.virtual_radio", None)
    with pytest.raises(OckamError, match=r"pip install 'ockam-ref\[ble,ble-peripheral\]'"):
        experiment("ble")


@pytest.mark.spec("RX-10", "RX-13")
def test_the_report_is_plain_data() -> None:
    fields = json.loads(json.dumps(report_fields(experiment("tcp > [b] tcp"))))
    assert [hop["readable"] for hop in fields["hops"]] == ["routes, sizes, times"] * 2
    assert fields["hops"][1]["source"] == "b"
    assert set(fields["hops"][0]["delay"]) == {"p50_s", "p99_s", "count", "lost"}
