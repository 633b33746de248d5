"""Messages from slices: the window, restarts, contradictions, bounded memory (checklist line 20; facts 08 section 2.2)."""

from collections.abc import Sequence

import pytest

from ockam_ref.links import reassembly
from ockam_ref.links.form import Fault
from ockam_ref.links.reassembly import (
    MAX_LATE,
    RESTART_SILENCE_S,
    WINDOW,
    Done,
    Reassembly,
    Results,
    receive,
)
from ockam_ref.links.unfinished import BLOCK, SLICE_COST, Draft, Unfinished
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH
from ockam_ref.wire.udp_datagram import LegacySlice, Slice, cut_message, encode_slice

START = 5000.0


def message(number: int, slices: int = 3, length: int = 10) -> bytes:
    return bytes(number % 251 for _ in range(slices * length - 3))


def cut(number: int, slices: int = 3, length: int = 10) -> tuple[bytes, ...]:
    """The datagrams of ``message`` with these arguments."""
    return cut_message(number % 0x10000, message(number, slices, length), length)


class Source:
    """One source, datagram by datagram."""

    def __init__(self) -> None:
        self.state = Reassembly()
        self.now = START

    def send(self, *datagrams: bytes) -> Results:
        """Each datagram is an event of its own."""
        found: Results = []
        for datagram in datagrams:
            self.state, results = receive(self.state, (datagram,), self.now)
            found += results
        return found

    def rules(self, *datagrams: bytes) -> list[str]:
        return rules(self.send(*datagrams))


def rules(results: Results) -> list[str]:
    return [result.rule for result in results if isinstance(result, Fault)]


def legacy(number: int, content: bytes, length: int = 10) -> list[bytes]:
    """The datagrams of a node of the releases 0.130 to 0.144."""
    starts = range(0, len(content), length)
    return [
        encode_slice(LegacySlice(number, start, start + length >= len(content), content[start : start + length]))
        for start in starts
    ]


# ---- one message


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
@pytest.mark.spec("UDP-10")
def test_slices_come_in_any_order(order: tuple[int, ...]) -> None:
    datagrams = cut(7)
    source = Source()
    assert source.send(*(datagrams[index] for index in order)) == [message(7)]
    assert receive(Reassembly(), [datagrams[index] for index in order], START)[1] == [message(7)]
    assert source.state.waiting == 0


@pytest.mark.parametrize("length", [1, 10, 100, 493, 5000])
@pytest.mark.spec("UDP-10")
def test_slices_may_have_any_length(length: int) -> None:
    assert Source().send(*cut(7, 4, max(length, 4))) == [message(7, 4, max(length, 4))]


@pytest.mark.spec("UDP-10")
def test_a_message_of_one_slice() -> None:
    assert Source().send(cut(3, 1)[0], cut(4, 1)[0]) == [message(3, 1), message(4, 1)]


@pytest.mark.spec("UDP-12")
def test_a_slice_that_comes_twice_is_harmless() -> None:
    first, second, last = cut(7)
    source = Source()
    assert source.send(first, first, last, second, second, last, first) == [message(7)]
    assert Source().send(first, last, last, second) == [message(7)]
    assert receive(Reassembly(), (first, first, second, second, last, last), START)[1] == [message(7)]


@pytest.mark.spec("UDP-12")
def test_an_empty_last_slice_is_accepted() -> None:
    datagrams = [encode_slice(Slice(9, index, 3, data)) for index, data in enumerate((b"a" * 493, b"b" * 493, b""))]
    assert Source().send(*datagrams) == [b"a" * 493 + b"b" * 493]
    assert Source().send(*reversed(datagrams)) == [b"a" * 493 + b"b" * 493]


