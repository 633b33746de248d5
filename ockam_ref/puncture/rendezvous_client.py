"""How an end of a puncture gets a socket and learns its public address (facts 02 sections 5.1 and 5.2).

The part that both roles of a negotiation begin with; the initiator's and the responder's machine hold it.  Unlike the
peer it asks again before it gives up, for a datagram may be lost.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, TypeAlias

from ockam_ref.effects import (
    AddConsumer,
    BindEndpoint,
    CancelTimer,
    Effects,
    Forward,
    SetTimer,
    StartWorker,
    Watch,
)
from ockam_ref.errors import DecodeError
from ockam_ref.events import AddressGone, LinkFailed, LinkOpened, MessageReceived, TimerFired, WorkerEvent
from ockam_ref.links.udp_endpoint import UdpEndpoint
from ockam_ref.machine import Now, Transition
from ockam_ref.puncture.ends import End, drop
from ockam_ref.puncture.limits import RENDEZVOUS_TIMEOUT_S
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.rendezvous_message import (
    MyAddress,
    RendezvousRequest,
    decode_rendezvous_response,
    encode_rendezvous_request,
)
from ockam_ref.wire.route import Route

ASK_AGAIN_S: Final = 0.5
"""The pause between two questions; the peer asks once."""

_QUESTION: Final = encode_rendezvous_request(RendezvousRequest.GET_MY_ADDRESS)


@dataclass(frozen=True, slots=True)
class Binding:
    """The host was asked for a socket."""

    end: End
    rendezvous: Route


@dataclass(frozen=True, slots=True)
class Asking:
    """The rendezvous service was asked for our public address."""

    end: End
    rendezvous: Route
    give_up_at: float


@dataclass(frozen=True, slots=True)
class Known:
    """The outcome hoped for; the socket stays."""

    public_address: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The other outcome."""

    reason: str


Preparing: TypeAlias = Binding | Asking

TRANSITIONS: Final = (
    Transition("Binding", "LinkOpened", "Asking", "the endpoint is started, GetMyAddress"),
    Transition("Binding", "LinkFailed", "Failed"),
    Transition("Asking", "TimerFired", "Asking", "asked again"),
    Transition("Asking", "an answer that cannot be read, any other message", "Asking", "a recorded drop"),
    Transition("Asking", "MyAddress", "Known", "the socket stays"),
    Transition("Asking", "Pong, no address of a socket, TimerFired too late, AddressGone", "Failed"),
)


def begin(end: End, rendezvous: Route, bind: str) -> tuple[Binding, Effects]:
    """Ask the host for a socket; ``rendezvous`` is the route to the service behind it."""
    return Binding(end, rendezvous), (BindEndpoint(end.link, bind),)


def receive(state: Preparing, event: WorkerEvent) -> tuple[Preparing | Known | Failed, Effects]:
    """Advance by one event.  ``Known`` and ``Failed`` are outcomes, for the machine that holds us."""
    match event:
        case LinkOpened(now=now) if isinstance(state, Binding):
            return _ask(state, now)
        case LinkFailed(reason=reason):
            return Failed(f"no socket: {reason}"), ()
        case TimerFired("rendezvous", now) if isinstance(state, Asking):
            if now.monotonic >= state.give_up_at:
                return Failed(f"no answer from the rendezvous service within {RENDEZVOUS_TIMEOUT_S:g} s"), ()
            return state, (_question(state), SetTimer("rendezvous", now.monotonic + ASK_AGAIN_S))
        case MessageReceived() if isinstance(state, Asking) and event.destination == state.end.questions:
            return _answer(state, event)
        case MessageReceived(_, source, message):
            return state, (drop("puncture-not-open", "the puncture is still being negotiated", source, message),)
        case AddressGone(address) if address == state.end.bind:
            return Failed("the socket is gone"), ()
        case _:
            return state, ()


def _ask(state: Binding, now: Now) -> tuple[Asking, Effects]:
    end = state.end
    asking = Asking(end, state.rendezvous, now.monotonic + RENDEZVOUS_TIMEOUT_S)
    return asking, (
        StartWorker(UdpEndpoint(end.link, flow_control_id=end.bind_flow, sender=end.bind)),
        AddConsumer(end.remote, end.bind_flow),
        AddConsumer(end.questions, end.bind_flow),
        Watch(end.bind),
        _question(asking),
        SetTimer("rendezvous", now.monotonic + ASK_AGAIN_S),
    )


def _question(state: Asking) -> Forward:
    end = state.end
    return Forward(end.questions, LocalMessage((end.bind, *state.rendezvous), (end.questions,), _QUESTION))


def _answer(state: Asking, event: MessageReceived) -> tuple[Asking | Known | Failed, Effects]:
    try:
        response = decode_rendezvous_response(event.message.payload)
    except DecodeError as error:
        return state, (drop("bad-rendezvous-response", str(error), event.source, event.message),)
    if not isinstance(response, MyAddress):
        return Failed("the rendezvous service answered another question"), ()
    if not is_socket_address(response.address):
        return Failed(f"the rendezvous service said {response.address!r}, which is no address of a socket"), ()
    return Known(response.address), (CancelTimer("rendezvous"),)


def is_socket_address(text: str) -> bool:
    """Return whether the text is ``ip:port`` or ``[ip]:port``, with a port to which one can send.

    Nodes exchange what a rendezvous service saw, which is never a name; a name would let a stranger make us look it up.
    """
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 0xFFFF):
        return False
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        return ip_address(host[1:-1] if bracketed else host).version == (6 if bracketed else 4)
    except ValueError:
        return False
