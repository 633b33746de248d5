"""One typed hop, ``(TCP, "host:port")``: the worker that has the address itself and connects to it.

Messages wait until the link is open and then go on to it; the link and this worker end together.  Who starts it, and
why, is in ``ockam_ref.links.connector``.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from ockam_ref.effects import (
    AddConsumerOfProducer,
    Backlog,
    Effect,
    Effects,
    Forward,
    OpenLink,
    Report,
    StartWorker,
    StopWorker,
    Tell,
    Watch,
)
from ockam_ref.events import (
    AddressGone,
    ChildSettled,
    ChildStarted,
    HopReady,
    LinkFailed,
    LinkOpened,
    MessageReceived,
    StopRequested,
    WorkerEvent,
)
from ockam_ref.links.form import Form
from ockam_ref.links.node_link import NodeLink
from ockam_ref.machine import Fresh, LinkId, Machine, Mailbox, Needs, Now, Transition, Worker
from ockam_ref.observations import HopReached, HopUnreachable, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, AllowResolution
from ockam_ref.wire.address import Address, any_of_type
from ockam_ref.wire.local_message import LocalMessage

MAX_WAITING_MESSAGES: Final = 64
"""Messages that wait until a typed hop is connected; what comes beyond that is a recorded drop."""

MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
"""Bytes of payload in them."""


@dataclass(frozen=True, slots=True)
class TypedHop:
    """Configuration: the address as routes write it, its transport, how messages lie in the link, when it is idle."""

    address: Address
    transport: str
    form: Form
    idle_s: float | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """The link is being opened, or its worker is starting; messages wait."""

    config: TypedHop
    link: LinkId
    waiting: tuple[LocalMessage, ...] = ()
    waiting_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Connected:
    """Messages go on to ``hop``, the worker of the link."""

    config: TypedHop
    hop: Address


@dataclass(frozen=True, slots=True)
class Ended:
    """Terminal: everything is ignored."""


TypedHopState: TypeAlias = Opening | Connected | Ended

TRANSITIONS: Final = (
    Transition("Opening", "MessageReceived", "Opening", "it waits, or a recorded drop"),
    Transition("Opening", "LinkOpened", "Opening", "the worker of the link is started"),
    Transition("Opening", "HopReady", "Connected", "what waits is sent, HopReached"),
    Transition("Opening", "LinkFailed, StopRequested", "Ended", "what waits is dropped, HopUnreachable"),
    Transition("Connected", "MessageReceived", "Connected", "it is passed on, the way back is opened"),
    Transition("Connected", "AddressGone, StopRequested", "Ended", "the next message connects anew"),
    Transition("Ended", "any", "Ended", "ignored"),
)


def start(config: TypedHop, fresh: Fresh) -> Worker[TypedHopState]:
    """Begin to open the link."""
    (link,) = fresh.links
    return Worker(
        (Mailbox(config.address, AllowResolution(), ALLOW_ALL, terminal=True),),
        Opening(config, link),
        (
            Tell(any_of_type(config.address.transport_type), ChildStarted(config.address, fresh.now)),
            OpenLink(link, _target(config.address), config.transport),
        ),
    )


def receive(state: TypedHopState, event: WorkerEvent) -> tuple[TypedHopState, Effects]:
    """Advance the typed hop by one event."""
    match state, event:
        case Opening(), MessageReceived(_, _, message):
            return _keep(state, message)
        case Opening(config, link), LinkOpened(_, _, mtu):
            node_link = NodeLink(link, config.form, mtu=mtu, asked_by=config.address, idle_s=config.idle_s)
            return state, (StartWorker(node_link),)
        case Opening(config, _, waiting), HopReady(_, hop):
            connected = Connected(config, hop)
            passed = [effect for message in waiting for effect in _pass_on(connected, message)]
            nothing_waits = (Backlog(config.address, 0),) if waiting else ()
            return connected, (Watch(hop), Report(HopReached(config.address, hop)), *passed, *nothing_waits)
        case Opening(config), LinkFailed(_, reason, now) | StopRequested(reason, now):
            unreachable = Report(HopUnreachable(config.address, reason))
            dropped = [
                Report(MessageDropped("unreachable", reason, config.address, one.onward_route, one.return_route))
                for one in state.waiting
            ]
            return Ended(), (unreachable, *dropped, *_settle(config, reason, now))
        case Connected(), MessageReceived(_, _, message):
            return state, _pass_on(state, message)
        case Connected(config), AddressGone(_, now):
            return Ended(), _settle(config, "its link has ended", now)
        case Connected(config, hop), StopRequested(reason, now):
            return Ended(), (StopWorker(hop, reason), *_settle(config, reason, now))
        case _:
            return state, ()


def _keep(state: Opening, message: LocalMessage) -> tuple[Opening, Effects]:
    waiting_bytes = state.waiting_bytes + len(message.payload)
    if len(state.waiting) >= MAX_WAITING_MESSAGES or waiting_bytes > MAX_WAITING_BYTES:
        detail = f"too much waits for the connection to {state.config.address}"
        routes = message.onward_route, message.return_route
        return state, (Report(MessageDropped("not-connected-yet", detail, state.config.address, *routes)),)
    kept = Opening(state.config, state.link, (*state.waiting, message), waiting_bytes)
    return kept, (Backlog(state.config.address, waiting_bytes),)


def _pass_on(state: Connected, message: LocalMessage) -> Effects:
    """Put the link in the place of the typed hop, and let the two sides answer each other, as a relay does."""
    hop = state.hop
    effects: list[Effect] = []
    if message.return_route:
        previous = message.return_route[0]
        effects.append(AddConsumerOfProducer(previous, producer=hop))
        effects.append(AddConsumerOfProducer(hop, producer=previous))
    effects.append(Forward(state.config.address, message.replace_front_onward_route(hop)))
    return tuple(effects)


def _settle(config: TypedHop, reason: str, now: Now) -> Effects:
    settled = Tell(any_of_type(config.address.transport_type), ChildSettled(config.address, now))
    return settled, Backlog(config.address, 0), StopWorker(config.address, reason)


def _target(address: Address) -> str:
    """Return the text for the adapter; bytes that are no text cannot be connected to, and it will say so."""
    return address.value.decode("utf-8", "backslashreplace")


MACHINE: Final[Machine[TypedHop, TypedHopState]] = Machine("typed hop", start, receive, Needs(links=1))