@pytest.mark.parametrize(
    "piece",
    [
        Slice(7, 0, 0, b"a"),
        Slice(7, 3, 3, b"a"),
        Slice(7, 0, 3, b""),
        Slice(7, 0, 1, b""),
        Slice(7, 40_000, 65_535, bytes(500)),
        LegacySlice(7, 0, is_last=False, data=b""),
        LegacySlice(7, 0, is_last=True, data=b""),
        LegacySlice(7, 5, is_last=False, data=b"0123456789"),
        LegacySlice(7, MAX_MESSAGE_LENGTH, is_last=True, data=b"0"),
    ],
)
@pytest.mark.spec("UDP-13")
def test_a_slice_that_is_wrong_by_itself_is_dropped_alone(piece: Slice | LegacySlice) -> None:
    source = Source()
    first, second, last = cut(7)
    assert source.send(first) == []
    assert source.rules(encode_slice(piece)) == ["bad-slice"]
    assert source.send(second, last) == [message(7)]


@pytest.mark.spec("UDP-4")
def test_what_is_no_datagram_is_dropped_alone() -> None:
    source = Source()
    first, second, last = cut(7)
    _, results = receive(source.state, (first, b"", b"\x85", second, b"\xff" * 9, last), START)
    assert results[0] == message(7)
    (fault,) = results[1:]
    assert isinstance(fault, Fault)
    assert fault.rule == "undecodable-datagram"
    assert fault.detail.endswith("and 2 more")


@pytest.mark.parametrize(
    "stranger",
    [
        Slice(7, 1, 4, bytes(10)),
        Slice(7, 1, 3, bytes(9)),
        Slice(7, 0, 3, b"another one"[:10]),
        Slice(7, 2, 3, b"other"),
        LegacySlice(7, 10, is_last=False, data=bytes(10)),
    ],
    ids=["total", "length", "content", "last content", "form"],
)
@pytest.mark.spec("UDP-13")
def test_a_slice_that_contradicts_begins_the_message_anew(stranger: Slice | LegacySlice) -> None:
    source = Source()
    first, second, last = cut(7)
    before = (first, last) if stranger.offset == 2 else (first,)
    assert source.send(*before) == []
    assert source.rules(encode_slice(stranger)) == ["unfinished-message"]
    assert [type(result) for result in source.send(first, second, last)][-1] is bytes


@pytest.mark.spec("UDP-13")
def test_a_whole_message_beats_an_unfinished_one_of_its_number() -> None:
    source = Source()
    assert source.send(cut(7)[0]) == []
    results = source.send(cut(7, 1)[0])
    assert results[0] == message(7, 1)
    assert rules(results) == ["unfinished-message"]
    assert source.send(*cut(7)) == []


@pytest.mark.spec("UDP-5", "UDP-13")
def test_the_longest_message_and_one_byte_more() -> None:
    content = bytes(MAX_MESSAGE_LENGTH)
    datagrams = list(cut_message(1, content, 60_000))
    assert receive(Reassembly(), datagrams, START)[1] == [content]
    last = encode_slice(Slice(1, 279, 280, bytes(MAX_MESSAGE_LENGTH - 279 * 60_000 + 1)))
    state, results = receive(Reassembly(), [*datagrams[:-1], last], START)
    assert rules(results) == ["unfinished-message"]
    assert state.waiting == 0


# ---- several messages


@pytest.mark.spec("UDP-11")
def test_five_messages_at_once_and_no_sixth() -> None:
    five = [cut(number) for number in range(100, 105)]
    source = Source()
    assert source.send(*(datagrams[index] for index in range(3) for datagrams in five)) == [
        message(number) for number in range(100, 105)
    ]
    six = [cut(number) for number in range(200, 206)]
    results = Source().send(*(datagrams[index] for index in (0, 1, 2) for datagrams in six))
    assert [result for result in results if isinstance(result, bytes)] == [
        message(number) for number in range(201, 206)
    ]
    assert rules(results) == ["unfinished-message", "late-datagram", "late-datagram"]


@pytest.mark.spec("UDP-11")
def test_a_message_comes_once() -> None:
    datagrams = cut(7)
    assert Source().send(*datagrams, *datagrams, *datagrams) == [message(7)]


@pytest.mark.spec("UDP-11")
def test_numbers_wrap() -> None:
    source = Source()
    for number in range(65_530, 65_545):
        assert source.send(*cut(number)) == [message(number)]
    assert source.state.oldest == (65_544 - WINDOW + 1) % 65_536


