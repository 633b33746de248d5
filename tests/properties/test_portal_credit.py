"""Credit between two portal connections of our own: bounded, complete, never stuck."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ockam_ref.effects import (
    Effects,
    FinishSending,
    Forward,
    ReportDrained,
    SendBytes,
    StartReading,
    StopReading,
)
from ockam_ref.events import BytesReceived, LinkDrained, LinkFinished, LinkOpened, MessageReceived
from ockam_ref.machine import LinkId
from ockam_ref.portals.credit import (
    MARK_EVERY_BYTES,
    RESUME_BELOW_BYTES,
    WINDOW_BYTES,
    Credit,
    credit_answered,
    credit_sent,
)
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage
from tests.unit.channels.ends import NOW, End
from tests.unit.portals.ends import CLIENT, TARGET, start_inlet_connection, start_outlet_connection

LARGEST_READ = MARK_EVERY_BYTES + 1
READS = st.sampled_from([1, 49_152, 131_072, MARK_EVERY_BYTES - 1, MARK_EVERY_BYTES, LARGEST_READ])


class Side:
    """One end, its socket, and what is on its way to it."""

    def __init__(self, end: End, link: LinkId) -> None:
        self.end, self.link = end, link
        self.arriving: deque[LocalMessage] = deque()
        self.reading = self.finished = self.end_seen = False
        self.drains = 0
        self.sent = 0  # bytes that the application wrote
        self.received = 0  # bytes that reached the socket
        self.left = 0  # of those, bytes that have left the process
        self.uncounted = 0  # bytes that the application wrote before the other end was known to be of our kind
        self.other: Side

    def carry_out(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Forward(_, message):
                    self.other.arriving.append(message)
                case SendBytes(_, chunks):
                    self.received += sum(map(len, chunks))
                case StartReading():
                    self.reading = True
                case StopReading():
                    self.reading = False
                case ReportDrained():
                    self.drains += 1
                case FinishSending():
                    self.end_seen = True
                case _:
                    pass

    def deliver(self) -> None:
        message = self.arriving.popleft()
        self.carry_out(
            self.end.step(MessageReceived(message.onward_route[-1], local("hop"), _at_its_end(message), NOW))
        )

    def drain(self) -> None:
        """The socket takes everything that was written."""
        self.left = self.received
        if self.drains:
            self.drains = 0
            self.carry_out(self.end.step(LinkDrained(self.link, NOW)))

    def read(self, size: int) -> None:
        self.sent += size
        if not self.end.state.credit.agreed:
            self.uncounted = self.sent
        self.carry_out(self.end.step(BytesReceived(self.link, bytes(size), NOW)))

    def finish(self) -> None:
        self.finished = True
        self.carry_out(self.end.step(LinkFinished(self.link, NOW)))


def _at_its_end(message: LocalMessage) -> LocalMessage:
    """As the message arrives behind the hop of its way."""
    return LocalMessage(message.onward_route[-1:], (local("hop"), *message.return_route), message.payload)


class Portal(RuleBasedStateMachine):
    """An inlet's and an outlet's connection, with a queue each way and sockets that take bytes when they like."""

    @initialize()
    def open(self) -> None:
        self.a = Side(start_inlet_connection(), CLIENT)
        self.b = Side(start_outlet_connection(), TARGET)
        self.a.other, self.b.other = self.b, self.a
        self.b.carry_out(self.b.end.step(LinkOpened(TARGET, NOW)))
        while self.a.arriving or self.b.arriving:
            (self.a if self.a.arriving else self.b).deliver()
        assert self.a.end.state.credit.agreed
        assert not self.b.end.state.credit.agreed  # until the first bytes bring the inlet's announcement
        assert self.a.reading
        assert self.b.reading

    def side(self, *, first: bool) -> Side:
        return self.a if first else self.b

    @rule(first=st.booleans(), size=READS)
    def the_application_writes(self, *, first: bool, size: int) -> None:
        side = self.side(first=first)
        if side.reading and not side.finished:
            side.read(size)

    @rule(first=st.booleans(), count=st.integers(1, 8))
    def messages_arrive(self, *, first: bool, count: int) -> None:
        side = self.side(first=first)
        for _ in range(min(count, len(side.arriving))):
            side.deliver()

    @rule(first=st.booleans())
    def the_socket_takes_all(self, *, first: bool) -> None:
        self.side(first=first).drain()

    @precondition(lambda self: not (self.a.finished or self.b.finished))
    @rule(first=st.booleans())
    def the_application_finishes(self, *, first: bool) -> None:
        side = self.side(first=first)
        if side.reading and side.end.state.credit.agreed:
            side.finish()

    @invariant()
    def what_is_on_its_way_is_bounded(self) -> None:
        if hasattr(self, "a"):
            for side in (self.a, self.b):
                credit = side.end.state.credit
                assert credit.outstanding < WINDOW_BYTES + LARGEST_READ
                assert side.sent - max(side.other.left, side.uncounted) <= credit.outstanding
                assert side.end.state.owes_announcement <= (self.a.sent == self.b.left == self.a.received == 0)
                assert credit.outstanding == sum(credit.marks) + credit.unmarked
                assert side.reading is not credit.paused
                assert side.end.state.marks_to_answer <= 5

    def teardown(self) -> None:
        if not hasattr(self, "a"):
            return
        for _ in range(1000):
            for side in (self.a, self.b):
                while side.arriving:
                    side.deliver()
                side.drain()
        for side in (self.a, self.b):
            assert side.other.left == side.sent
            assert side.other.end_seen is side.finished
            assert side.reading
            assert side.end.state.credit.outstanding < MARK_EVERY_BYTES
        assert self.b.end.state.credit.agreed is bool(self.a.sent or self.b.sent or self.a.finished)


Portal.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPortal = pytest.mark.spec("PT-12", "PT-21", "PT-25", "PT-26", "PT-27")(Portal.TestCase)


@pytest.mark.spec("PT-26", "PT-27")
@given(st.lists(st.one_of(READS, st.none()), max_size=80))
def test_whatever_the_peer_answers(steps: list[int | None]) -> None:
    """``None`` is a Pong, due or not."""
    credit = Credit(agreed=True)
    for step in steps:
        if step is None:
            following = credit_answered(credit)
            assert following.resume is (credit.paused and following.credit.outstanding <= RESUME_BELOW_BYTES)
        else:
            following = credit_sent(credit, step)
            assert following.pause is (not credit.paused and following.credit.outstanding >= WINDOW_BYTES)
        credit = following.credit
        assert credit.outstanding == sum(credit.marks) + credit.unmarked >= 0
        assert credit.unmarked < MARK_EVERY_BYTES
        assert not credit.paused or credit.marks  # whoever is paused has a mark to wait for
