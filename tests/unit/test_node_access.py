"""Rules about peers in a node: guards that fire, checks that are answered, followers, and why a message may pass."""

import pytest

from ockam_ref.effects import ArmTimer, CheckAccess, ComparePeer, DisarmTimer, Follow, Guard, HostEffects, TellFollowers
from ockam_ref.errors import ErrorCode, VerificationError
from ockam_ref.events import AccessChecked, AccessLost, PathOffered, PauseChanged, PeerCompared, TimerFired
from ockam_ref.guards import GUARD_TIMER
from ockam_ref.machine import Mailbox, Now
from ockam_ref.observations import CredentialAccepted, HopExplained, PeerLearned
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.resources import Resource, ResourceType
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowByPolicy, AllowIdentifiers
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage, channel_local_info
from tests.unit.channels.ends import ALICE
from tests.unit.channels.test_presenting import NEW_ALICE
from tests.unit.identities.credentials_for_tests import Issuer
from tests.unit.nodes import NOW, Puppet, Stage, reported

AUTHORITY = Issuer()
SUBJECT = ALICE.identifier.value
OUTLET = Resource("outlet", ResourceType.TCP_OUTLET)
MEMBERS = AllowByPolicy(OUTLET, AUTHORITY.identifier)


def later(seconds: int) -> Now:
    return Now(NOW.monotonic + seconds, NOW.unix + seconds)


def credential(lives: int, **attributes: str) -> bytes:
    return AUTHORITY.vouch(ALICE.identifier, created_at=NOW.unix, expires_at=NOW.unix + lives, **attributes)


def shown(*credentials: bytes) -> ComparePeer:
    return ComparePeer(ALICE.identity, credentials, AUTHORITY.identifier)


class Scene:
    """A node with an authority, a policy, and a worker that shows credentials when it is paused."""

    def __init__(self, policy: str = "role=member") -> None:
        self.node = Stage()
        self.node.learn(AUTHORITY.identity, NOW)
        self.node.policies.set_for_resource("outlet", parse_policy(policy))
        self.guarded = Puppet(local("guarded"))

    def show(self, name: str, *credentials: bytes) -> HostEffects:
        return self.node.play(Puppet(local(name), (shown(*credentials),)))

    def guard(self) -> HostEffects:
        self.guarded = Puppet(local("guarded"), (Guard(MEMBERS, SUBJECT),))
        return self.node.play(self.guarded)

    @property
    def lost(self) -> int:
        return len(self.guarded.events(AccessLost))


@pytest.mark.spec("NODE-81")
def test_a_guard_fires_at_the_second_at_which_the_credential_ends() -> None:
    scene = Scene()
    accepted = scene.show("shows", credential(60, role="member"))
    assert reported(accepted, CredentialAccepted) == [CredentialAccepted(SUBJECT, AUTHORITY.identifier, NOW.unix + 60)]
    assert scene.guard() == [ArmTimer(local("guarded"), GUARD_TIMER, NOW.monotonic + 60)]
    assert scene.node.tell(local("guarded"), TimerFired(GUARD_TIMER, later(60))) == []
    assert scene.lost == 1
    assert "policy" in scene.guarded.events(AccessLost)[0].reason
    assert not scene.guarded.events(TimerFired)


@pytest.mark.spec("NODE-81")
def test_a_newer_credential_moves_the_deadline() -> None:
    scene = Scene()
    scene.show("shows", credential(60, role="member"))
    scene.guard()
    moved = scene.show("shows more", credential(90, role="member"))
    assert ArmTimer(local("guarded"), GUARD_TIMER, NOW.monotonic + 90) in moved
    scene.node.tell(local("guarded"), TimerFired(GUARD_TIMER, later(60)))
    assert scene.lost == 0
    scene.node.tell(local("guarded"), TimerFired(GUARD_TIMER, later(90)))
    assert scene.lost == 1


@pytest.mark.spec("NODE-81")
def test_a_credential_that_says_less_fires_at_once_and_the_timer_is_forgotten() -> None:
    scene = Scene()
    scene.show("shows", credential(60, role="member"))
    scene.guard()
    effects = scene.show("shows less", credential(90, role="guest"))
    assert scene.lost == 1
    assert DisarmTimer(local("guarded"), GUARD_TIMER) in effects


@pytest.mark.spec("NODE-82")
def test_the_host_can_have_all_guards_asked_again() -> None:
    scene = Scene()
    scene.show("shows", credential(60, role="member"))
    scene.guard()
    assert scene.node.recheck(NOW) == [ArmTimer(local("guarded"), GUARD_TIMER, NOW.monotonic + 60)]
    scene.node.attributes.revoke(SUBJECT, AUTHORITY.identifier, NOW.unix)
    scene.node.recheck(NOW)
    assert scene.lost == 1
    assert scene.node.recheck(NOW) == []  # it was told once
    scene.node.policies.remove_for_resource("outlet")
    assert scene.lost == 1