@pytest.mark.spec("UDP-11")
def test_a_newer_message_beats_older_ones() -> None:
    source = Source()
    source.send(cut(10)[0], cut(11)[0])
    results = source.send(*cut(400))
    assert results[-1] == message(400)
    assert rules(results) == ["unfinished-message"]
    assert "message 10 is lost with 1 of 3 slices there, " not in str(results)
    assert source.rules(cut(10)[1]) == ["late-datagram"]


@pytest.mark.spec("UDP-12")
def test_what_was_overtaken_by_the_very_first_datagram_is_still_taken() -> None:
    source = Source()
    assert source.send(cut(103, 1)[0], cut(100, 1)[0], cut(99, 1)[0]) == [
        message(103, 1),
        message(100, 1),
        message(99, 1),
    ]
    assert source.rules(cut(98, 1)[0]) == ["late-datagram"]


# ---- senders that begin anew


@pytest.mark.parametrize("distance", [1, 5, 100, 1000, 32_000])
@pytest.mark.spec("UDP-14")
def test_a_sender_that_restarts_with_a_higher_number_is_heard(distance: int) -> None:
    source = Source()
    source.send(*cut(1000))
    assert source.send(*cut(1000 + distance)) == [message(1000 + distance)]


@pytest.mark.parametrize("distance", [MAX_LATE + WINDOW, 5000, 32_000])
@pytest.mark.spec("UDP-14")
def test_a_sender_that_restarts_with_a_much_lower_number_is_heard_at_once(distance: int) -> None:
    source = Source()
    source.send(*cut(40_000), cut(40_001)[0])
    results = source.send(*cut(40_000 - distance))
    assert [result for result in results if isinstance(result, bytes)] == [message(40_000 - distance)]
    assert rules(results) == ["unfinished-message"]
    assert source.send(*cut(40_001 - distance)) == [message(40_001 - distance)]


@pytest.mark.parametrize("number", [40_000, 39_999, 39_000])
@pytest.mark.spec("UDP-14")
def test_a_sender_that_restarts_with_a_number_just_before_is_heard_after_a_silence(number: int) -> None:
    source = Source()
    source.send(*(datagram for before in range(39_990, 40_001) for datagram in cut(before)))
    again = cut(number)
    assert [result for result in source.send(*again) if isinstance(result, bytes)] == []
    source.now += RESTART_SILENCE_S / 2
    assert [result for result in source.send(*again) if isinstance(result, bytes)] == []
    source.now += RESTART_SILENCE_S / 2
    assert source.send(*again) == [message(number)]
    assert source.send(*cut(number + 1)) == [message(number + 1)]


# ---- the older form


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1), (0, 0, 1, 1, 2)])
@pytest.mark.spec("UDP-3", "UDP-10")
def test_the_older_form_is_put_together_too(order: tuple[int, ...]) -> None:
    datagrams = legacy(7, message(7))
    assert Source().send(*(datagrams[index] for index in order)) == [message(7)]


@pytest.mark.spec("UDP-3")
def test_the_older_form_in_one_slice_and_with_an_empty_last_one() -> None:
    assert Source().send(*legacy(7, b"short")) == [b"short"]
    empty = encode_slice(LegacySlice(7, 20, is_last=True, data=b""))
    assert Source().send(*legacy(7, bytes(21))[:2], empty) == [bytes(20)]
    assert Source().send(empty, *legacy(7, bytes(21))[:2]) == [bytes(20)]


@pytest.mark.parametrize(
    "pieces",
    [
        [LegacySlice(7, 0, is_last=False, data=bytes(10)), LegacySlice(7, 15, is_last=True, data=b"a")],
        [LegacySlice(7, 10, is_last=True, data=b"a"), LegacySlice(7, 20, is_last=True, data=b"a")],
        [LegacySlice(7, 10, is_last=True, data=b"a"), LegacySlice(7, 50, is_last=False, data=bytes(10))],
        [LegacySlice(7, 15, is_last=True, data=b"a"), LegacySlice(7, 0, is_last=False, data=bytes(10))],
    ],
)
@pytest.mark.spec("UDP-13")
def test_slices_of_the_older_form_that_do_not_fit_together(pieces: Sequence[LegacySlice]) -> None:
    source = Source()
    results = source.send(*map(encode_slice, pieces))
    assert [result for result in results if isinstance(result, bytes)] == []
    assert rules(results) == ["unfinished-message"]


