"""The one mutable box: it maps addresses to the current states of the machines and runs one event to completion.

Everything inside is a value, everything outside is a host.  The box knows no kind of worker: a machine is found by
the class of its configuration, in ``ockam_ref.registry``.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from ockam_ref.admission import Admission
from ockam_ref.effects import (
    AddConsumer,
    AddConsumerOfProducer,
    AddProducer,
    AddSpawner,
    ArmTimer,
    BindEndpoint,
    CancelTimer,
    CheckAccess,
    CloseLink,
    ComparePeer,
    CopyConsumers,
    DisarmTimer,
    Effect,
    Effects,
    Follow,
    Forward,
    Guard,
    HostEffects,
    IfTaken,
    JoinProducer,
    NamePeer,
    OpenLink,
    Own,
    Report,
    SetTimer,
    StartWorker,
    StopWorker,
    Tell,
    TellBeyond,
    TellFollowers,
    Watch,
    WatchTerminal,
)
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.events import (
    AccessChecked,
    AccessLost,
    AddressGone,
    DatagramsReceived,
    LinkAccepted,
    LinkClosed,
    LinkEvent,
    LinkFailed,
    MessageReceived,
    PeerCompared,
    StopRequested,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.guards import GUARD_TIMER, Guards
from ockam_ref.identities.change_history import VerifiedIdentity
from ockam_ref.machine import AnyMachine, Fresh, LinkId, Mailbox, Now
from ockam_ref.observations import HopExplained, MessageDropped
from ockam_ref.registry import MACHINES
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl, refusal
from ockam_ref.routing.explanation import explain
from ockam_ref.routing.knowledge import Knowledge
from ockam_ref.watches import Watches
from ockam_ref.wire.address import Address, any_of_type
from ockam_ref.wire.local_message import LocalMessage, channel_local_info
from ockam_ref.wire.route import Route

MAX_HOPS_PER_EVENT: Final = 64
"""How many workers of this node one message may visit in a row; a longer chain is a loop and is dropped."""

MAX_RECORDED_DROPS: Final = 1024
"""How many dropped messages are kept, shortened, for people to look at; the counts go on."""

_Owned: TypeAlias = LinkId | tuple[LinkId, str]
"""What a worker may own: a link, or what comes from one source of a datagram endpoint."""

_LOOP: Final = f"more than {MAX_HOPS_PER_EVENT} workers in a row: a loop"
_NOBODY: Final = Address(0, b"")
_NO_MESSAGE: Final = LocalMessage((), (), b"")


class _Record:
    """One running worker: its machine, its current state and what must be undone when it stops."""

    __slots__ = (
        "address",
        "gone",
        "links",
        "machine",
        "mailboxes",
        "state",
        "stopped",
        "timers",
    )

    def __init__(self, machine: AnyMachine, mailboxes: tuple[Mailbox, ...], state: Any) -> None:  # noqa: ANN401
        self.machine = machine
        self.mailboxes = mailboxes
        self.address = mailboxes[0].address
        self.state = state
        self.stopped = False  # it gets no more events, and says its last words
        self.gone = False  # it has said them, and nothing more is done for it
        # Tables without values: in order, so that a run can be repeated effect by effect.
        self.links: dict[_Owned, None] = {}
        self.timers: dict[str, None] = {}


class Node:
    """A node: workers, their mailboxes, the flow controls between them.

    ``entropy(n)`` returns n random bytes; it is asked only when a worker starts.  The caller passes the time with every
    event.  Not safe for use from several threads: a host gives it one event after the other.
    """

    def __init__(self, *, entropy: Callable[[int], bytes], machines: Mapping[type[Any], AnyMachine] = MACHINES) -> None:
        self._knowledge = Knowledge(clock=lambda: self._now.unix, peer_behind=self.peer_of)
        self.flow_controls = self._knowledge.flow_controls
        self.policies = self._knowledge.policies
        self.attributes = self._knowledge.attributes
        self._admission = Admission(self.attributes)
        self.known_peers = self._admission.known_peers
        self.explaining = False
        self.drops: deque[MessageDropped] = deque(maxlen=MAX_RECORDED_DROPS)
        self.drop_counts: Counter[str] = Counter()
        self._entropy = entropy
        self._machines = machines
        self._mailboxes: dict[Address, tuple[Mailbox, _Record]] = {}
        self._owners: dict[_Owned, _Record] = {}
        self._peers: dict[Address, bytes] = {}
        self._watches: Watches[_Record] = Watches()
        self._guards: Guards[_Record] = Guards()
        self._last_link = 0
        self._queue: deque[tuple[_Record, WorkerEvent, int]] = deque()
        self._out: HostEffects = []
        self._now = Now(0.0, 0)
        self._handlers: dict[type[Effect], Callable[[_Record, Any, int], None]] = {
            AddConsumer: self._add_consumer,
            AddConsumerOfProducer: self._add_consumer_of_producer,
            AddProducer: self._add_producer,
            AddSpawner: self._add_spawner,
            BindEndpoint: self._open_link,
            CancelTimer: self._cancel_timer,
            CheckAccess: self._check_access,
            CloseLink: self._close_link,
            ComparePeer: self._compare_peer,
            CopyConsumers: self._copy_consumers,
            Follow: self._follow,
            Guard: self._guard,
            JoinProducer: self._join_producer,
            NamePeer: self._name_peer,
            OpenLink: self._open_link,
            Own: self._own,
            Report: self._report,
            SetTimer: self._set_timer,
            StartWorker: self._start_worker,
            StopWorker: self._stop_worker,
            Tell: self._tell,
            TellBeyond: self._tell_beyond,
            TellFollowers: self._tell_followers,
            Watch: self._watch,
            WatchTerminal: self._watch_terminal,
        }

    # ---- the host's calls

    def new_link(self) -> LinkId:
        """Return a link number that was never used before in this node."""
        self._last_link += 1
        return LinkId(self._last_link)

    def start(self, config: object, now: Now) -> tuple[Address, HostEffects]:
        """Start the worker that ``config`` describes; return its primary address and what the host must do.

        Raises:
            MisuseError: a worker already has that primary address, or no machine knows the configuration.
        """
        self._now = now
        record = self._start(config, 0)
        return record.address, self._run()

    def stop(self, address: Address, now: Now, reason: str = "stopped") -> HostEffects:
        """Stop the worker that has the address; its last messages are sent.  An unknown address does nothing."""
        self._now = now
        found = self._mailboxes.get(address)
        if found is not None:
            self._stop(found[1], reason, 0)
        return self._run()

    def receive(self, event: LinkEvent | LinkAccepted) -> HostEffects:
        """Take an event of a link; events of links that nobody owns any more are ignored."""
        self._now = event.now
        if isinstance(event, LinkAccepted):
            found = self._mailboxes.get(event.listener)
            if found is None:
                return [CloseLink(event.link, "the listener is gone")]
            self._queue.append((found[1], event, 0))
            return self._run()
        owner = self._owners.get((event.link, event.source)) if type(event) is DatagramsReceived else None
        if owner is None:
            owner = self._owners.get(event.link)
        if owner is None:
            return []
        if isinstance(event, LinkClosed | LinkFailed):
            self._disown(event.link)
        self._queue.append((owner, event, 0))
        return self._run()

    def tell(self, worker: Address, event: WorkerEvent) -> HostEffects:
        """Give an event to one worker: a timer that fired, a new route; nothing happens where it is gone."""
        self._now = event.now
        found = self._mailboxes.get(worker)
        if found is None:
            return []
        record = found[1]
        if isinstance(event, TimerFired):
            if event.name not in record.timers:
                return []
            del record.timers[event.name]
            if event.name == GUARD_TIMER:
                self._recheck(record, 0)
                return self._run()
        self._queue.append((record, event, 0))
        return self._run()

    def learn(self, identity: VerifiedIdentity, now: Now) -> HostEffects:
        """Take an identity that the host trusts, such as an authority, and never forget it.

        Raises:
            VerificationError: ``HISTORY_OLDER``, its history is older than the one known, or conflicts with it.
        """
        self._now = now
        self._out.extend(map(Report, self._admission.learn(identity).observations))
        return self._run()

    def recheck(self, now: Now) -> HostEffects:
        """Ask all guards again: policies or attributes were changed by the host."""
        self._now = now
        for record in self._guards.workers():
            self._recheck(record, 0)
        return self._run()

    def forward(self, source: Address, message: LocalMessage, now: Now) -> HostEffects:
        """Route a message from one of this node's mailboxes.

        Raises:
            MisuseError: the route is empty, its first hop is unknown here, or the source is not a mailbox.  A message
                that access control refuses raises nothing: it is a recorded drop.
        """
        self._now = now
        if not message.onward_route:
            raise MisuseError(ErrorCode.INCOMPLETE_ROUTE, "the route is empty: there is no first hop to send to")
        if source not in self._mailboxes:
            raise MisuseError(ErrorCode.NOT_MY_ADDRESS, f"no worker of this node has the address {source}")
        if self._find(message.onward_route[0]) is None:
            raise MisuseError(
                ErrorCode.UNKNOWN_ADDRESS, f"no worker of this node has the address {message.onward_route[0]}"
            )
        self._forward(source, message, 0)
        return self._run()

    # ---- what a host may look up

    def __contains__(self, address: Address) -> bool:
        """Whether a worker has the address."""
        return address in self._mailboxes

    def addresses(self) -> list[Address]:
        """Return the primary addresses of all workers, ascending."""
        return sorted({record.address for _, record in self._mailboxes.values()})

    def newest_first(self) -> list[Address]:
        """Return the primary addresses of all workers, the latest start first: each before those it sends through.

        In this order all can be stopped so that their last messages still leave.
        """
        return list(dict.fromkeys(record.address for _, record in reversed(self._mailboxes.values())))

    def addresses_of(self, address: Address) -> tuple[Address, ...]:
        """Return every address of the worker that has this one, the primary first; empty when there is none."""
        found = self._mailboxes.get(address)
        return () if found is None else tuple(mailbox.address for mailbox in found[1].mailboxes)

    def peer_of(self, route: Route) -> bytes | None:
        """Return the verified identifier behind the first terminal address of the route, if a channel is there."""
        for address in route:
            found = self._mailboxes.get(address)
            if found is not None and found[0].terminal:
                return self._peers.get(address)
        return None

    def state_of(self, address: Address) -> object:
        """Return the current state of the worker that has the address, for tests and curious people; else ``None``."""
        found = self._mailboxes.get(address)
        return None if found is None else found[1].state

    # ---- running

    def _run(self) -> HostEffects:
        """Work off the queue in order of arrival; order between two addresses is kept, so streams stay in order."""
        queue = self._queue
        while queue:
            record, event, depth = queue.popleft()
            if record.stopped:
                if isinstance(event, MessageReceived):
                    detail = f"the worker at {event.destination} stopped before it took the message"
                    self._drop("worker-stopped", detail, event.source, event.message)
                continue
            record.state, effects = record.machine.receive(record.state, event)
            if effects:
                self._carry_out(record, effects, depth)
        out, self._out = self._out, []
        return out

    def _carry_out(self, record: _Record, effects: Effects, depth: int) -> None:
        for effect in effects:
            if record.gone:
                return
            if type(effect) is Forward:
                self._forward(effect.source, effect.message, depth)
            else:
                handler = self._handlers.get(type(effect))
                if handler is None:
                    self._out.append(effect)  # type: ignore[arg-type]  # what the node does not handle is the host's
                else:
                    handler(record, effect, depth)

    def _forward(self, source: Address, message: LocalMessage, depth: int) -> None:
        if not message.onward_route:
            self._drop("incomplete-route", "the onward route is empty", source, message)
            return
        destination = message.onward_route[0]
        target = self._mailboxes.get(destination)
        if target is None and destination.transport_type:
            target = self._find(destination)
        if target is None:
            self._drop("unknown-address", f"no worker has the address {destination}", source, message)
            return
        sender = self._mailboxes.get(source)
        if sender is None:
            self._drop("not-my-address", f"the sending address {source} is gone", source, message)
            return
        if self.explaining:
            self._explain(source, sender[0], message, target[0])
        outgoing = sender[0].outgoing
        if outgoing is not ALLOW_ALL:
            rule = refusal(outgoing, source, message, self._knowledge)
            if rule is not None:
                self._drop(f"outgoing:{rule}", f"{source} may not send to {destination}", source, message)
                return
        incoming = target[0].incoming
        if incoming is not ALLOW_ALL:
            rule = refusal(incoming, source, message, self._knowledge)
            if rule is not None:
                self._drop(f"incoming:{rule}", f"{destination} takes nothing from {source}", source, message)
                return
        if depth >= MAX_HOPS_PER_EVENT:
            self._drop("too-many-hops", _LOOP, source, message)
            return
        self._queue.append((target[1], MessageReceived(destination, source, message, self._now), depth + 1))

    def _explain(self, source: Address, sender: Mailbox, message: LocalMessage, target: Mailbox) -> None:
        outgoing = explain(sender.outgoing, source, message, self._knowledge)
        incoming = explain(target.incoming, source, message, self._knowledge) if outgoing.allowed else None
        onward_route, return_route = message.onward_route, message.return_route
        explained = HopExplained(source, target.address, onward_route, return_route, outgoing, incoming)
        self._out.append(Report(explained))

    def _find(self, destination: Address) -> tuple[Mailbox, _Record] | None:
        """Return the mailbox for a hop: its own, or the one for all addresses of its transport that nobody has."""
        found = self._mailboxes.get(destination)
        if found is None and destination.transport_type:
            found = self._mailboxes.get(any_of_type(destination.transport_type))
        return found

    def _drop(self, rule: str, detail: str, source: Address, message: LocalMessage) -> None:
        self._record_drop(MessageDropped(rule, detail, source, message.onward_route, message.return_route))

    def _record_drop(self, dropped: MessageDropped) -> None:
        dropped = dropped.shortened()
        self.drops.append(dropped)
        self.drop_counts[dropped.rule] += 1
        self._out.append(Report(dropped))

    # ---- starting and stopping

    def _start(self, config: object, depth: int) -> _Record:
        machine = self._machines.get(type(config))
        if machine is None:
            raise MisuseError(ErrorCode.MISUSE, f"no machine is registered for {type(config).__name__}")
        needs = machine.needs
        fresh = Fresh(
            tuple(Address(0, self._entropy(16).hex().encode()) for _ in range(needs.addresses)),
            tuple(self._entropy(16).hex() for _ in range(needs.flow_control_ids)),
            tuple(self._entropy(32) for _ in range(needs.secrets)),
            tuple(self.new_link() for _ in range(needs.links)),
            self._now,
        )
        worker = machine.start(config, fresh)
        for mailbox in worker.mailboxes:
            if mailbox.address in self._mailboxes:
                raise MisuseError(ErrorCode.ADDRESS_TAKEN, f"a worker already has the address {mailbox.address}")
        record = _Record(machine, worker.mailboxes, worker.state)
        for mailbox in worker.mailboxes:
            self._mailboxes[mailbox.address] = (mailbox, record)
        self._carry_out(record, worker.effects, depth)
        return record

    def _start_worker(self, parent: _Record, effect: StartWorker, depth: int) -> None:
        config, message = effect.config, effect.first_message
        if depth >= MAX_HOPS_PER_EVENT:
            self._drop("too-many-hops", _LOOP, parent.address, message or _NO_MESSAGE)
            return
        record = None
        if effect.if_taken is not IfTaken.DROP:
            holder = self._mailboxes.get(config.address)
            if holder is not None and holder[1].machine is self._machines.get(type(config)):
                if effect.if_taken is IfTaken.REUSE:
                    record = holder[1]
                else:
                    self._stop(holder[1], "replaced", depth)
        if record is None:
            try:
                record = self._start(config, depth + 1)
            except MisuseError as error:
                self._drop(error.code, str(error), parent.address, message or _NO_MESSAGE)
                return
        if message is not None:
            address = record.address
            event = MessageReceived(address, parent.address, message.replace_front_onward_route(address), self._now)
            self._queue.append((record, event, depth + 1))

    def _stop_worker(self, record: _Record, effect: StopWorker, depth: int) -> None:
        found = self._mailboxes.get(effect.address)
        if found is not None:
            self._stop(found[1], effect.reason, depth, tell=found[1] is not record)

    def _stop(self, record: _Record, reason: str, depth: int, *, tell: bool = True) -> None:
        if record.stopped:
            return
        record.stopped = True
        if tell:
            record.state, effects = record.machine.receive(record.state, StopRequested(reason, self._now))
            self._carry_out(record, effects, depth)
        record.gone = True
        for mailbox in record.mailboxes:
            self._mailboxes.pop(mailbox.address, None)
            self.flow_controls.forget(mailbox.address)
            self._peers.pop(mailbox.address, None)
        self._out.extend(DisarmTimer(record.address, name) for name in record.timers)
        for owned in record.links:
            self._owners.pop(owned, None)
            if not isinstance(owned, tuple):
                self._out.append(CloseLink(owned, reason))
        self._guards.forget(record)
        for watcher, address in self._watches.take(record):
            self._queue.append((watcher, AddressGone(address, self._now), depth))

    # ---- smaller effects

    def _disown(self, owned: _Owned) -> None:
        owner = self._owners.pop(owned, None)
        if owner is not None:
            del owner.links[owned]

    def _give(self, record: _Record, owned: _Owned) -> None:
        self._disown(owned)
        record.links[owned] = None
        self._owners[owned] = record

    def _own(self, record: _Record, effect: Own, _: int) -> None:
        self._give(record, effect.link if effect.source is None else (effect.link, effect.source))

    def _open_link(self, record: _Record, effect: OpenLink | BindEndpoint, _: int) -> None:
        self._give(record, effect.link)
        self._out.append(effect)

    def _close_link(self, _: _Record, effect: CloseLink, __: int) -> None:
        self._disown(effect.link)
        self._out.append(effect)

    def _report(self, _: _Record, effect: Report, __: int) -> None:
        if isinstance(effect.observation, MessageDropped):
            self._record_drop(effect.observation)
        else:
            self._out.append(effect)

    def _tell(self, _: _Record, effect: Tell, depth: int) -> None:
        found = self._mailboxes.get(effect.address)
        if found is not None:
            self._queue.append((found[1], effect.event, depth))

    def _watch_terminal(self, record: _Record, effect: WatchTerminal, depth: int) -> None:
        found = self._mailboxes.get(effect.address)
        if found is not None and found[0].terminal:
            self._watch(record, Watch(effect.address), depth)

    def _tell_beyond(self, _: _Record, effect: TellBeyond, depth: int) -> None:
        for watcher in self._watches.take_beyond((effect.hop, effect.beyond)):
            self._queue.append((watcher, AddressGone(effect.hop, self._now), depth))

    def _watch(self, record: _Record, effect: Watch, depth: int) -> None:
        found = self._find(effect.address)
        if found is None:
            self._queue.append((record, AddressGone(effect.address, self._now), depth))
        elif found[1] is not record:
            self._watches.add(record, found[1], effect.address)
        if effect.beyond is not None and found is not None:
            self._watches.add_beyond(record, (effect.address, effect.beyond))

    def _set_timer(self, record: _Record, effect: SetTimer, _: int) -> None:
        record.timers[effect.name] = None
        self._out.append(ArmTimer(record.address, effect.name, effect.at))

    def _cancel_timer(self, record: _Record, effect: CancelTimer, _: int) -> None:
        if effect.name in record.timers:
            del record.timers[effect.name]
            self._out.append(DisarmTimer(record.address, effect.name))

    def _compare_peer(self, record: _Record, effect: ComparePeer, depth: int) -> None:
        admitted = self._admission.compare(effect, self._now.unix)
        # In front of all that waits: what the peer sent right behind its last message must find an open channel.
        self._queue.appendleft((record, PeerCompared(admitted.refusal, self._now), depth))
        self._out.extend(map(Report, admitted.observations))
        if effect.credentials:
            for guarded in self._guards.workers_of(effect.identity.identifier.value):
                self._recheck(guarded, depth)

    # ---- who loses access

    def _guard(self, record: _Record, effect: Guard, depth: int) -> None:
        self._guards.set(record, effect)
        self._recheck(record, depth)

    def _recheck(self, record: _Record, depth: int) -> None:
        """Ask the guard now, and again when the next credential of its peer ends."""
        guard = self._guards.find(record)
        if guard is None:
            return
        rule = self._refusal_of(guard.control, guard.peer)
        if rule is not None:
            self._guards.forget(record)
            self._cancel_timer(record, CancelTimer(GUARD_TIMER), depth)
            self._queue.append((record, AccessLost(f"the peer may not pass any more ({rule})", self._now), depth))
            return
        expiry = None if guard.peer is None else self.attributes.next_expiry(guard.peer, self._now.unix)
        if expiry is None:
            self._cancel_timer(record, CancelTimer(GUARD_TIMER), depth)
        else:
            seconds = max(expiry - self._now.unix, 1)
            self._set_timer(record, SetTimer(GUARD_TIMER, self._now.monotonic + seconds), depth)

    def _refusal_of(self, control: AccessControl, peer: bytes | None) -> str | None:
        message = _NO_MESSAGE if peer is None else LocalMessage((), (), b"", (channel_local_info(peer),))
        return refusal(control, _NOBODY, message, self._knowledge)

    def _check_access(self, record: _Record, effect: CheckAccess, depth: int) -> None:
        rule = refusal(effect.control, record.address, effect.message, self._knowledge)
        self._queue.appendleft((record, AccessChecked(rule, effect.about, self._now), depth))

    def _follow(self, record: _Record, effect: Follow, _: int) -> None:
        found = self._mailboxes.get(effect.leader)
        if found is not None:
            self._watches.follow(found[1], record)

    def _tell_followers(self, record: _Record, effect: TellFollowers, depth: int) -> None:
        self._queue.extend((follower, effect.event, depth) for follower in self._watches.followers(record))

    # ---- flow controls

    def _name_peer(self, _: _Record, effect: NamePeer, __: int) -> None:
        self._peers[effect.address] = effect.identifier

    def _add_consumer(self, _: _Record, effect: AddConsumer, __: int) -> None:
        self.flow_controls.add_consumer(effect.address, effect.flow_control_id)

    def _add_producer(self, _: _Record, effect: AddProducer, __: int) -> None:
        self.flow_controls.add_producer(effect.address, effect.flow_control_id, effect.spawner_id, effect.additional)

    def _add_spawner(self, _: _Record, effect: AddSpawner, __: int) -> None:
        self.flow_controls.add_spawner(effect.address, effect.flow_control_id)

    def _add_consumer_of_producer(self, _: _Record, effect: AddConsumerOfProducer, __: int) -> None:
        self.flow_controls.add_consumer_of_producer(effect.address, effect.producer, exact=effect.exact)

    def _join_producer(self, _: _Record, effect: JoinProducer, __: int) -> None:
        self.flow_controls.join_producer(effect.address, effect.producer)

    def _copy_consumers(self, _: _Record, effect: CopyConsumers, __: int) -> None:
        for flow_control_id in self.flow_controls.ids_of_consumer(effect.source):
            self.flow_controls.add_consumer(effect.target, flow_control_id)
