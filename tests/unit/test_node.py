"""The box around the machines: routing, drops, starting and stopping, links, timers, watches."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import pytest

from ockam_ref.effects import (
    AddConsumer,
    AddConsumerOfProducer,
    AddProducer,
    AddSpawner,
    ArmTimer,
    CancelTimer,
    CloseLink,
    CopyConsumers,
    Deliver,
    DisarmTimer,
    Effect,
    Effects,
    FinishSending,
    Forward,
    HostEffects,
    IfTaken,
    JoinProducer,
    NamePeer,
    OpenLink,
    Own,
    Report,
    ReportDrained,
    SendBytes,
    SetTimer,
    StartReading,
    StartWorker,
    StopReading,
    StopWorker,
    Tell,
    Watch,
)
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.events import (
    AddressGone,
    BytesReceived,
    ChildSettled,
    LinkAccepted,
    LinkClosed,
    LinkDrained,
    LinkEvent,
    LinkFailed,
    LinkFinished,
    LinkOpened,
    MessageReceived,
    PauseChanged,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.machine import Fresh, LinkId, Machine, Mailbox, Needs, Now, Worker
from ockam_ref.node import MAX_HOPS_PER_EVENT, MAX_RECORDED_DROPS, Node
from ockam_ref.observations import (
    MAX_SHOWN_CHARACTERS,
    MAX_SHOWN_HOPS,
    MAX_SHOWN_VALUE_BYTES,
    LinkLost,
    MessageDropped,
)
from ockam_ref.registry import MACHINES
from ockam_ref.routing.access_control import (
    ALLOW_ALL,
    DENY_ALL,
    AllowConsumers,
    AllowIdentifiers,
    AllowOnward,
    AllowSources,
)
from ockam_ref.routing.flow_controls import Producer
from ockam_ref.wire.address import TCP, Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage
from ockam_ref.workers.hop import Hop
from tests.unit.nodes import NOW, Drawer, Marionette, Puppet, Stage, names, reported, route, rules

A, B, C = local("a"), local("b"), local("c")
LINK, OTHER_LINK = LinkId(7), LinkId(8)
LATER = Now(200.0, 1_700_000_100)


def message(onward: str, payload: bytes = b"", back: str = "") -> LocalMessage:
    return LocalMessage(route(onward), route(back), payload)


def code_of(call: Callable[[], object]) -> ErrorCode:
    with pytest.raises(MisuseError) as caught:
        call()
    return caught.value.code


# ---- starting


@pytest.mark.spec("NODE-1")
def test_a_started_worker_has_all_its_addresses() -> None:
    stage = Stage()
    address, effects = stage.start(Puppet(A, more=(Mailbox(B), Mailbox(C))), NOW)
    assert (address, effects) == (A, [])
    assert all(known in stage for known in (A, B, C))
    assert local("d") not in stage
    assert stage.addresses_of(B) == (A, B, C)
    assert stage.addresses_of(local("d")) == ()


@pytest.mark.spec("NODE-1")
def test_primary_addresses_are_listed_in_order_of_type_and_bytes() -> None:
    stage = Stage()
    typed = Address(TCP, b"a")
    stage.play(Puppet(local("b"), more=(Mailbox(local("0")),)), Puppet(typed), Puppet(local("a")), Puppet(local("B")))
    assert stage.addresses() == [local("B"), local("a"), local("b"), typed]
    assert stage.newest_first() == [local("B"), local("a"), typed, local("b")]


@pytest.mark.parametrize(
    "taken", [Puppet(A), Puppet(C, more=(Mailbox(A),)), Puppet(B), Puppet(C, more=(Mailbox(B),))], ids=str
)
@pytest.mark.spec("NODE-2")
def test_an_address_belongs_to_one_worker(taken: Puppet) -> None:
    stage = Stage()
    first = Puppet(A, more=(Mailbox(B),))
    stage.play(first)
    assert code_of(lambda: stage.start(taken, NOW)) is ErrorCode.ADDRESS_TAKEN
    assert stage.addresses() == [A]
    assert C not in stage
    stage.say("a", "b", b"still here")
    assert first.payloads == [b"still here"]


@pytest.mark.spec("NODE-2")
def test_an_unknown_configuration_is_misuse() -> None:
    assert code_of(lambda: Stage().start(Hop(A), NOW)) is ErrorCode.MISUSE
    assert code_of(lambda: Node(entropy=bytes).start("echo", NOW)) is ErrorCode.MISUSE


@pytest.mark.spec("NODE-3")
def test_what_is_drawn_for_a_worker() -> None:
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return bytes((len(asked),)) * size

    stage = Stage(entropy)
    assert asked == []
    stage.play(Puppet(A))
    assert asked == []
    earlier = stage.new_link()
    address, _ = stage.start(Drawer(), NOW)
    drawn = stage.state_of(address)
    assert isinstance(drawn, Fresh)
    assert asked == [16, 16, 16, 16, 32]
    assert drawn.addresses == (local("01" * 16), local("02" * 16))
    assert drawn.flow_control_ids == ("03" * 16, "04" * 16)
    assert drawn.secrets == (b"\x05" * 32,)
    assert drawn.now == NOW
    links = {earlier, *drawn.links, stage.new_link()}
    assert len(links) == 4


@pytest.mark.spec("NODE-4")
def test_the_first_effects_come_in_order() -> None:
    stage = Stage()
    said = (
        OpenLink(LINK, "target:80"),
        SendBytes(LINK, (b"x",)),
        StartReading(LINK),
        StopReading(LINK),
        ReportDrained(LINK),
        FinishSending(LINK),
        Deliver(A, B, message("a")),
        Report(LinkLost(A, LINK, "reason")),
        CloseLink(LINK, "enough"),
    )
    assert stage.play(Puppet(A, said)) == list(said)


@pytest.mark.spec("NODE-4")
def test_one_event_is_worked_off_before_the_call_returns() -> None:
    """Messages between two workers, the last effect of a chain too, come out of the call that began it."""
    stage = Stage()
    last = Puppet(C, answers={MessageReceived: (SendBytes(LINK, (b"end",)),)})
    middle = Puppet(B, answers={MessageReceived: (Forward(B, message("c")), SendBytes(LINK, (b"middle",)))})
    stage.play(last, middle, Puppet(A))
    assert stage.say("a", "b") == [SendBytes(LINK, (b"middle",)), SendBytes(LINK, (b"end",))]
    assert stage.say("a", "b") == [SendBytes(LINK, (b"middle",)), SendBytes(LINK, (b"end",))]


# ---- routing


@pytest.mark.spec("RT-1")
def test_a_message_arrives_as_it_was_sent() -> None:
    """The node edits no route; the destination is the address as the route writes it."""
    stage = Stage()
    puppet = Puppet(A, more=(Mailbox(B),))
    stage.play(puppet, Puppet(C))
    sent = LocalMessage(route("b more hops"), route("c back"), b"payload", (LocalInfo("kind", b"data"),), "tracing")
    stage.forward(C, sent, LATER)
    assert puppet.seen == [MessageReceived(B, C, sent, LATER)]


@pytest.mark.spec("RT-2")
def test_order_between_two_addresses_is_kept() -> None:
    stage = Stage()
    target = Puppet(B)
    burst = tuple(Forward(A, message("b", bytes((number,)))) for number in range(100))
    stage.play(target, Puppet(A, burst))
    assert target.payloads == [bytes((number,)) for number in range(100)]


@pytest.mark.spec("RT-3")
def test_a_caller_learns_that_a_message_cannot_leave() -> None:
    stage = Stage()
    stage.play(Puppet(A))
    assert code_of(lambda: stage.forward(A, LocalMessage((), (), b""), NOW)) is ErrorCode.INCOMPLETE_ROUTE
    assert code_of(lambda: stage.say("b", "a")) is ErrorCode.NOT_MY_ADDRESS
    assert code_of(lambda: stage.say("a", "b")) is ErrorCode.UNKNOWN_ADDRESS
    tcp_hop = LocalMessage((Address(TCP, b"localhost:4000"),), (), b"")
    assert code_of(lambda: stage.forward(A, tcp_hop, NOW)) is ErrorCode.UNKNOWN_ADDRESS
    assert list(stage.drops) == []


@pytest.mark.spec("RT-3")
def test_the_first_hop_is_looked_up_before_anybody_is_asked() -> None:
    stage = Stage()
    stage.play(Puppet(A, mailbox=Mailbox(A, DENY_ALL, DENY_ALL)))
    assert code_of(lambda: stage.say("a", "unknown")) is ErrorCode.UNKNOWN_ADDRESS
    assert rules(stage.say("a", "a")) == ["outgoing:deny-all"]


@pytest.mark.parametrize(
    ("onward", "rule"), [("", "incomplete-route"), ("nobody x", "unknown-address"), ("b", "not-my-address")]
)
@pytest.mark.spec("RT-4")
def test_a_worker_is_not_told_that_its_message_went_nowhere(onward: str, rule: str) -> None:
    stage = Stage()
    source = C if rule == "not-my-address" else A
    sender = Puppet(A, answers={MessageReceived: (Forward(source, message(onward, back="r")),)})
    stage.play(Puppet(B), sender)
    effects = stage.say("b", "a")
    assert reported(effects, MessageDropped) == list(stage.drops)
    (dropped,) = stage.drops
    assert (dropped.rule, dropped.source) == (rule, source)
    assert (dropped.onward_route, dropped.return_route) == (route(onward), route("r"))
    assert dropped.detail
    assert len(sender.seen) == 1


@pytest.mark.spec("RT-10")
def test_the_mailbox_that_sends_decides() -> None:
    stage = Stage()
    target = Puppet(C)
    stage.play(
        target,
        Puppet(A, more=(Mailbox(B, ALLOW_ALL, DENY_ALL),), mailbox=Mailbox(A, DENY_ALL, AllowOnward(frozenset({C})))),
    )
    assert rules(stage.say("b", "c", b"no")) == ["outgoing:deny-all"]
    assert rules(stage.say("a", "c", b"yes")) == []
    assert rules(stage.say("a", "b", b"no")) == ["outgoing:allow-onward"]
    assert target.payloads == [b"yes"]


@pytest.mark.spec("RT-10")
def test_the_mailbox_that_is_sent_to_decides() -> None:
    stage = Stage()
    target = Puppet(A, more=(Mailbox(B),), mailbox=Mailbox(A, DENY_ALL))
    stage.play(target, Puppet(C))
    effects = stage.say("c", "a", b"no")
    assert rules(effects) == ["incoming:deny-all"]
    assert rules(stage.say("c", "b", b"yes")) == []
    assert target.payloads == [b"yes"]
    (dropped,) = reported(effects, MessageDropped)
    assert (dropped.source, dropped.onward_route) == (C, (A,))


@pytest.mark.spec("RT-10")
def test_both_sides_may_have_controls_that_allow() -> None:
    stage = Stage()
    target = Puppet(B, mailbox=Mailbox(B, AllowSources(frozenset({A}))))
    stage.play(target, Puppet(A, mailbox=Mailbox(A, DENY_ALL, AllowOnward(frozenset({B})))))
    assert stage.say("a", "b", b"yes") == []
    assert target.payloads == [b"yes"]


@pytest.mark.spec("RT-10")
def test_the_outgoing_side_is_asked_first() -> None:
    stage = Stage()
    stage.play(Puppet(A, mailbox=Mailbox(A, outgoing=DENY_ALL)), Puppet(B, mailbox=Mailbox(B, incoming=DENY_ALL)))
    assert rules(stage.say("a", "b")) == ["outgoing:deny-all"]


@pytest.mark.spec("RT-23")
def test_forged_local_info_is_a_refusal_and_no_error() -> None:
    stage = Stage()
    stage.play(Puppet(A, mailbox=Mailbox(A, AllowIdentifiers())), Puppet(B))
    forged = LocalMessage((A,), (), b"", (LocalInfo("SECURE_CHANNEL_IDENTIFIER", b"nonsense"),))
    assert rules(stage.forward(B, forged, NOW)) == ["incoming:allow-identifiers"]


@pytest.mark.spec("RT-30")
def test_flow_controls_are_asked_at_every_message() -> None:
    stage = Stage()
    producer = Puppet(A, mailbox=Mailbox(A, DENY_ALL, AllowConsumers("P", "S")))
    target = Puppet(B, more=(Mailbox(C),))
    stage.play(producer, target)
    assert rules(stage.say("a", "b", b"1")) == ["outgoing:flow-control"]
    stage.flow_controls.add_consumer(B, "S")
    assert rules(stage.say("a", "b", b"2")) == []
    assert rules(stage.say("a", "c", b"3")) == ["outgoing:flow-control"]  # another address of the same worker
    assert target.payloads == [b"2"]


# ---- drops


@pytest.mark.spec("RT-5")
def test_drops_are_kept_and_counted_and_bounded() -> None:
    stage = Stage()
    stage.play(Puppet(A, mailbox=Mailbox(A, DENY_ALL, DENY_ALL)), Puppet(B))
    stage.say("a", "b", back="first")
    for number in range(MAX_RECORDED_DROPS + 5):
        stage.say("b", "a", back=f"r{number}")
    assert stage.drop_counts == {"outgoing:deny-all": 1, "incoming:deny-all": MAX_RECORDED_DROPS + 5}
    assert len(stage.drops) == MAX_RECORDED_DROPS
    assert [dropped.return_route for dropped in (stage.drops[0], stage.drops[-1])] == [
        route("r5"),
        route(f"r{MAX_RECORDED_DROPS + 4}"),
    ]


@pytest.mark.spec("RT-5")
def test_what_a_machine_drops_is_recorded_too() -> None:
    stage = Stage()
    dropped = MessageDropped("bad-name", "a name is not so", B, (A,), (B,))
    stage.play(Puppet(A, answers={MessageReceived: (Report(dropped),)}), Puppet(B))
    assert stage.say("b", "a") == [Report(dropped)]
    assert list(stage.drops) == [dropped]
    assert stage.drop_counts == {"bad-name": 1}


@pytest.mark.spec("RT-6")
def test_a_recorded_drop_is_short_whatever_a_stranger_sent() -> None:
    stage = Stage()
    stage.play(Puppet(A, answers={MessageReceived: (Forward(A, LocalMessage(ROUTE_OF_GIANTS, ROUTE_OF_GIANTS, b"")),)}))
    effects = stage.say("a", "a")
    assert reported(effects, MessageDropped) == list(stage.drops)
    (dropped,) = stage.drops
    assert dropped.rule == "unknown-address"
    assert len(dropped.detail) == MAX_SHOWN_CHARACTERS
    for kept in (dropped.onward_route, dropped.return_route):
        assert kept == (Address(0, b"g" * MAX_SHOWN_VALUE_BYTES),) * MAX_SHOWN_HOPS


@pytest.mark.spec("RT-6")
def test_what_a_machine_drops_is_shortened_too() -> None:
    stage = Stage()
    long = MessageDropped("rule", "d" * 10_000, ROUTE_OF_GIANTS[0], ROUTE_OF_GIANTS, ROUTE_OF_GIANTS)
    effects = stage.play(Puppet(A, (Report(long),)))
    assert effects == [Report(long.shortened())]
    assert list(stage.drops) == [long.shortened()]
    assert len(repr(long.shortened())) < 5_000


ROUTE_OF_GIANTS = (Address(0, b"g" * 100_000),) * 255


# ---- loops


@pytest.mark.spec("RT-7")
def test_a_loop_ends() -> None:
    stage = Stage()
    one = Puppet(A, answers={MessageReceived: (Forward(A, message("b")),)})
    other = Puppet(B, answers={MessageReceived: (Forward(B, message("a")),)})
    stage.play(one, other)
    assert rules(stage.say("b", "a")) == ["too-many-hops"]
    assert len(one.seen) + len(other.seen) == MAX_HOPS_PER_EVENT
    assert rules(stage.say("b", "a")) == ["too-many-hops"]  # each event begins anew


HOST_EVENTS: dict[type, Callable[[Stage], HostEffects]] = {
    BytesReceived: lambda stage: stage.receive(BytesReceived(LINK, b"x", LATER)),
    LinkAccepted: lambda stage: stage.receive(LinkAccepted(OTHER_LINK, A, LATER)),
    PauseChanged: lambda stage: stage.tell(A, PauseChanged(True, LATER)),
    StopRequested: lambda stage: stage.stop(A, LATER),
}


@pytest.mark.parametrize("event", HOST_EVENTS)
@pytest.mark.spec("RT-7", "NODE-4")
def test_a_loop_may_be_as_long_and_has_the_time_of_its_event_whatever_began_it(event: type) -> None:
    stage = Stage()
    one = Puppet(B, answers={MessageReceived: (Forward(B, message("c")),)})
    other = Puppet(C, answers={MessageReceived: (Forward(C, message("b")),)})
    stage.play(one, other, Puppet(A, (Own(LINK),), answers={event: (Forward(A, message("b")),)}))
    assert rules(HOST_EVENTS[event](stage))[-1:] == ["too-many-hops"]
    assert len(one.seen) + len(other.seen) == MAX_HOPS_PER_EVENT
    assert {got.now for got in (*one.seen, *other.seen)} == {LATER}


@pytest.mark.spec("RT-7")
def test_the_longest_chain_that_is_no_loop() -> None:
    node = Node(entropy=bytes)
    node.start(Hop(local("hop")), NOW)
    enough = (local("hop"),) * MAX_HOPS_PER_EVENT
    assert rules(node.forward(local("hop"), LocalMessage(enough, (), b""), NOW)) == ["incomplete-route"]
    assert rules(node.forward(local("hop"), LocalMessage((*enough, local("hop")), (), b""), NOW)) == ["too-many-hops"]


@pytest.mark.spec("RT-7")
def test_a_worker_that_hands_itself_a_first_message_for_ever() -> None:
    stage = Stage()
    again = start_effect(Puppet(A), b"again", IfTaken.REUSE)
    puppet = Puppet(A, answers={MessageReceived: (again,)})
    stage.play(puppet)
    assert rules(stage.say("a", "a")) == ["too-many-hops"]
    assert len(puppet.seen) == MAX_HOPS_PER_EVENT


@pytest.mark.spec("RT-7")
def test_a_worker_that_starts_others_of_its_kind_for_ever() -> None:
    stage = Stage(count_up())
    endless: Machine[Drawer, None] = Machine(
        "endless", _start_another, lambda state, _: (state, ()), Needs(addresses=1)
    )
    stage._machines = {**stage._machines, Drawer: endless}
    _, effects = stage.start(Drawer(), NOW)
    assert rules(effects) == ["too-many-hops"]
    assert len(stage.addresses()) == MAX_HOPS_PER_EVENT + 1


def _start_another(config: Drawer, fresh: Fresh) -> Worker[None]:
    return Worker((Mailbox(fresh.addresses[0]),), None, (StartWorker(config),))


def count_up() -> Callable[[int], bytes]:
    numbers = count()
    return lambda size: next(numbers).to_bytes(size, "big")


# ---- workers that start workers


def start_effect(config: Puppet, payload: bytes | None = b"first", if_taken: IfTaken = IfTaken.DROP) -> StartWorker:
    return StartWorker(config, None if payload is None else message("parent more", payload, "back"), if_taken)


@pytest.mark.spec("NODE-10")
def test_a_worker_starts_another_and_hands_it_a_message() -> None:
    stage = Stage()
    child = Puppet(B, (SendBytes(LINK, (b"hello",)),), more=(Mailbox(C),))
    effects = stage.play(Puppet(A, (start_effect(child),)))
    assert effects == [SendBytes(LINK, (b"hello",))]
    assert child.seen == [MessageReceived(B, A, message("b more", b"first", "back"), NOW)]


@pytest.mark.spec("NODE-10")
def test_a_worker_starts_another_without_a_message() -> None:
    stage = Stage()
    child = Puppet(B)
    stage.play(Puppet(A, (start_effect(child, None),)))
    assert (B in stage, child.seen) == (True, [])


@pytest.mark.parametrize("if_taken", IfTaken)
@pytest.mark.spec("NODE-11")
def test_a_worker_of_another_kind_keeps_its_address(if_taken: IfTaken) -> None:
    stage = Stage()
    holder = Puppet(B)
    child = Marionette(B)
    stage.play(holder)
    effects = stage.play(Puppet(A, (start_effect(child, b"first", if_taken),)))
    assert rules(effects) == ["address-taken"]
    assert (holder.seen, child.seen) == ([], [])
    (dropped,) = stage.drops
    assert (dropped.source, dropped.return_route) == (A, route("back"))
    assert rules(stage.stop(A, NOW)) == []


@pytest.mark.spec("NODE-11")
def test_drop_leaves_the_holder_alone() -> None:
    stage = Stage()
    holder, child = Puppet(B), Puppet(B)
    stage.play(holder)
    assert rules(stage.play(Puppet(A, (start_effect(child, None, IfTaken.DROP),)))) == ["address-taken"]
    assert (holder.seen, child.seen) == ([], [])


@pytest.mark.spec("NODE-11")
def test_replace_stops_the_holder_first() -> None:
    stage = Stage()
    last_words = (SendBytes(LINK, (b"old",)),)
    holder = Puppet(B, answers={StopRequested: last_words}, more=(Mailbox(C),))
    child = Puppet(B, (SendBytes(LINK, (b"new",)),))
    stage.play(holder)
    effects = stage.play(Puppet(A, (start_effect(child, b"first", IfTaken.REPLACE),)))
    assert effects == [SendBytes(LINK, (b"old",)), SendBytes(LINK, (b"new",))]
    assert holder.seen == [StopRequested("replaced", NOW)]
    assert child.payloads == [b"first"]
    assert C not in stage


@pytest.mark.spec("NODE-11")
def test_reuse_gives_the_message_to_the_holder() -> None:
    stage = Stage()
    holder, child = Puppet(C, more=(Mailbox(B),)), Puppet(B)
    stage.play(holder)
    assert stage.play(Puppet(A, (start_effect(child, b"first", IfTaken.REUSE),))) == []
    assert holder.seen == [MessageReceived(C, A, message("c more", b"first", "back"), NOW)]
    assert child.seen == []


@pytest.mark.parametrize("if_taken", [IfTaken.REPLACE, IfTaken.REUSE])
@pytest.mark.spec("NODE-11")
def test_a_free_address_is_simply_taken(if_taken: IfTaken) -> None:
    stage = Stage()
    child = Puppet(B)
    assert stage.play(Puppet(A, (start_effect(child, b"first", if_taken),))) == []
    assert child.payloads == [b"first"]


@pytest.mark.spec("NODE-11")
def test_a_worker_that_cannot_be_started_is_a_recorded_drop() -> None:
    stage = Stage()
    effects = stage.play(Puppet(A, (StartWorker(Hop(B)),)))
    assert rules(effects) == ["misuse"]
    assert (A in stage, B in stage) == (True, False)


# ---- stopping


@pytest.mark.spec("NODE-20")
def test_a_stopped_worker_speaks_last_and_its_addresses_are_free() -> None:
    stage = Stage()
    friend = Puppet(C)
    puppet = Puppet(A, answers={StopRequested: (Forward(B, message("c", b"good-bye")),)}, more=(Mailbox(B),))
    stage.play(friend, puppet)
    assert stage.stop(B, LATER, "enough") == []
    assert puppet.seen == [StopRequested("enough", LATER)]
    assert friend.seen == [MessageReceived(C, B, message("c", b"good-bye"), LATER)]
    assert stage.addresses() == [C]
    assert B not in stage
    stage.play(Puppet(B))  # the names can be used again at once
    assert stage.stop(A, LATER) == []


@pytest.mark.spec("NODE-20")
def test_last_words_reach_a_link_that_is_still_there() -> None:
    stage = Stage()
    carrier = Puppet(B, (Own(LINK),), answers={MessageReceived: (SendBytes(LINK, (b"close",)),)})
    stage.play(carrier, Puppet(A, answers={StopRequested: (Forward(A, message("b")),)}))
    assert stage.stop(A, NOW) == [SendBytes(LINK, (b"close",))]
    assert stage.stop(B, NOW, "the node stops") == [CloseLink(LINK, "the node stops")]


@pytest.mark.spec("NODE-20")
def test_a_worker_that_stops_itself_is_told_nothing_more_and_says_nothing_more() -> None:
    stage = Stage()
    before, after = SendBytes(LINK, (b"before",)), SendBytes(LINK, (b"after",))
    leaving = (before, StopWorker(B, "done"), after, Own(LINK), SetTimer("t", 200.0), Watch(C), AddConsumer(A, "X"))
    puppet = Puppet(A, answers={MessageReceived: leaving}, more=(Mailbox(B),))
    stage.play(puppet, Puppet(C))
    assert stage.say("c", "a") == [before]
    assert [type(event) for event in puppet.seen] == [MessageReceived]
    assert stage.addresses() == [C]
    assert stage.flow_controls.consumers == {}
    assert stage.receive(BytesReceived(LINK, b"x", NOW)) == []
    assert stage.stop(C, NOW) == []
    assert len(puppet.seen) == 1


@pytest.mark.spec("NODE-20")
def test_two_workers_that_stop_each_other() -> None:
    """The second stops the first in its last words, while the first is still speaking."""
    stage = Stage()
    one = Puppet(A, answers={MessageReceived: (StopWorker(B, "you"), Own(LINK)), StopRequested: (Own(OTHER_LINK),)})
    two = Puppet(B, answers={StopRequested: (StopWorker(A, "no, you"), SendBytes(LINK, (b"last",)))})
    stage.play(one, two, Puppet(C))
    assert stage.say("c", "a") == [CloseLink(OTHER_LINK, "no, you"), SendBytes(LINK, (b"last",))]
    assert stage.addresses() == [C]
    assert stage.receive(BytesReceived(LINK, b"x", NOW)) == []


@pytest.mark.spec("NODE-20")
def test_a_worker_that_stops_another() -> None:
    stage = Stage()
    other = Puppet(B)
    puppet = Puppet(A, answers={MessageReceived: (StopWorker(B, "you"), StopWorker(B, "again"), StopWorker(C, "who?"))})
    stage.play(other, puppet)
    assert stage.say("b", "a") == []
    assert other.seen == [StopRequested("you", NOW)]


@pytest.mark.spec("NODE-20")
def test_last_words_may_ask_for_the_end_once_more() -> None:
    stage = Stage()
    puppet = Puppet(A, answers={StopRequested: (StopWorker(A, "I stop myself"),)})
    stage.play(puppet)
    assert stage.stop(A, NOW) == []
    assert len(puppet.seen) == 1


@pytest.mark.spec("NODE-21")
def test_a_message_that_waits_for_a_stopped_worker_is_a_recorded_drop() -> None:
    stage = Stage()
    both = (Forward(A, message("b x", b"late", "r")), Tell(B, PauseChanged(True, NOW)), StopWorker(B, "now"))
    stage.play(Puppet(B), Puppet(A, answers={MessageReceived: both}))
    assert rules(stage.say("a", "a")) == ["worker-stopped"]
    (dropped,) = stage.drops
    assert (dropped.source, dropped.onward_route, dropped.return_route) == (A, route("b x"), route("r"))


@pytest.mark.spec("NODE-22")
def test_a_stopped_worker_leaves_nothing_behind() -> None:
    stage = Stage()
    said: Effects = (
        AddProducer(A, "P", "S", (B,)),
        AddSpawner(B, "Z"),
        AddConsumer(B, "X"),
        NamePeer(B, bytes(32)),
        SetTimer("one", 150.0),
        SetTimer("two", 160.0),
        Own(LINK),
        OpenLink(OTHER_LINK, "target:80"),
    )
    stage.play(Puppet(A, said, more=(Mailbox(B, terminal=True),)))
    assert stage.peer_of((B,)) == bytes(32)
    effects = stage.stop(A, NOW, "bye")
    assert effects == [
        DisarmTimer(A, "one"),
        DisarmTimer(A, "two"),
        CloseLink(LINK, "bye"),
        CloseLink(OTHER_LINK, "bye"),
    ]
    registry = stage.flow_controls
    assert (registry.consumers, registry.producers, registry.additional, registry.spawners) == ({}, {}, {}, {})
    stage.play(Puppet(B, mailbox=Mailbox(B, terminal=True)))
    assert stage.peer_of((B,)) is None
    assert stage.receive(BytesReceived(LINK, b"x", NOW)) == []


# ---- flow controls by effects


@pytest.mark.spec("RT-31", "RT-32", "RT-33", "RT-35")
def test_effects_edit_the_flow_controls() -> None:
    stage = Stage()
    said: Effects = (
        AddProducer(A, "P", "S", (B,)),
        AddConsumer(C, "P"),
        AddConsumer(C, "Q"),
        CopyConsumers(C, local("copy")),
        AddConsumerOfProducer(local("d"), B),
        AddConsumerOfProducer(local("e"), B, exact=True),
        AddConsumerOfProducer(local("f"), A, exact=True),
        JoinProducer(local("g"), B),
    )
    stage.play(Puppet(A, said))
    registry = stage.flow_controls
    assert registry.consumers == {"P": {C, local("copy"), local("d"), local("f")}, "Q": {C, local("copy")}}
    assert registry.producers == {A: Producer("P", "S"), local("g"): Producer("P", None)}


# ---- links


def link_events(link: LinkId) -> list[LinkEvent]:
    return [
        LinkOpened(link, NOW),
        BytesReceived(link, b"bytes", NOW),
        LinkDrained(link, NOW),
        LinkFinished(link, NOW),
        LinkClosed(link, "reset", NOW),
    ]


@pytest.mark.spec("NODE-30")
def test_events_of_a_link_go_to_its_owner() -> None:
    stage = Stage()
    owner, other = Puppet(A, (OpenLink(LINK, "target:80"),)), Puppet(B, (Own(OTHER_LINK),))
    stage.play(owner, other)
    for event in link_events(LINK):
        assert stage.receive(event) == []
    assert owner.seen == link_events(LINK)
    assert other.seen == []


@pytest.mark.spec("NODE-30")
def test_events_of_a_link_that_nobody_owns_are_ignored() -> None:
    stage = Stage()
    stage.play(Puppet(A, (Own(OTHER_LINK),)))
    for event in [*link_events(LINK), LinkFailed(LINK, "refused", NOW)]:
        assert stage.receive(event) == []


@pytest.mark.parametrize("last", [LinkClosed(LINK, "reset", NOW), LinkFailed(LINK, "refused", NOW)])
@pytest.mark.spec("NODE-31")
def test_a_link_that_is_gone_has_no_owner_and_is_not_closed(last: LinkEvent) -> None:
    stage = Stage()
    owner = Puppet(A, (Own(LINK),))
    stage.play(owner)
    stage.receive(last)
    stage.receive(BytesReceived(LINK, b"late", NOW))
    assert owner.seen == [last]
    assert stage.stop(A, NOW) == []


@pytest.mark.spec("NODE-31")
def test_a_closed_link_has_no_owner_and_is_closed_once() -> None:
    stage = Stage()
    owner = Puppet(A, (Own(LINK),), answers={LinkFinished: (CloseLink(LINK, "finished"),)})
    stage.play(owner)
    assert stage.receive(LinkFinished(LINK, NOW)) == [CloseLink(LINK, "finished")]
    assert stage.receive(BytesReceived(LINK, b"late", NOW)) == []
    assert len(owner.seen) == 1
    assert stage.stop(A, NOW) == []


@pytest.mark.spec("NODE-32")
def test_a_link_has_one_owner_the_last_who_asked() -> None:
    stage = Stage()
    first, second = Puppet(A, (Own(LINK),)), Puppet(B, (Own(LINK),))
    stage.play(first, second)
    assert stage.stop(A, NOW) == []  # it is not closed under the hands of its new owner
    stage.receive(BytesReceived(LINK, b"x", NOW))
    assert len(second.seen) == 1
    assert stage.stop(B, NOW, "bye") == [CloseLink(LINK, "bye")]


@pytest.mark.spec("NODE-33")
def test_an_accepted_link_goes_to_its_listener() -> None:
    stage = Stage()
    listener = Puppet(A, more=(Mailbox(B),))
    stage.play(listener)
    accepted = LinkAccepted(LINK, B, NOW)
    assert stage.receive(accepted) == []
    assert listener.seen == [accepted]
    assert stage.receive(LinkAccepted(OTHER_LINK, C, NOW)) == [CloseLink(OTHER_LINK, "the listener is gone")]


# ---- timers


def timer_stage() -> tuple[Stage, Puppet]:
    stage = Stage()
    puppet = Puppet(A, more=(Mailbox(B),))
    stage.play(puppet)
    return stage, puppet


def tell(stage: Stage, event: WorkerEvent, *effects: Effect) -> HostEffects:
    """Let worker A ask for effects."""
    puppet = stage.state_of(A)
    assert isinstance(puppet, Puppet)
    assert isinstance(puppet.answers, dict)
    puppet.answers[PauseChanged] = effects
    return stage.tell(A, event)


GO = PauseChanged(False, NOW)


@pytest.mark.spec("NODE-40")
def test_a_timer_fires_once() -> None:
    stage, puppet = timer_stage()
    assert tell(stage, GO, SetTimer("t", 101.5)) == [ArmTimer(A, "t", 101.5)]
    fired = TimerFired("t", LATER)
    stage.tell(A, fired)
    stage.tell(A, fired)
    assert puppet.events(TimerFired) == [fired]


@pytest.mark.spec("NODE-40")
def test_a_timer_may_be_set_again_when_it_fires() -> None:
    stage = Stage()
    puppet = Puppet(A, (SetTimer("t", 101.0),), answers={TimerFired: (SetTimer("t", 102.0),)})
    stage.play(puppet)
    assert stage.tell(A, TimerFired("t", NOW)) == [ArmTimer(A, "t", 102.0)]
    assert stage.tell(A, TimerFired("t", NOW)) == [ArmTimer(A, "t", 102.0)]


@pytest.mark.spec("NODE-41")
def test_a_stale_timer_is_ignored() -> None:
    stage, puppet = timer_stage()
    assert stage.tell(A, TimerFired("never set", NOW)) == []
    tell(stage, GO, SetTimer("t", 101.0))
    assert tell(stage, GO, CancelTimer("t")) == [DisarmTimer(A, "t")]
    assert stage.tell(A, TimerFired("t", NOW)) == []
    assert puppet.events(TimerFired) == []
    assert stage.tell(C, TimerFired("t", NOW)) == []


@pytest.mark.spec("NODE-41")
def test_only_a_set_timer_is_disarmed() -> None:
    stage, _ = timer_stage()
    assert tell(stage, GO, CancelTimer("t")) == []
    tell(stage, GO, SetTimer("t", 101.0))
    stage.tell(B, TimerFired("t", NOW))
    assert tell(stage, GO, CancelTimer("t")) == []
    assert stage.stop(A, NOW) == []


@pytest.mark.spec("NODE-40")
def test_a_timer_of_the_same_name_replaces() -> None:
    stage, _ = timer_stage()
    assert tell(stage, GO, SetTimer("t", 101.0), SetTimer("t", 109.0)) == [
        ArmTimer(A, "t", 101.0),
        ArmTimer(A, "t", 109.0),
    ]
    assert stage.stop(A, NOW) == [DisarmTimer(A, "t")]


# ---- neighbours


@pytest.mark.spec("NODE-50")
def test_tell_reaches_a_worker_by_any_address() -> None:
    stage = Stage()
    puppet = Puppet(A, more=(Mailbox(B),))
    event = ChildSettled(C, NOW)
    stage.play(puppet, Puppet(C, (Tell(B, event), Tell(local("nobody"), event))))
    stage.tell(A, GO)
    assert stage.tell(local("nobody"), GO) == []
    assert puppet.seen == [event, GO]


@pytest.mark.spec("NODE-51")
def test_a_watcher_is_told_once_for_each_address_it_watches() -> None:
    stage = Stage()
    watcher = Puppet(A, (Watch(B), Watch(C), Watch(B)))
    stage.play(Puppet(B, more=(Mailbox(C), Mailbox(local("d")))), watcher)
    stage.stop(local("d"), LATER)
    assert watcher.seen == [AddressGone(B, LATER), AddressGone(C, LATER)]
    stage.play(Puppet(B))
    stage.stop(B, LATER)
    assert len(watcher.seen) == 2


@pytest.mark.spec("NODE-51")
def test_a_watcher_of_nobody_is_told_at_once() -> None:
    stage = Stage()
    watcher = Puppet(A, (Watch(B),))
    stage.play(watcher)
    assert watcher.seen == [AddressGone(B, NOW)]


@pytest.mark.spec("NODE-51")
def test_nobody_watches_himself() -> None:
    stage = Stage()
    watcher = Puppet(A, (Watch(B),), more=(Mailbox(B),))
    stage.play(watcher)
    stage.stop(A, NOW)
    assert watcher.seen == [StopRequested("stopped", NOW)]


@pytest.mark.spec("NODE-51")
def test_a_watcher_that_has_stopped_is_not_told() -> None:
    stage = Stage()
    watcher = Puppet(A, (Watch(B),))
    stage.play(Puppet(B), watcher)
    stage.stop(A, NOW)
    stage.stop(B, NOW)
    assert watcher.seen == [StopRequested("stopped", NOW)]


@pytest.mark.spec("NODE-51")
def test_two_watchers_of_each_other_stop_together() -> None:
    stage = Stage()
    one = Puppet(A, (Watch(local("later")),), answers={AddressGone: (StopWorker(A, "alone"),)})
    two = Puppet(B, (Watch(A),), answers={AddressGone: (SendBytes(LINK, (b"end",)), StopWorker(B, "alone"))})
    stage.play(Puppet(local("later")), one, two)
    assert stage.stop(local("later"), NOW) == [SendBytes(LINK, (b"end",))]
    assert stage.addresses() == []


@pytest.mark.spec("NODE-52")
def test_watching_costs_no_memory_over_and_over() -> None:
    """A peer that makes a worker watch two links in turn, for ever, fills no table."""
    stage = Stage()
    watcher = Puppet(A, answers={PauseChanged: (Watch(B), Watch(C))})
    stage.play(Puppet(B), Puppet(C), watcher)
    for _ in range(100):
        stage.tell(A, GO)
    _, record = stage._mailboxes[A]
    assert len(stage._watches._watching[record]) == 2
    stage.stop(B, NOW)
    assert len(stage._watches._watching[record]) == 1
    assert watcher.events(AddressGone) == [AddressGone(B, NOW)]
    stage.stop(A, NOW)
    assert not stage._watches._watching
    assert not stage._watches._watchers


@pytest.mark.spec("NODE-53")
def test_the_peer_of_a_route_is_behind_its_first_terminal_address() -> None:
    stage = Stage()
    alice, bob = b"a" * 32, b"b" * 32
    stage.play(
        Puppet(A, (NamePeer(B, alice),), more=(Mailbox(B, terminal=True),)),
        Puppet(C, (NamePeer(C, bob),), mailbox=Mailbox(C, terminal=True)),
        Puppet(local("link"), mailbox=Mailbox(local("link"), terminal=True)),
        Puppet(local("plain")),
    )
    assert stage.peer_of(route("plain unknown b c")) == alice
    assert stage.peer_of(route("c b")) == bob
    assert stage.peer_of(route("link b")) is None
    assert stage.peer_of(route("a plain")) is None
    assert stage.peer_of(()) is None


@pytest.mark.spec("NODE-54")
def test_state_of() -> None:
    stage = Stage()
    puppet = Puppet(A, more=(Mailbox(B),))
    stage.play(puppet)
    assert stage.state_of(B) is puppet
    assert stage.state_of(C) is None


# ---- faults


@dataclass(frozen=True)
class Faulty:
    """A worker with a mistake in it."""

    address: Address


def _fail(_: Faulty, event: WorkerEvent) -> tuple[Faulty, Effects]:
    raise ZeroDivisionError(type(event).__name__)


FAULTY: Machine[Faulty, Faulty] = Machine("faulty", lambda config, _: Worker((Mailbox(config.address),), config), _fail)


@pytest.mark.spec("NODE-5")
def test_a_mistake_in_a_machine_reaches_the_caller_and_the_node_goes_on() -> None:
    stage = Stage()
    stage._machines = {**stage._machines, Faulty: FAULTY}
    target = Puppet(C, answers={MessageReceived: (SendBytes(LINK, (b"end",)),)})
    stage.play(target, Puppet(A, answers={MessageReceived: (Forward(A, message("b")), Forward(A, message("c")))}))
    stage.start(Faulty(B), NOW)
    with pytest.raises(ZeroDivisionError):
        stage.say("c", "a")
    assert stage.tell(local("nobody"), GO) == []
    assert stage.say("a", "c") == [SendBytes(LINK, (b"end",))] * 2  # what waited, and the new one
    assert len(target.seen) == 2


@pytest.mark.spec("NODE-6")
def test_each_kind_of_worker_is_in_the_registry_under_its_own_name() -> None:
    assert len({machine.name for machine in MACHINES.values()}) == len(MACHINES)
    assert all(machine.start.__module__.startswith("ockam_ref.") for machine in MACHINES.values())
    node = Node(entropy=names())
    node.start(Hop(A), NOW)
    assert node.addresses() == [A]
