"""The figures for people: table and picture."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from ockam_ref.lab.picture import picture
from ockam_ref.lab.report import (
    Delays,
    HopReport,
    MessageReport,
    PortalReport,
    RouteReport,
    delays_of,
    loss_text,
    size_text,
    table,
    time_text,
)

HOP = HopReport(
    1, "a", "b", "udp(loss=5%)", "127.0.0.1:1", 1200, 1 << 20, 2048, 0.066, Delays(0.00015, 0.02, 99, 1), 1000, 52, 0, 9
)
REPORT = RouteReport(
    "udp(loss=5%)",
    ("a", "b"),
    1,
    0.0142,
    (HOP,),
    (MessageReport(1024, Delays(0.5, 1.5, 20, 0)),),
    PortalReport("HTTP/1.1 200 OK", 0.01, 1 << 20, 2.0, True),
)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]


@pytest.mark.spec("RX-13")
def test_the_picture_holds_the_figures() -> None:
    shown = texts(picture(REPORT))
    for figure in ("a", "b", "udp", "loss=5%", "1.2 KiB", "1 MiB", "2 KiB", "+6.6 %", "150 \u00b5s", "20 ms"):
        assert figure in shown
    assert "52 of 1000 (5.2 %)" in shown
    assert "one secure channel from end to end, opened in 14.2 ms" in shown
    assert not re.search(r"(?:href|src)=|url\(|<script", picture(REPORT))


@pytest.mark.spec("RX-13")
def test_names_are_no_markup() -> None:
    hostile = '</text><script>"&'
    shown = texts(picture(replace(REPORT, nodes=(hostile[:13], "b"), route=hostile)))
    assert hostile in shown
    assert hostile[:13] in shown


@pytest.mark.spec("RX-11", "RX-13")
def test_a_route_without_a_channel_says_so() -> None:
    bare = replace(REPORT, channel_s=None, hops=(replace(HOP, marks=9),))
    assert "no channel: everything can be read" in texts(picture(bare))
    assert "everything" in texts(picture(bare))
    assert "up to 9 could be read" in table(bare)


@pytest.mark.spec("RX-13")
@pytest.mark.parametrize("count", [1, 2, 16])
def test_a_picture_of_any_length_keeps_all_inside(count: int) -> None:
    names = tuple(f"a rather long name {number}" for number in range(count + 1))
    drawn = ET.fromstring(picture(replace(REPORT, nodes=names, hops=(HOP,) * count)))
    width = float(drawn.attrib["width"])
    for element in drawn.iter():
        assert 0 <= float(element.attrib.get("x", 0)) <= width
        assert 0 <= float(element.attrib.get("x2", 0)) <= width


@pytest.mark.spec("RX-10", "RX-13")
def test_the_table_is_aligned() -> None:
    lines = table(REPORT).splitlines()
    head, row = lines[2], lines[3]
    for name, value in (("MTU", "1200"), ("bytes out", "1 MiB"), ("overhead", "+6.6 %"), ("p99", "20 ms")):
        assert head.index(name) + len(name) == row.index(value) + len(value)
    assert "HTTP/1.1 200 OK after 10 ms; 1 MiB unchanged in 2 s, 512 KiB/s." in lines[-2]


@pytest.mark.spec("RX-10")
def test_times_and_sizes() -> None:
    assert delays_of([None, 0.4, 0.2, None], divided_by=2) == Delays(0.2, 0.2, 2, 2)
    assert delays_of([]) == Delays(None, None, 0, 0)
    assert delays_of([number / 100 for number in range(200)]) == Delays(1.0, 1.98, 200, 0)
    assert [size_text(size) for size in (0, 1023, 1024, 1536, 1 << 20, 200 << 20)] == [
        "0 B",
        "1023 B",
        "1 KiB",
        "1.5 KiB",
        "1 MiB",
        "200 MiB",
    ]
    assert [time_text(one) for one in (None, 2.5, 0.0123, 0.0000456)] == ["-", "2.5 s", "12.3 ms", "45.6 \u00b5s"]
    assert loss_text(replace(HOP, lost_packets=0)) == "0"
