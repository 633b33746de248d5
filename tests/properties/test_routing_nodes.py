"""Any workers, any messages between them, any order of starts and stops: controls hold and nothing is left behind."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ockam_ref.effects import (
    AddConsumer,
    AddProducer,
    ArmTimer,
    CancelTimer,
    CloseLink,
    DisarmTimer,
    Effect,
    Forward,
    HostEffects,
    IfTaken,
    NamePeer,
    OpenLink,
    Own,
    Report,
    SetTimer,
    StartWorker,
    StopWorker,
    Tell,
    Watch,
)
from ockam_ref.errors import MisuseError
from ockam_ref.events import (
    BytesReceived,
    ChildSettled,
    LinkClosed,
    MessageReceived,
    PauseChanged,
    StopRequested,
    TimerFired,
)
from ockam_ref.machine import LinkId, Mailbox
from ockam_ref.node import MAX_HOPS_PER_EVENT, Node
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowConsumers, AllowOnward, AllowSources, refusal
from ockam_ref.routing.knowledge import Knowledge
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from ockam_ref.workers.hop import Hop
from ockam_ref.workers.uppercase import Uppercase
from tests.unit.nodes import NOW, Puppet, Stage

NAMES = tuple(map(local, "abcdefg"))
LINKS = tuple(map(LinkId, range(1, 4)))
TIMERS = ("t", "u")
ANSWERED = (MessageReceived, StopRequested, TimerFired, BytesReceived, PauseChanged)

addresses = st.sampled_from(NAMES)
routes = st.lists(addresses, max_size=4).map(tuple)
messages = st.builds(LocalMessage, routes, routes, st.binary(max_size=3))
links = st.sampled_from(LINKS)
controls = st.one_of(
    st.just(ALLOW_ALL),
    st.just(ALLOW_ALL),
    st.just(DENY_ALL),
    st.builds(lambda a: AllowSources(frozenset(a)), st.lists(addresses, max_size=3)),
    st.builds(lambda a: AllowOnward(frozenset(a)), st.lists(addresses, max_size=3)),
    st.just(AllowConsumers("P", "S")),
)
simple_effects = st.one_of(
    st.builds(Forward, addresses, messages),
    st.builds(StopWorker, addresses, st.just("stopped")),
    st.builds(Tell, addresses, st.just(ChildSettled(NAMES[0], NOW))),
    st.builds(AddConsumer, addresses, st.sampled_from("PS")),
    st.builds(AddProducer, addresses, st.just("P"), st.just("S"), st.just(())),
    st.builds(Own, links),
    st.builds(OpenLink, links, st.just("target:80")),
    st.builds(CloseLink, links, st.just("closed")),
    st.builds(Watch, addresses),
    st.builds(NamePeer, addresses, st.just(bytes(32))),
    st.builds(SetTimer, st.sampled_from(TIMERS), st.just(200.0)),
    st.builds(CancelTimer, st.sampled_from(TIMERS)),
)


@st.composite
def mailboxes(draw: st.DrawFn) -> Mailbox:
    return Mailbox(draw(addresses), draw(controls), draw(controls), draw(st.booleans()))


@st.composite
def puppets(draw: st.DrawFn, *, may_start: bool = True) -> Puppet:
    """A worker that does anything at its start and at some events."""
    some = st.lists(effects() if may_start else simple_effects, max_size=3).map(tuple)
    own = draw(mailboxes())
    more = draw(st.lists(mailboxes(), max_size=2, unique_by=lambda box: box.address))
    return Puppet(
        own.address,
        draw(some),
        draw(st.dictionaries(st.sampled_from(ANSWERED), some)),
        tuple(box for box in more if box.address != own.address),
        own,
    )


@st.composite
def effects(draw: st.DrawFn) -> Effect:
    if draw(st.integers(0, 4)):
        simple: Effect = draw(simple_effects)
        return simple
    first_message = draw(st.none() | messages.filter(lambda message: bool(message.onward_route)))
    return StartWorker(draw(puppets(may_start=False)), first_message, draw(st.sampled_from(IfTaken)))


class Workers(RuleBasedStateMachine):
    """Workers that do anything, driven by a host; what the host keeps must agree with what the node keeps."""

    @initialize()
    def begin(self) -> None:
        self.stage = Stage()
        self.timers: set[tuple[Address, str]] = set()

    def carry_out(self, effects: HostEffects) -> None:
        for effect in effects:
            match effect:
                case ArmTimer(worker, name):
                    self.timers.add((worker, name))
                case DisarmTimer(worker, name):
                    assert (worker, name) in self.timers
                    self.timers.discard((worker, name))
                case Report() | OpenLink() | CloseLink():
                    pass
                case _:
                    raise AssertionError(effect)

    @rule(puppet=puppets())
    def start(self, puppet: Puppet) -> None:
        try:
            self.carry_out(self.stage.start(puppet, NOW)[1])
        except MisuseError:
            assert any(box.address in self.stage for box in (Mailbox(puppet.address), *puppet.more))

    @rule(address=addresses)
    def stop(self, address: Address) -> None:
        self.carry_out(self.stage.stop(address, NOW))

    @rule(source=addresses, message=messages)
    def send(self, source: Address, message: LocalMessage) -> None:
        try:
            self.carry_out(self.stage.forward(source, message, NOW))
        except MisuseError:
            assert source not in self.stage or not message.onward_route or message.onward_route[0] not in self.stage

    @rule(link=links, closed=st.booleans())
    def hear(self, link: LinkId, closed: bool) -> None:  # noqa: FBT001
        event = LinkClosed(link, "reset", NOW) if closed else BytesReceived(link, b"x", NOW)
        self.carry_out(self.stage.receive(event))

    @rule(address=addresses, name=st.sampled_from(TIMERS))
    def fire(self, address: Address, name: str) -> None:
        self.timers -= {(worker, name) for worker in self.stage.addresses_of(address)[:1]}
        self.carry_out(self.stage.tell(address, TimerFired(name, NOW)))

    @rule(address=addresses)
    def prod(self, address: Address) -> None:
        self.carry_out(self.stage.tell(address, PauseChanged(True, NOW)))

    @invariant()
    def tables_agree(self) -> None:
        node = self.stage
        records = {id(record): record for _, record in node._mailboxes.values()}
        assert all(not record.stopped for record in records.values())
        assert node._owners == {owned: record for record in records.values() for owned in record.links}
        assert self.timers == {(record.address, name) for record in records.values() for name in record.timers}
        assert set(node._peers) <= set(NAMES)
        watchers, watching = node._watches._watchers, node._watches._watching
        assert {id(record) for record in (*watchers, *watching)} <= set(records)
        pairs = {(watcher, watched, alias) for watched, rows in watchers.items() for watcher, alias in rows}
        assert pairs == {(watcher, watched, alias) for watcher, rows in watching.items() for watched, alias in rows}
        assert not node._queue
        assert not node._out

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            for _ in range(50):  # last words may start workers again, but not for ever
                for address in self.stage.addresses():
                    self.carry_out(self.stage.stop(address, NOW))
            if not self.stage.addresses():
                self.tables_agree()
                assert not self.timers
                assert not self.stage._owners


Workers.TestCase.settings = settings(stateful_step_count=12)
TestWorkers = pytest.mark.spec("NODE-4", "NODE-22", "NODE-51")(Workers.TestCase)


@given(
    boxes=st.lists(
        st.builds(Mailbox, addresses, controls, controls), min_size=2, max_size=7, unique_by=lambda box: box.address
    ),
    sent=st.lists(st.tuples(addresses, messages), max_size=6),
)
@pytest.mark.spec("RT-4", "RT-10")
def test_a_message_arrives_exactly_when_both_controls_allow_it(
    boxes: list[Mailbox], sent: list[tuple[Address, LocalMessage]]
) -> None:
    stage = Stage()
    stage.flow_controls.add_consumer(NAMES[0], "P")
    by_address = {box.address: (box, Puppet(box.address, mailbox=box)) for box in boxes}
    stage.play(*(puppet for _, puppet in by_address.values()))
    expected: list[tuple[Address, LocalMessage]] = []
    drops = 0
    for source, message in sent:
        try:
            stage.forward(source, message, NOW)
        except MisuseError:
            continue
        target = message.onward_route[0]
        allowed = all(
            refusal(control, source, message, Knowledge(stage.flow_controls)) is None
            for control in (by_address[source][0].outgoing, by_address[target][0].incoming)
        )
        drops += not allowed
        expected += [(target, message)] if allowed else []
    arrived = [
        (box.address, event.message) for box, puppet in by_address.values() for event in puppet.events(MessageReceived)
    ]
    assert sorted(arrived, key=repr) == sorted(expected, key=repr)
    assert sum(stage.drop_counts.values()) == drops == len(stage.drops)


@given(onward=st.lists(addresses, min_size=1, max_size=MAX_HOPS_PER_EVENT + 5).map(tuple), back=routes)
@pytest.mark.spec("RT-7", "RT-41", "RT-42")
def test_services_never_raise_and_every_chain_ends(onward: tuple[Address, ...], back: tuple[Address, ...]) -> None:
    node = Node(entropy=bytes)
    configs: tuple[object, ...] = (
        Echo(NAMES[0]),
        Uppercase(NAMES[1]),
        Hop(NAMES[2]),
        Hop(NAMES[3]),
        Hop(NAMES[4]),
        Application((Mailbox(NAMES[5]),)),
    )
    for config in configs:
        node.start(config, NOW)
    if onward[0] in node:
        node.forward(NAMES[5], LocalMessage(onward, back, b"\x01a"), NOW)
    assert not node._queue