# ---- memory


@pytest.mark.spec("UDP-15")
def test_unfinished_messages_cost_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reassembly, "MAX_WAITING_BYTES", 10_000)
    source = Source()
    given_up = 0
    for number in range(50, 55):
        given_up += len(source.rules(*cut(number, 9, 400)[:8]))
        assert source.state.waiting <= 10_000
    assert given_up == 3
    assert source.send(cut(54, 9, 400)[8]) == [message(54, 9, 400)]


@pytest.mark.spec("UDP-15")
def test_one_message_that_costs_too_much_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reassembly, "MAX_WAITING_BYTES", 3000)
    state, results = receive(Reassembly(), cut(50, 9, 400)[:8], START)
    assert rules(results) == ["unfinished-message"]
    assert state.waiting == 0


@pytest.mark.spec("UDP-15")
def test_small_slices_cost_what_their_table_costs() -> None:
    state, _ = receive(Reassembly(), (encode_slice(Slice(1, 60_000, 65_535, b"a")),), START)
    assert state.waiting >= 1 + SLICE_COST + 8 * BLOCK
    (unfinished,) = (place for place in state.places if isinstance(place, Unfinished))
    assert sum(block is not None for block in unfinished.blocks) == 1


# ---- batches


@pytest.mark.spec("UDP-16")
def test_a_batch_gives_what_its_datagrams_give_one_by_one() -> None:
    datagrams = [*cut(1, 600), *cut(2, 1), *cut(3, 300, 20)]
    state, results = receive(Reassembly(), datagrams, START)
    source = Source()
    assert source.send(*datagrams) == results
    assert source.state == state
    views = [memoryview(datagram) for datagram in datagrams]
    assert receive(Reassembly(), views, START) == (state, results)


@pytest.mark.parametrize("batch", [1, 7, 64, 300])
@pytest.mark.spec("UDP-16")
def test_batches_that_cut_a_long_message_anywhere(batch: int) -> None:
    datagrams = cut(1, 600)
    state = Reassembly()
    for start in range(0, 600, batch):
        state, results = receive(state, datagrams[start : start + batch], START)
    assert results == [message(1, 600)]


@pytest.mark.spec("UDP-16")
def test_a_run_ends_where_something_else_is_in_between() -> None:
    datagrams = list(cut(1, 30))
    swapped = [*datagrams[:9], datagrams[10], datagrams[9], datagrams[3], *datagrams[11:]]
    assert receive(Reassembly(), swapped, START)[1] == [message(1, 30)]
    known, _ = receive(Reassembly(), (datagrams[5],), START)
    assert receive(known, datagrams, START)[1] == [message(1, 30)]


@pytest.mark.spec("UDP-5")
def test_a_run_does_not_pass_the_limit_of_a_message() -> None:
    datagrams = [encode_slice(Slice(1, index, 400, bytes(60_000))) for index in range(300)]
    state, results = receive(Reassembly(), datagrams, START)
    assert rules(results) == ["bad-slice"]
    assert state.waiting < MAX_MESSAGE_LENGTH + 400 * (SLICE_COST + 8) + BLOCK * 16


@pytest.mark.spec("UDP-16")
def test_states_are_values() -> None:
    datagrams = cut(1, 600)
    first, _ = receive(Reassembly(), datagrams[:300], START)
    once = receive(first, datagrams[300:], START)
    assert receive(first, datagrams[300:], START) == once
    assert once[1] == [message(1, 600)]
    assert once[0].places[-1] is Done.DONE
    hash(first)


def test_a_draft_freezes_to_what_it_came_from() -> None:
    (place,) = (place for place in receive(Reassembly(), cut(1, 600)[:300], START)[0].places if place)
    assert isinstance(place, Unfinished)
    assert Draft(1, place).freeze() == place
