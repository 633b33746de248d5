"""The loop that carries out effects: events of links, timers and callers go into the core, effects come out.

One event is worked off before the next, without a task, an ``await`` or a log call on the way.  Everything here runs
on one event loop and one thread.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic, time
from typing import Any, Final, Protocol, TypeAlias

from ockam_ref.asyncio.links import BackPressure
from ockam_ref.asyncio.transports import Transports
from ockam_ref.asyncio.watching import Life, Watching
from ockam_ref.effects import (
    ArmTimer,
    Backlog,
    BindEndpoint,
    CloseLink,
    Deliver,
    DisarmTimer,
    FinishSending,
    HostEffects,
    OpenLink,
    Report,
    ReportDrained,
    SendBytes,
    SendDatagrams,
    StartReading,
    StopReading,
)
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.events import (
    BytesReceived,
    DatagramsReceived,
    LinkAccepted,
    LinkClosed,
    LinkDrained,
    LinkEvent,
    LinkFailed,
    LinkFinished,
    LinkOpened,
    MtuChanged,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.identities.change_history import VerifiedIdentity
from ockam_ref.machine import LinkId, Now
from ockam_ref.node import Node
from ockam_ref.observations import MessageDropped
from ockam_ref.portals.connection import Connection
from ockam_ref.wire.address import UDP, Address
from ockam_ref.wire.local_message import LocalMessage
from ockam_transports.base import (
    HIGH_WATER_BYTES,
    LOW_WATER_BYTES,
    Endpoint,
    Link,
    Listener,
    SlowListener,
    TransportPlugin,
)

Tap: TypeAlias = Callable[[LinkId, bytes], None]
"""Sees what a link brought before the core does, for people who want to look."""

SHUTDOWN_S: Final = 0.25
"""How long a node that stops waits for its links to end in good order before it cuts them."""

_Waiting: TypeAlias = "asyncio.Future[None]"


class Receiver(Protocol):
    """An application worker of the host: where ``Deliver`` ends."""

    def deliver(self, delivery: Deliver) -> bool:
        """Take the message; return whether its source must wait until the receiver calls ``Driver.relieved``."""


class _Caller:
    """Marks effects that a caller of the host's interface caused."""


_CALLER: Final = _Caller()