@pytest.mark.spec("NODE-81")
def test_a_guard_that_refuses_from_the_start_fires_from_the_start() -> None:
    scene = Scene()
    assert scene.guard() == []
    assert scene.lost == 1


@pytest.mark.spec("NODE-81")
def test_guards_about_nobody() -> None:
    node = Stage()
    open_to_all = Puppet(local("open"), (Guard(ALLOW_ALL, None),))
    for_peers = Puppet(local("for peers"), (Guard(AllowIdentifiers(), None),))
    assert node.play(open_to_all, for_peers) == []
    assert not open_to_all.events(AccessLost)
    assert len(for_peers.events(AccessLost)) == 1


@pytest.mark.spec("NODE-80")
def test_a_worker_that_stopped_is_not_told() -> None:
    scene = Scene()
    scene.show("shows", credential(60, role="member"))
    scene.guard()
    scene.node.stop(local("guarded"), NOW)
    scene.node.policies.remove_for_resource("outlet")
    assert scene.node.recheck(NOW) == []
    assert scene.lost == 0


def test_a_guard_may_be_lost_before_its_timer_fires() -> None:
    scene = Scene()
    scene.show("shows", credential(60, role="member"))
    scene.guard()
    scene.guarded.answers.update({PauseChanged: (Guard(DENY_ALL, None),)})  # type: ignore[attr-defined]
    scene.node.tell(local("guarded"), PauseChanged(True, NOW))
    assert scene.lost == 1
    assert scene.node.tell(local("guarded"), TimerFired(GUARD_TIMER, later(60))) == []


@pytest.mark.spec("NODE-83")
def test_a_check_is_answered_before_all_that_waits() -> None:
    scene = Scene()
    scene.show("shows", credential(60, role="member"))
    message = LocalMessage((local("x"),), (), b"", (channel_local_info(SUBJECT),))
    asks = Puppet(local("asks"), (CheckAccess(MEMBERS, message, 1), CheckAccess(DENY_ALL, message, 2)))
    scene.node.play(asks)
    answers = {event.about: event.refusal for event in asks.events(AccessChecked)}
    assert answers == {1: None, 2: "deny-all"}


@pytest.mark.spec("NODE-84")
def test_followers_are_told_what_their_leader_tells() -> None:
    node = Stage()
    event = PathOffered((), 1, NOW)
    leader = Puppet(local("leader"), (), {PauseChanged: (TellFollowers(event),)})
    one, two = (Puppet(local(name), (Follow(local("leader")),)) for name in ("one", "two"))
    alone = Puppet(local("alone"), (Follow(local("nobody")),))
    node.play(leader, one, two, alone)
    node.tell(local("leader"), PauseChanged(True, NOW))
    node.stop(local("one"), NOW)
    node.tell(local("leader"), PauseChanged(True, NOW))
    assert [len(puppet.events(PathOffered)) for puppet in (one, two, alone)] == [1, 2, 0]


@pytest.mark.spec("NODE-62")
def test_the_host_is_told_what_was_learned() -> None:
    scene = Scene()
    assert reported(scene.show("shows"), PeerLearned) == [PeerLearned(SUBJECT, ALICE.identity.history.encoded)]
    assert reported(scene.show("shows again"), PeerLearned) == []
    newer = PeerLearned(SUBJECT, NEW_ALICE.identity.history.encoded)
    assert reported(scene.node.learn(NEW_ALICE.identity, NOW), PeerLearned) == [newer]
    with pytest.raises(VerificationError) as caught:
        scene.node.learn(ALICE.identity, NOW)
    assert caught.value.code is ErrorCode.HISTORY_OLDER
    older = Puppet(local("older"), (shown(),))
    scene.node.play(older)
    assert older.events(PeerCompared)[0].refusal == "the change history is older than the one known"


@pytest.mark.spec("NODE-85")
def test_every_hop_can_be_explained() -> None:
    scene = Scene()
    node = scene.node
    node.play(
        Puppet(local("open")),
        Puppet(local("members"), mailbox=Mailbox(local("members"), MEMBERS)),
        Puppet(local("dumb"), mailbox=Mailbox(local("dumb"), ALLOW_ALL, DENY_ALL)),
    )
    node.say("open", "members")
    node.explaining = True
    (refused,) = reported(node.say("open", "members"), HopExplained)
    assert not refused.allowed
    assert refused.incoming is not None
    assert refused.incoming.reason == "the message came through no secure channel"
    (dumb,) = reported(node.say("dumb", "open"), HopExplained)
    assert (dumb.allowed, dumb.outgoing.rule, dumb.incoming) == (False, "deny-all", None)
    (passed,) = reported(node.say("open", "open"), HopExplained)
    assert (passed.allowed, passed.source, passed.destination) == (True, local("open"), local("open"))
