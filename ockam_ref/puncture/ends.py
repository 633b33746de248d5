"""What the workers of a puncture have in common: the addresses of one end, and the way it ends."""

from typing import Final, NamedTuple

from ockam_ref.effects import AddProducer, Effect, Effects, Report, StopWorker, Tell
from ockam_ref.events import ChildSettled
from ockam_ref.machine import FlowControlId, Fresh, LinkId, Mailbox, Needs, Now
from ockam_ref.observations import MessageDropped, PunctureClosed
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowConsumers
from ockam_ref.wire.address import Address
from ockam_ref.wire.local_message import LocalMessage

ANY_ADDRESS: Final = "0.0.0.0:0"
"""Where the socket of a puncture is bound: any interface, since nobody knows yet which leads to the other node."""

END_NEEDS: Final = Needs(addresses=5, flow_control_ids=2, links=1)


class End(NamedTuple):
    """One end of a puncture.

    ``sender`` is the hop that routes use; ``remote`` is what the other node knows; ``receiver`` is where its payloads
    enter the node; ``questions`` takes the answers of the negotiation.  ``bind`` is the hop of our socket, ``link`` the
    socket itself, ``bind_flow`` the flow control of what comes through it.  ``listener`` counts a responder's end.
    """

    sender: Address
    remote: Address
    receiver: Address
    questions: Address
    bind: Address
    link: LinkId
    bind_flow: FlowControlId
    listener: Address | None = None


def draw_end(fresh: Fresh, listener: Address | None = None) -> End:
    """Return an end of fresh addresses."""
    sender, remote, receiver, questions, bind = fresh.addresses
    return End(sender, remote, receiver, questions, bind, fresh.links[0], fresh.flow_control_ids[0], listener)


def mailboxes(end: End, flow_control_id: FlowControlId, spawner_id: FlowControlId | None) -> tuple[Mailbox, ...]:
    """Return who may use which address (facts 02 sections 1.7 and 5.3)."""
    return (
        Mailbox(end.sender, ALLOW_ALL, DENY_ALL, terminal=True),
        Mailbox(end.remote),
        Mailbox(end.receiver, DENY_ALL, AllowConsumers(flow_control_id, spawner_id)),
        Mailbox(end.questions),
    )


def producer(end: End, flow_control_id: FlowControlId, spawner_id: FlowControlId | None) -> AddProducer:
    """Return the effect that registers what comes out of the puncture."""
    return AddProducer(end.receiver, flow_control_id, spawner_id, (end.sender,))


def drop(rule: str, detail: str, source: Address, message: LocalMessage) -> Report:
    """Return the record of a message that goes no further."""
    return Report(MessageDropped(rule, detail, source, message.onward_route, message.return_route))


def farewell(end: End, reason: str, now: Now, *, stop: bool) -> Effects:
    """Return what is left to do when a puncture ends: the socket is closed, people are told."""
    effects: list[Effect] = [StopWorker(end.bind, reason), Report(PunctureClosed(end.sender, reason))]
    if end.listener is not None:
        effects.append(Tell(end.listener, ChildSettled(end.sender, now)))
    if stop:
        effects.append(StopWorker(end.sender, reason))
    return tuple(effects)
