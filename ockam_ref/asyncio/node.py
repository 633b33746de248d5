"""A node on an event loop: what programs use."""

import asyncio
import os
from collections.abc import Iterable, Mapping
from time import monotonic
from types import TracebackType
from typing import Final, Self

from ockam_ref.asyncio.carrying import Carrying
from ockam_ref.asyncio.driver import Driver, Tap, now
from ockam_ref.asyncio.finding_paths import FindingPaths
from ockam_ref.asyncio.handles import (
    SecureChannel,
    SecureChannelListener,
    Service,
    WorkerHandle,
)
from ockam_ref.asyncio.hops import Flow, Hop, RouteLike, to_address, to_flow_controls, to_route
from ockam_ref.asyncio.knowing import Knowing
from ockam_ref.asyncio.presented import PresentedIdentities
from ockam_ref.asyncio.presenting import Presenter
from ockam_ref.asyncio.retrieving import CredentialSource, credential_of
from ockam_ref.asyncio.running import fresh_address, fresh_flow_control_id
from ockam_ref.asyncio.watching import Stream
from ockam_ref.asyncio.workers import FunctionWorker, Handler, Routed, Worker, WorkerTask
from ockam_ref.channels import initiator
from ockam_ref.channels import listener as channel_listener
from ockam_ref.channels.trust import TRUST_EVERYONE, TrustIdentifier, TrustPolicy
from ockam_ref.effects import Deliver
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.identities.change_history import VerifiedIdentity, decode_change_history, verify_change_history
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity, create_local_identity
from ockam_ref.machine import Mailbox
from ockam_ref.observations import (
    ChannelOpened,
    MessageDropped,
    Observation,
)
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl, AllowOnward
from ockam_ref.wire.address import local
from ockam_ref.wire.body import Body, encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route, format_route
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from ockam_ref.workers.hop import Hop as HopWorker
from ockam_ref.workers.uppercase import Uppercase
from ockam_transports.base import TransportPlugin

REPLY_TIMEOUT_S: Final = 30.0
"""How long ``send_and_receive`` waits unless told otherwise; the peer's own default."""

WORKERS_STOP_S: Final = 0.25
"""How long a node that stops waits for application workers before it cancels them."""

ROOT: Final = local("app")
"""The mailbox from which ``send`` sends; the peer's root context has the same name."""