class Driver:
    """Runs one core node on the running event loop; it is the ``LinkHost`` of the transports."""

    def __init__(self, tap: Tap | None = None, plugins: Iterable[TransportPlugin] = ()) -> None:
        self._tap = tap
        self.core = Node(entropy=os.urandom)
        self.loop = asyncio.get_running_loop()
        self.watching = Watching()
        self.receivers: dict[Address, Receiver] = {}
        self.transports = Transports(self, plugins)
        self._listeners: set[Listener] = set()
        self._giving_back: set[asyncio.Task[None]] = set()
        self._links: dict[LinkId, Link | Endpoint] = {}
        self._closing: dict[LinkId, Link | Endpoint] = {}
        self._all_closed: _Waiting | None = None
        self._opening: dict[LinkId, asyncio.Future[None]] = {}
        self._binding: set[LinkId] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted: set[LinkId] = set()
        self._timers: dict[tuple[Address, str], asyncio.TimerHandle] = {}
        self._pressure: BackPressure[LinkId | _Waiting, LinkId | Address] = BackPressure()
        self._backlogged: set[LinkId | Address] = set()
        self._source: LinkId | _Caller | None = None
        self._caller_waits: _Waiting | None = None
        self._closed = False
        self._handlers: Final[dict[type[Any], Callable[[Any], Link | Endpoint | None]]] = {
            ArmTimer: self._arm_timer,
            Backlog: self._note_backlog,
            BindEndpoint: self._bind_endpoint,
            CloseLink: self._close_link,
            Deliver: self._deliver,
            DisarmTimer: self._disarm_timer,
            FinishSending: self._finish_sending,
            OpenLink: self._open_link,
            Report: self._report,
            ReportDrained: self._report_drained,
            SendDatagrams: self._send_datagrams,
            StartReading: self._start_reading,
            StopReading: self._stop_reading,
        }

    # ---- for the rest of the host

    def start(self, config: object) -> Address:
        """Start a worker; return its primary address.

        Raises:
            MisuseError: the address is taken.
            OckamError: the node has stopped.
        """
        self._check_running()
        address, effects = self.core.start(config, now())
        self._carry_out(effects, None)
        return address

    def start_followed(self, config: object) -> tuple[Address, Life]:
        """Start a worker and follow its life from its first report on."""
        self._check_running()
        address, effects = self.core.start(config, now())
        life = self.watching.follow(address)
        self._carry_out(effects, None)
        return address, life

    def stop(self, address: Address, reason: str) -> None:
        """Stop a worker, if it is still there; its last messages are sent."""
        self._carry_out(self.core.stop(address, now(), reason), None)
        self.watching.end(address, reason)

    def stop_connections(self, portal: Address, reason: str) -> None:
        """Stop the connections of an inlet or outlet; their other ends are told."""
        for address in self.core.newest_first():
            connection = getattr(self.core.state_of(address), "connection", None)
            if isinstance(connection, Connection) and connection.portal == portal:
                self.stop(address, reason)

    def tell(self, worker: Address, event: WorkerEvent) -> None:
        """Give one worker an event."""
        self._carry_out(self.core.tell(worker, event), None)

    def learn(self, identity: VerifiedIdentity) -> None:
        """Give the core an identity that this node trusts.

        Raises:
            VerificationError: its history is older than the one known, or conflicts with it.
        """
        self._carry_out(self.core.learn(identity, now()), None)

    def recheck(self) -> None:
        """Let the core ask its guards again, after policies or attributes were changed."""
        self._carry_out(self.core.recheck(now()), None)

    async def send(self, source: Address, message: LocalMessage) -> None:
        """Route a message from one of our mailboxes; wait while what it was written to is full.

        Raises:
            MisuseError: the route leads nowhere, see ``ockam_ref.node.Node.forward``.
            OckamError: the node has stopped.
        """
        self._check_running()
        self._carry_out(self.core.forward(source, message, now()), _CALLER)
        waits, self._caller_waits = self._caller_waits, None
        if waits is not None:
            try:
                await waits
            finally:
                self._pressure.forget(waits)

    def relieved(self, receiver: Address) -> None:
        """A receiver that made its sources wait has room again."""
        self._relieve(receiver)

    async def open(self, target: str, timeout_s: float, transport: str = "tcp") -> Link:
        """Open a link that no worker owns yet.

        Raises:
            OckamError: it could not be opened, or not in time; the message says why.
        """
        self._check_running()
        using = self.transports.get(transport)
        link = self.core.new_link()
        opened = self._opening[link] = self.loop.create_future()
        opening = self._links[link] = using.open(link, target)
        is_ours = False
        try:
            # not ``wait_for``: before Python 3.12 it swallows a cancellation that comes together with the result
            async with asyncio.timeout(timeout_s):
                await opened
            is_ours = True
        except TimeoutError:
            raise OckamError(ErrorCode.TIMEOUT, f"no answer from {target} within {timeout_s:g} s") from None
        finally:
            del self._opening[link]
            if not is_ours:
                self._close(link)
        if link not in self._links:
            raise OckamError(ErrorCode.LINK_FAILED, f"{target} closed the connection at once")
        return opening

    async def listen(self, config: object, address: str, transport: str = "tcp") -> tuple[Address, Listener]:
        """Start a worker that is told of every client who connects to ``address``.

        Raises:
            OckamError: nobody can listen there; the worker is stopped again.
        """
        using = self.transports.of_links(transport)
        worker = self.start(config)
        try:
            listener = await using.listen(address, partial(self._accept, worker))
        except BaseException:
            self.stop(worker, "nobody can listen there")
            raise
        self._listeners.add(listener)
        if self._closed:
            self.close_listeners()
            self._check_running()
        return worker, listener

    async def bind(
        self, make_config: Callable[[LinkId], object], address: str, transport: str = "udp"
    ) -> tuple[Address, Endpoint]:
        """Bind a datagram endpoint to ``address`` and start the worker ``make_config(link)`` that owns it.

        Raises:
            OckamError: it cannot be bound there.
        """
        self._check_running()
        using = self.transports.of_datagrams(transport)
        link = self.core.new_link()
        endpoint = await using.bind(link, address)
        if self._closed:
            endpoint.abort()
            self._check_running()
        self._links[link] = endpoint
        try:
            return self.start(make_config(link)), endpoint
        except BaseException:
            self._close(link)
            raise

    def close_link(self, link: LinkId) -> None:
        """End a link that no worker owns."""
        self._close(link)

    def close_listener(self, listener: Listener) -> None:
        """Accept no more; links that are open live on."""
        listener.close()
        self._listeners.discard(listener)
        if isinstance(listener, SlowListener):
            task = self.loop.create_task(listener.wait_closed())
            self._giving_back.add(task)
            task.add_done_callback(self._giving_back.discard)

    def close_listeners(self) -> None:
        """Accept no more anywhere."""
        for listener in list(self._listeners):
            self.close_listener(listener)

    def _accept(self, listener: Address, link: Link) -> None:
        self._links[link.id] = link
        self._carry_out(self.core.receive(LinkAccepted(link.id, listener, now(), link.mtu)), link.id)

    async def shut_down(self) -> None:
        """Stop all workers, so that their last messages leave, and end all links; nothing can be started any more."""
        self._closed = True
        self.close_listeners()
        for address in self.core.newest_first():
            self.stop(address, "the node stopped")
        for link in list(self._links):
            self._close(link)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.watching.end_all("the node stopped")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=SHUTDOWN_S)
        if self._closing:
            self._all_closed = self.loop.create_future()
            await asyncio.wait((self._all_closed,), timeout=SHUTDOWN_S)
            for left in list(self._closing.values()):
                left.abort()
        if self._giving_back:
            _, late = await asyncio.wait(self._giving_back, timeout=SHUTDOWN_S)
            for task in late:
                task.cancel()

    # ---- what links tell (``ockam_transports.base.LinkHost``)

    def new_link(self) -> LinkId:
        """Return an unused number."""
        return self.core.new_link()

    def bytes_received(self, link: LinkId, data: bytes) -> None:
        """Give bytes to the core."""
        if self._tap is not None:
            self._tap(link, data)
        self._carry_out(self.core.receive(BytesReceived(link, data, now())), link)

    def datagrams_received(self, link: LinkId, source: str, datagrams: tuple[bytes | memoryview, ...]) -> None:
        """Give datagrams to the core."""
        if self._tap is not None:
            for datagram in datagrams:
                self._tap(link, bytes(datagram))
        self._carry_out(self.core.receive(DatagramsReceived(link, source, datagrams, now())), link)

    def datagrams_lost(self, link: LinkId, target: str, count: int, reason: str) -> None:
        """Put them on record."""
        detail = f"{count} datagrams of link {link} to {target} were not sent: {reason}"
        hop = Address(UDP, target.encode())
        self._record(MessageDropped("datagrams-lost", detail, hop, (hop,), ()))

    def mtu_changed(self, link: LinkId, mtu: int) -> None:
        """Tell the core."""
        self._receive(MtuChanged(link, mtu, now()))

    def link_opened(self, link: LinkId) -> None:
        """Tell who asked for it."""
        opening = self._opening.get(link)
        if opening is None:
            self._receive(LinkOpened(link, now(), self._links[link].mtu))
        elif not opening.done():
            opening.set_result(None)

    def link_failed(self, link: LinkId, reason: str) -> None:
        """Tell who asked for it."""
        self._forget(link)
        opening = self._opening.get(link)
        if opening is None:
            self._receive(LinkFailed(link, reason, now()))
        elif not opening.done():
            opening.set_exception(OckamError(ErrorCode.LINK_FAILED, reason))

    def link_finished(self, link: LinkId) -> None:
        """Give the end of the stream to the core."""
        self._carry_out(self.core.receive(LinkFinished(link, now())), link)

    def link_closed(self, link: LinkId, reason: str) -> None:
        """Forget the link and tell the core."""
        self._forget(link)
        self._receive(LinkClosed(link, reason, now()))

    def link_drained(self, link: LinkId) -> None:
        """Tell the core."""
        self._receive(LinkDrained(link, now()))

    def link_relieved(self, link: LinkId) -> None:
        """Let the sources of this sink go on, unless more waits for it in the core."""
        if link not in self._backlogged:
            self._relieve(link)

    def link_gone(self, link: LinkId) -> None:
        """Count down to the end of ``shut_down``."""
        self._closing.pop(link, None)
        if self._all_closed is not None and not self._closing and not self._all_closed.done():
            self._all_closed.set_result(None)

    # ---- carrying out

    def _receive(self, event: LinkEvent) -> None:
        self._carry_out(self.core.receive(event), None)

    def _carry_out(self, effects: HostEffects, source: LinkId | _Caller | None) -> None:
        """Do what the core asks for, in order; then write, and let the source wait for what it has filled."""
        if not effects:
            return
        self._source = source
        links, handlers = self._links, self._handlers
        written: dict[LinkId, Link | Endpoint] = {}
        for effect in effects:
            if type(effect) is SendBytes:
                link = links.get(effect.link)
                if link is not None:
                    link.write(effect.chunks)  # type: ignore[union-attr]  # endpoints get SendDatagrams
                    written[effect.link] = link
            else:
                touched = handlers[type(effect)](effect)
                if touched is not None:
                    written[touched.id] = touched
        for number, link in written.items():
            link.flush()
            if link.buffered > HIGH_WATER_BYTES and number in links:
                link.report_relieved()
                self._hold(number)

    def _hold(self, sink: LinkId | Address) -> None:
        """Make the source of the event at hand wait for the sink; timers and the like cannot wait."""
        source = self._source
        if isinstance(source, _Caller):
            if self._caller_waits is None:
                self._caller_waits = self.loop.create_future()
            self._pressure.hold(self._caller_waits, sink)
        elif source in self._links and self._pressure.hold(source, sink) and source in self._wanted:
            self._links[source].stop_reading()

    def _relieve(self, sink: LinkId | Address) -> None:
        for source in self._pressure.release(sink):
            self._resume(source)

    def _resume(self, source: "LinkId | _Waiting") -> None:
        if isinstance(source, asyncio.Future):
            if not source.done():
                source.set_result(None)
        elif source in self._wanted:
            self._links[source].start_reading()

    def _close(self, link: LinkId, *, broken: bool = False) -> None:
        self._binding.discard(link)
        closing = self._forget(link)
        if closing is not None:
            self._closing[link] = closing
            if broken:
                closing.abort()
            else:
                closing.close()

    def _forget(self, link: LinkId) -> Link | Endpoint | None:
        """The link is neither a source nor a sink any more."""
        self._wanted.discard(link)
        self._backlogged.discard(link)
        self._pressure.forget(link)
        self._relieve(link)
        return self._links.pop(link, None)

    def _check_running(self) -> None:
        if self._closed:
            raise OckamError(ErrorCode.CLOSED, "the node has stopped")

    # ---- one function an effect; each returns the link that must be flushed

    def _open_link(self, effect: OpenLink) -> None:
        try:
            self._links[effect.link] = self.transports.get(effect.transport).open(effect.link, effect.target)
        except OckamError as error:  # no such transport
            self.loop.call_soon(self.link_failed, effect.link, str(error))

    def _bind_endpoint(self, effect: BindEndpoint) -> None:
        self._binding.add(effect.link)
        task = asyncio.ensure_future(self._bind(effect))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bind(self, effect: BindEndpoint) -> None:
        link = effect.link
        try:
            endpoint = await self.transports.of_datagrams(effect.transport).bind(link, effect.address)
        except OckamError as error:
            if link in self._binding:
                self._binding.discard(link)
                self._receive(LinkFailed(link, str(error), now()))
            return
        if link not in self._binding:  # whoever asked for it has ended
            endpoint.abort()
            return
        self._binding.discard(link)
        self._links[link] = endpoint
        self._receive(LinkOpened(link, now(), endpoint.mtu))

    def _send_datagrams(self, effect: SendDatagrams) -> Endpoint | None:
        endpoint: Any = self._links.get(effect.link)
        if endpoint is not None:
            endpoint.send(effect.target, effect.datagrams, paced=effect.paced)
        return endpoint  # type: ignore[no-any-return]  # SendDatagrams is for endpoints only

    def _note_backlog(self, effect: Backlog) -> None:
        if effect.waiting > HIGH_WATER_BYTES:
            self._backlogged.add(effect.sink)
            if effect.through is None or effect.through != self._source:
                self._hold(effect.sink)
        elif effect.waiting <= LOW_WATER_BYTES and effect.sink in self._backlogged:
            self._backlogged.discard(effect.sink)
            self._relieve(effect.sink)

    def _start_reading(self, effect: StartReading) -> None:
        link = self._links.get(effect.link)
        if link is not None:
            self._wanted.add(effect.link)
            if not self._pressure.is_held(effect.link):
                link.start_reading()

    def _stop_reading(self, effect: StopReading) -> None:
        link = self._links.get(effect.link)
        if link is not None:
            self._wanted.discard(effect.link)
            link.stop_reading()

    def _finish_sending(self, effect: FinishSending) -> Link | None:
        link: Any = self._links.get(effect.link)
        if link is not None:
            link.finish_sending()
        return link  # type: ignore[no-any-return]  # endpoints are not asked for this

    def _report_drained(self, effect: ReportDrained) -> Link | None:
        link: Any = self._links.get(effect.link)
        if link is not None:
            link.report_drained()
        return link  # type: ignore[no-any-return]  # nor for this

    def _close_link(self, effect: CloseLink) -> None:
        self._close(effect.link, broken=effect.broken)

    def _arm_timer(self, effect: ArmTimer) -> None:
        key = (effect.worker, effect.name)
        armed = self._timers.pop(key, None)
        if armed is not None:
            armed.cancel()
        delay = max(0.0, effect.at - monotonic())
        self._timers[key] = self.loop.call_later(delay, self._fire, effect)

    def _disarm_timer(self, effect: DisarmTimer) -> None:
        armed = self._timers.pop((effect.worker, effect.name), None)
        if armed is not None:
            armed.cancel()

    def _fire(self, timer: ArmTimer) -> None:
        early = timer.at - monotonic()
        if early > 0:  # by the resolution of the event loop's clock, or by the length of the turn that armed it
            self._timers[timer.worker, timer.name] = self.loop.call_later(early, self._fire, timer)
            return
        del self._timers[timer.worker, timer.name]
        self.tell(timer.worker, TimerFired(timer.name, now()))

    def _deliver(self, effect: Deliver) -> None:
        receiver = self.receivers.get(effect.destination)
        if receiver is None:
            message = effect.message
            detail = f"nobody of this program waits for messages at {effect.destination}"
            self._record(
                MessageDropped("no-receiver", detail, effect.source, message.onward_route, message.return_route)
            )
        elif receiver.deliver(effect):
            self._hold(effect.destination)

    def _record(self, dropped: MessageDropped) -> None:
        dropped = dropped.shortened()
        self.core.drops.append(dropped)
        self.core.drop_counts[dropped.rule] += 1
        self.watching.report(dropped)

    def _report(self, effect: Report) -> None:
        self.watching.report(effect.observation)


def now() -> Now:
    """Return the time as the core wants it."""
    return Now(monotonic(), int(time()))
