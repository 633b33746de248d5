"""What people write, and what they are told when it cannot be understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.errors import MisuseError
from ockam_ref.lab.description import MAX_HOPS, Hop, parse_description


@pytest.mark.spec("RX-1")
def test_one_line() -> None:
    found = parse_description("tcp > udp>ble >ws> tcp")
    assert [hop.transport for hop in found.hops] == ["tcp", "udp", "ble", "ws", "tcp"]
    assert found.nodes == ("node 1", "node 2", "node 3", "node 4", "node 5", "node 6")
    assert str(found) == "tcp > udp > ble > ws > tcp"
    assert found.ends_of(1) == ("node 2", "node 3")


@pytest.mark.spec("RX-1", "RX-3")
def test_lines_with_names_comments_and_options() -> None:
    found = parse_description(
        """
        # from the desk to the cellar
        [laptop] tcp
        [hub] udp(loss=5%, reorder=0.5%,duplicate=2%, delay=20ms, jitter=0.5s, recovery=off)   # bad weather
        ble > [ board ]
        """
    )
    assert found.nodes == ("laptop", "hub", "node 3", "board")
    assert found.hops[1] == Hop("udp", 0.05, 0.005, 0.02, 0.02, 0.5, False)
    assert str(found.hops[1]) == "udp(loss=5%, reorder=0.5%, duplicate=2%, delay=20ms, jitter=500ms, recovery=off)"


@pytest.mark.spec("RX-2")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no hop"),
        ("# nothing", "there is no hop"),
        ("[a]", "there is no hop"),
        ("TCP", "is no hop"),
        ("tcp udp", "is no hop"),
        ("tcp(", "is no hop"),
        ("tcp > udp(loss=5)", "write a part of a hundred"),
        ("udp(loss=101%)", "write a part of a hundred"),
        ("udp(delay=3)", "write a time"),
        ("udp(recovery=yes)", "'on' or 'off'"),
        ("udp(loss=1%, loss=2%)", "said twice"),
        ("udp(mtu=3)", "is no option"),
        ("tcp(loss=5%)", "tcp takes no options"),
        ("[a] [b] tcp", "is no hop"),
        ("[a] > [b] tcp", "has a name already"),
        ("[a] tcp > [a]", "the same name"),
        (" > ".join(["tcp"] * (MAX_HOPS + 1)), "17 hops are too many"),
    ],
)
def test_what_is_no_description(text: str, says: str) -> None:
    with pytest.raises(MisuseError, match="no description of a route") as caught:
        parse_description(text)
    assert says in str(caught.value)


@pytest.mark.spec("RX-2")
@given(st.text(alphabet="tcpudp>[]()=,%#5 \nloss", max_size=60))
def test_any_text_is_a_description_or_refused(text: str) -> None:
    try:
        found = parse_description(text)
    except MisuseError:
        return
    assert 1 <= len(found.hops) <= MAX_HOPS
    assert len(found.nodes) == len(found.hops) + 1


PARTS = st.integers(0, 1000).map(lambda number: number / 1000)
HOPS = st.builds(Hop, st.just("udp"), PARTS, PARTS, PARTS, PARTS, PARTS, st.booleans()) | st.builds(
    Hop, st.sampled_from(["tcp", "ble", "memory"])
)


@pytest.mark.spec("RX-1", "RX-3")
@given(st.lists(HOPS, min_size=1, max_size=MAX_HOPS))
def test_a_description_can_be_written_and_read_again(hops: list[Hop]) -> None:
    text = " > ".join(map(str, hops))
    found = parse_description(text)
    for one, other in zip(found.hops, hops, strict=True):
        assert (one.transport, one.recovery) == (other.transport, other.recovery)
        for name in ("loss", "reorder", "duplicate", "delay_s", "jitter_s"):
            assert getattr(one, name) == pytest.approx(getattr(other, name))