class Node(FindingPaths, Carrying, Knowing):
    """A node.  ``async with Node.create() as node`` starts it and, at the end, stops everything within a second.

    Its methods stand in five places: messages, identities, channels and workers here; how it reaches other nodes in
    ``Reaching``, direct paths in ``FindingPaths``, portals and relays in ``Carrying``, its tables in ``Knowing``.
    """

    def __init__(self, *, tap: Tap | None = None, transports: Iterable[TransportPlugin] = ()) -> None:
        self._driver = Driver(tap, transports)
        self._workers: set[WorkerTask] = set()
        self._presented = PresentedIdentities(self._driver.core)
        self._driver.start(Application((Mailbox(ROOT),)))

    @classmethod
    def create(cls, *, tap: Tap | None = None, transports: Iterable[TransportPlugin] = ()) -> Self:
        """Return a node that runs on the current event loop; ``tap`` is shown every read of every link.

        Of ``transports`` this node has its own; each stands in for an installed one of its name.
        """
        return cls(tap=tap, transports=transports)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop everything: listening sockets first, then workers, then links."""
        self._driver.close_listeners()
        # a handler that closes its own node goes on afterwards
        others = [worker for worker in self._workers if worker.task is not asyncio.current_task()]
        stopping = [asyncio.ensure_future(worker.stop()) for worker in others]
        if stopping:
            _, late = await asyncio.wait(stopping, timeout=WORKERS_STOP_S)
            for worker in others:
                worker.task.cancel()
            if late:
                await asyncio.wait(late, timeout=WORKERS_STOP_S)
        await self._driver.shut_down()

    # ---- messages

    async def send(self, route: RouteLike, body: Body) -> None:
        """Send a message from the mailbox ``app``; that it was sent does not mean that anybody took it.

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: the first hop is one of another transport, and cannot be reached.
        """
        await self._driver.send(ROOT, LocalMessage(await self._reach(to_route(route)), (ROOT,), encode_body(body)))

    async def send_and_receive(
        self,
        route: RouteLike,
        body: Body,
        *,
        timeout: float = REPLY_TIMEOUT_S,  # noqa: ASYNC109  # the error must say what happened meanwhile
    ) -> Routed:
        """Send a message from a fresh mailbox and return the first message that reaches it (facts 06 section 1.10).

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: ``LINK_FAILED``, the first hop cannot be reached; ``TIMEOUT``, no reply came within ``timeout``
                seconds, and the message says what to check.
        """
        onward = await self._reach(to_route(route))
        driver = self._driver
        child = fresh_address()
        reply = _Reply(driver)
        drops_before = driver.core.drop_counts.total()
        outgoing = AllowOnward(frozenset(onward[:1]))
        driver.start(Application((Mailbox(child, ALLOW_ALL, outgoing),)))
        driver.receivers[child] = reply
        try:
            if onward:
                driver.core.flow_controls.add_consumer_of_producer(child, onward[0])
            async with asyncio.timeout(timeout):
                await driver.send(child, LocalMessage(onward, (child,), encode_body(body)))
                return Routed(driver, await reply.arrived)
        except TimeoutError:
            raise OckamError(ErrorCode.TIMEOUT, self._explain_silence(onward, timeout, drops_before)) from None
        finally:
            del driver.receivers[child]
            driver.stop(child, "the reply came, or came too late")

    def _explain_silence(self, route: Route, timeout: float, drops_before: int) -> str:
        core = self._driver.core
        text = (
            f"no reply from {format_route(route)} within {timeout:g} s. A refused message gives no answer: is there "
            "a worker at the last address, and is it a consumer of the listener or channel that messages come through?"
        )
        count = core.drop_counts.total() - drops_before
        if not count:
            return text
        recent = list(core.drops)[-count:]
        causes = dict.fromkeys(f"{drop.rule} ({drop.detail})" for drop in recent)
        return f"{text} Meanwhile this node dropped {count}: {'; '.join(list(causes)[:3])}."

    @property
    def drops(self) -> list[MessageDropped]:
        """The messages that went no further in this node, with the rule that said no; oldest first, the last 1,024."""
        return list(self._driver.core.drops)

    def observe(self) -> Stream[Observation]:
        """Return an asynchronous iterator over all that happens from now on; it ends with the node."""
        return self._driver.watching.observe()

    def explain(self) -> None:
        """From now on report of every hop inside this node which rules were asked and why they answered as they did.

        ``observe`` gives these as ``HopExplained``.  It costs time at every message.
        """
        self._driver.core.explaining = True

    # ---- identities and channels

    def create_identity(self) -> LocalIdentity:
        """Return a new identity; its keys live in memory only."""
        return create_local_identity(os.urandom(32), os.urandom(32), now().unix)

    def learn_identity(self, history: bytes) -> Identifier:
        """Take the change history of an identity that we trust, such as an authority, and never forget it.

        Raises:
            DecodeError: no change history.
            VerificationError: one that is not valid, or is older than what this node knows of that identity.
        """
        identity = verify_change_history(decode_change_history(history))
        self._driver.learn(identity)
        return identity.identifier

    def known_identity(self, identifier: Identifier) -> VerifiedIdentity | None:
        """Return the newest that this node knows of an identity: met in a handshake, or taught."""
        history = self._driver.core.known_peers.find(identifier)
        return None if history is None else verify_change_history(history)

    def attributes_of(self, identifier: Identifier, authority: Identifier) -> tuple[tuple[bytes, bytes], ...]:
        """Return what the authority vouches for now, by name; nothing for who has shown no credential of it."""
        vouched = self._driver.core.attributes.find(identifier.value, authority.value, now().unix)
        return () if vouched is None else vouched.attributes

    def revoke_credentials(self, authority: Identifier, revoked: Mapping[Identifier, int]) -> None:
        """Void the credentials of each of these subjects that the authority made up to and including that second.

        What guards let them have open because of one is closed at once.
        """
        for subject, not_after in revoked.items():
            self._driver.core.attributes.revoke(subject.value, authority.value, not_after)
        self._driver.recheck()

    async def create_secure_channel_listener(
        self,
        identity: LocalIdentity,
        address: Hop,
        *,
        trust: TrustPolicy | Identifier = TRUST_EVERYONE,
        consumer_of: Iterable[Flow] = (),
        authority: Identifier | None = None,
        credential: CredentialSource = None,
        admits: AccessControl = ALLOW_ALL,
    ) -> SecureChannelListener:
        """Answer handshakes at ``address``.

        What peers say of themselves counts where the ``authority``, an identity that this node has learnt, vouches for
        it; ``credential`` is what we show of ourselves, for ever or as long as the retriever gives it.  A channel lives
        for as long as ``admits``, an ``AllowByPolicy`` for instance, allows its peer.

        Raises:
            OckamError: the retriever has no credential.
        """
        shown = await credential_of(credential)
        flow, identity = fresh_flow_control_id(), self._presented.newest(identity)
        config = channel_listener.SecureChannelListener(
            to_address(address),
            identity,
            flow,
            to_trust(trust),
            to_flow_controls(consumer_of),
            None if authority is None else authority.value,
            shown,
            admits,
        )
        worker = self._driver.start(config)
        presenter = Presenter(self._driver, worker, identity, credential)
        self._presented.note(worker, identity, presenter)
        return SecureChannelListener(self._driver, worker, flow, presenter)

    async def create_secure_channel(
        self,
        identity: LocalIdentity,
        route: RouteLike,
        *,
        trust: TrustPolicy | Identifier = TRUST_EVERYONE,
        timeout: float = initiator.HANDSHAKE_TIMEOUT_S,  # noqa: ASYNC109  # the core's own timer
        authority: Identifier | None = None,
        credential: CredentialSource = None,
        admits: AccessControl = ALLOW_ALL,
    ) -> SecureChannel:
        """Open a channel to the listener at the end of the route; the last three arguments are as for a listener.

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: ``TIMEOUT`` or ``REFUSED``, with the reason; the retriever has no credential.
        """
        shown = await credential_of(credential)
        onward = await self._reach(to_route(route))
        self._check_first_hop(onward)
        flow, identity = fresh_flow_control_id(), self._presented.newest(identity)
        deadline = monotonic() + timeout
        vouching = None if authority is None else authority.value
        config = initiator.SecureChannel(identity, onward, flow, to_trust(trust), timeout, vouching, shown, admits)
        worker, life = self._driver.start_followed(config)
        presenter = Presenter(self._driver, worker, identity, credential)
        self._presented.note(worker, identity, presenter)
        life.ended.add_done_callback(lambda _: presenter.stop())
        failure = f"no secure channel over {format_route(onward)}"
        opened = await self._begin(worker, life, ChannelOpened, failure, deadline)
        return SecureChannel(self._driver, life, opened, flow, presenter)

    # ---- workers

    async def start_worker(
        self,
        address: Hop,
        worker: Worker | Handler,
        *,
        consumer_of: Iterable[Flow] = (),
        incoming: AccessControl = ALLOW_ALL,
        outgoing: AccessControl = ALLOW_ALL,
    ) -> WorkerHandle:
        """Start an ``async def`` or a ``Worker`` at an address; flow controls say who may reach it from outside.

        Raises:
            MisuseError: the address is taken.
        """
        mailbox = Mailbox(to_address(address), incoming, outgoing)
        started = self._driver.start(Application((mailbox,), to_flow_controls(consumer_of)))
        instance = worker if isinstance(worker, Worker) else FunctionWorker(worker)
        task = WorkerTask(self._driver, self, started, instance)
        self._driver.receivers[started] = task
        self._workers.add(task)
        task.task.add_done_callback(lambda _: self._workers.discard(task))
        return WorkerHandle(self._driver, started, task)

    async def start_echo(self, address: Hop = "echo", *, consumer_of: Iterable[Flow] = ()) -> Service:
        """Start the service that sends every payload back."""
        return self._service(Echo(to_address(address), to_flow_controls(consumer_of)))

    async def start_uppercase(self, address: Hop = "uppercase", *, consumer_of: Iterable[Flow] = ()) -> Service:
        """Start the service that sends every text back in upper case."""
        return self._service(Uppercase(to_address(address), to_flow_controls(consumer_of)))

    async def start_hop(self, address: Hop = "hop", *, consumer_of: Iterable[Flow] = ()) -> Service:
        """Start a worker that passes messages on and puts itself into the way back."""
        return self._service(HopWorker(to_address(address), to_flow_controls(consumer_of)))


class _Reply:
    """The mailbox of ``send_and_receive``: the first message is the reply."""

    __slots__ = ("arrived",)

    def __init__(self, driver: Driver) -> None:
        self.arrived: asyncio.Future[Deliver] = driver.loop.create_future()

    def deliver(self, delivery: Deliver) -> bool:
        """Keep the first, forget the others."""
        if not self.arrived.done():
            self.arrived.set_result(delivery)
        return False


def to_trust(trust: TrustPolicy | Identifier) -> TrustPolicy:
    """Let an identifier stand for the policy that trusts nobody else."""
    return TrustIdentifier(trust.value) if isinstance(trust, Identifier) else trust
