"""An open channel."""

from dataclasses import replace

import pytest

from ockam_ref.channels.channel import Open
from ockam_ref.channels.continuity import CHANNEL_GAPS, find_gaps
from ockam_ref.channels.data_phase import SendingState, seal
from ockam_ref.effects import Effects, Forward, StopWorker, Watch
from ockam_ref.errors import ErrorCode
from ockam_ref.events import AddressGone, MessageReceived, PauseChanged, StopRequested, TimerFired
from ockam_ref.noise.primitives import MAX_NONCE
from ockam_ref.observations import ChannelClosed, MessageDropped
from ockam_ref.wire.address import local
from ockam_ref.wire.channel_message import ChannelPayload, Close, RefreshCredentials, encode_channel_message
from ockam_ref.wire.local_message import LocalInfo, LocalMessage, channel_local_info
from tests.unit.channels.ends import (
    A_ENCRYPTOR,
    A_HOP,
    A_INTERNAL,
    A_REMOTE,
    ALICE,
    B_ENCRYPTOR,
    B_HOP,
    B_INTERNAL,
    B_REMOTE,
    BOB,
    NOW,
    End,
    Pair,
    messages,
    reports,
)

FROM_ALICE = channel_local_info(ALICE.identifier.value)


def dropped(effects: Effects, rule: str) -> MessageDropped:
    """Nothing but a recorded drop."""
    (effect,) = effects
    (drop,) = reports((effect,), MessageDropped)
    assert drop.rule == rule
    return drop


def sealed(pair: Pair, plaintext: bytes) -> LocalMessage:
    """Seal any plaintext at A, as it arrives at B."""
    sending, packet = seal(pair.a.state.sending, plaintext)
    pair.a.state = replace(pair.a.state, sending=sending)
    return LocalMessage((B_REMOTE,), (B_HOP,), packet)


# ---- sending


@pytest.mark.spec("CH-20")
def test_the_encryptor() -> None:
    pair = Pair().open()
    inner = LocalMessage(
        (A_ENCRYPTOR, local("x"), local("y")),
        (local("me"), local("more")),
        b"text",
        (LocalInfo("secret", b"1"),),
        "{1}",
    )
    (effect,) = pair.a.take(inner, source=local("me"))
    assert isinstance(effect, Forward)
    assert effect.source == A_ENCRYPTOR
    outer = effect.message
    assert outer == LocalMessage((A_HOP, B_REMOTE), (), outer.payload, (), "{1}")
    assert len(outer.payload) == 24 + len(
        encode_channel_message(ChannelPayload((local("x"), local("y")), (local("me"), local("more")), b"text"))
    )


@pytest.mark.spec("CH-20")
def test_a_message_that_goes_nowhere_behind_the_channel() -> None:
    pair = Pair().open()
    before = pair.a.state
    dropped(pair.a.take(LocalMessage((A_ENCRYPTOR,), (), b"x")), "incomplete-route")
    assert pair.a.state is before


@pytest.mark.spec("CH-31")
def test_a_channel_without_nonces_ends_and_says_no_close() -> None:
    pair = Pair().open()
    pair.a.state = replace(pair.a.state, sending=SendingState(pair.a.state.sending.aead, MAX_NONCE))
    stopped = End.__new__(End)
    stopped.machine, stopped.state, stopped.history = pair.a.machine, pair.a.state, []
    effects = pair.a.take(LocalMessage((A_ENCRYPTOR, local("x")), (), b"x"))
    (told,) = reports(effects, ChannelClosed)
    assert "no nonce is left" in told.reason
    assert effects[-1] == StopWorker(A_REMOTE, told.reason)
    assert not messages(effects)
    effects = stopped.step(StopRequested("enough", NOW))
    assert (messages(effects), stopped.state_name) == ([], "Closed")


# ---- receiving


@pytest.mark.spec("CH-21", "CH-22")
def test_the_decryptor() -> None:
    pair = Pair().open()
    arriving = pair.seal_at_a(b"text", to="x", back=(local("me"),))._replace(
        local_info=(LocalInfo("SECURE_CHANNEL_IDENTIFIER", b"forged"), LocalInfo("other", b"")), tracing_context="{2}"
    )
    (effect,) = pair.b.take(arriving, source=B_HOP)
    inner = LocalMessage((local("x"),), (B_ENCRYPTOR, local("me")), b"text", (FROM_ALICE,), "{2}")
    assert effect == Forward(B_INTERNAL, inner)


@pytest.mark.spec("CH-21")
def test_both_directions_and_an_empty_way_back() -> None:
    pair = Pair().open()
    for number in range(70):  # over two new keys
        text = str(number).encode()
        assert messages(pair.b.take(pair.seal_at_a(text)))[0].payload == text
        (received,) = messages(pair.a.take(pair.seal_at_b(text)))
        assert received.return_route == (A_ENCRYPTOR,)
        assert received.local_info == (channel_local_info(BOB.identifier.value),)
    assert pair.b.state.receiving.keys.rekeys == 2


@pytest.mark.spec("CH-21", "CH-23")
def test_a_packet_under_the_key_before() -> None:
    pair = Pair().open()
    packets = [pair.seal_at_a(str(number).encode()) for number in range(34)]
    for number in (*range(31), 32, 31, 33):
        (received,) = messages(pair.b.take(packets[number]))
        assert received.payload == str(number).encode()


@pytest.mark.spec("CH-26")
@pytest.mark.parametrize(
    "plaintext", [b"", b"\x82", b"\x82\x82\x03\x80\x40", b"no channel message", b"\x81\x82\x02\x80"]
)
def test_a_plaintext_that_does_not_decode_is_lost_and_the_channel_goes_on(plaintext: bytes) -> None:
    pair = Pair().open()
    arriving = sealed(pair, plaintext)
    dropped(pair.b.take(arriving), "bad-channel-message")
    dropped(pair.b.take(arriving), ErrorCode.NONCE_REJECTED)
    assert messages(pair.b.take(pair.seal_at_a(b"next")))[0].payload == b"next"


@pytest.mark.spec("CH-26")
def test_padding_and_trailing_bytes_are_passed_over() -> None:
    pair = Pair().open()
    usual = encode_channel_message(ChannelPayload((local("x"),), (), b"text"))
    for plaintext in (usual[:-1] + b"\x43\x00\x00\x00", usual + b"trailing"):
        assert messages(pair.b.take(sealed(pair, plaintext)))[0].payload == b"text"


@pytest.mark.spec("CH-13")
@pytest.mark.parametrize("address", [A_REMOTE, A_INTERNAL, A_ENCRYPTOR])
def test_garbage_of_every_length(address: object) -> None:
    pair = Pair().open()
    for length in range(65):
        for garbage in (bytes(length), b"\xff" * length, b"\x00" * 7 + b"\x01" * max(0, length - 7)):
            event = MessageReceived(address, A_HOP, LocalMessage((address,), (A_HOP,), garbage), NOW)  # type: ignore[arg-type]
            (drop,) = reports(pair.a.step(event), MessageDropped)
            assert drop.rule in {
                ErrorCode.TRUNCATED,
                ErrorCode.NONCE_REJECTED,
                ErrorCode.AUTHENTICATION_FAILED,
                "not-an-input",
                "incomplete-route",
            }
    assert messages(pair.a.take(pair.seal_at_b(b"still here")))[0].payload == b"still here"
    assert messages(pair.b.take(pair.seal_at_a(b"still here")))[0].payload == b"still here"


@pytest.mark.spec("CH-18", "CH-33")
def test_replayed_reflected_and_forged_packets_change_nothing() -> None:
    pair = Pair().open()
    first = pair.seal_at_a(b"first")
    third = pair.a.sent()[1]
    pair.b.take(first)
    packet = bytes(pair.seal_at_a(b"second").payload)
    flips = [bytes(byte ^ (bit == position) for bit, byte in enumerate(packet)) for position in range(len(packet))]
    forged = [
        *flips,
        *((nonce).to_bytes(8, "big") + packet[8:] for nonce in (0, 2, 31, 33, 34, 64, 1 << 32, 1 << 63, (1 << 64) - 1)),
        packet[:-1],
        packet + b"\x00",
        bytes(third.payload),
        bytes(pair.seal_at_b(b"from b itself").payload),
    ]
    before = pair.b.state
    for payload in (bytes(first.payload), *forged):
        drop = reports(pair.b.take(first._replace(payload=payload)), MessageDropped)
        assert len(drop) == 1
        assert pair.b.state == before
    assert messages(pair.b.take(first._replace(payload=packet)))[0].payload == b"second"


@pytest.mark.spec("CH-36")
def test_the_internal_address_takes_nothing() -> None:
    pair = Pair().open()
    dropped(pair.b.take(LocalMessage((B_INTERNAL,), (), b"x")), "not-an-input")


@pytest.mark.spec("CH-23")
def test_packets_out_of_order_are_counted_beside_the_identifier() -> None:
    pair = Pair().open()
    zero, one, two, three, four = (pair.seal_at_a(str(number).encode()) for number in range(5))
    seen = []
    for arriving in (zero, two, two, one, three, four):
        for received in messages(pair.b.take(arriving)):
            assert received.local_info[0] == FROM_ALICE
            seen.append((received.payload, find_gaps(received.local_info), len(received.local_info)))
    assert seen == [(b"0", 0, 1), (b"2", 1, 2), (b"1", 2, 2), (b"3", 2, 2), (b"4", 2, 2)]
    assert messages(pair.a.take(pair.seal_at_b(b"other direction")))[0].local_info[-1].type_identifier != CHANNEL_GAPS


# ---- routes


@pytest.mark.spec("CH-24")
def test_the_responder_learns_its_way_from_newer_payloads_only() -> None:
    pair = Pair().open()
    other, third = local("other hop"), local("third hop")

    def arrive(message: LocalMessage, *way: object) -> Effects:
        return pair.b.take(message._replace(return_route=way), source=B_HOP)  # type: ignore[arg-type]

    zero, one, two, late = (pair.seal_at_a(b"x") for _ in range(4))
    assert len(arrive(zero, other)) == 1
    assert pair.b.state.remote_route == (B_HOP, A_REMOTE)  # nonce 0 teaches nothing
    assert len(arrive(one, B_HOP)) == 1
    assert pair.b.state.remote_route == (B_HOP, A_REMOTE)
    assert Watch(other, third) in arrive(late, other, third)
    assert pair.b.state.remote_route == (other, third, A_REMOTE)
    assert len(arrive(two, third)) == 1  # older than what taught the last way
    assert pair.b.state.remote_route == (other, third, A_REMOTE)
    assert len(arrive(sealed(pair, b"nonsense"), B_HOP)) == 1
    refresh = encode_channel_message(RefreshCredentials(b"\x80", ()))
    assert len(arrive(sealed(pair, refresh), B_HOP)) == 1
    assert pair.b.state.remote_route == (other, third, A_REMOTE)
    newest = pair.seal_at_a(b"x")
    forged = newest._replace(payload=bytes(newest.payload)[:-1] + b"\x00")
    assert len(arrive(forged, B_HOP)) == 1
    assert pair.b.state.remote_route == (other, third, A_REMOTE)
    arrive(newest)  # a channel within one node has no hops
    assert pair.b.state.remote_route == (A_REMOTE,)
    (sent,) = messages(pair.b.take(LocalMessage((B_ENCRYPTOR, local("app")), (), b"y"), source=local("app-b")))
    assert sent.onward_route == (A_REMOTE,)


@pytest.mark.spec("CH-25")
def test_the_initiator_never_changes_its_way() -> None:
    pair = Pair().open()
    for _ in range(3):
        pair.a.take(pair.seal_at_b(b"x")._replace(return_route=(local("elsewhere"),)))
    assert pair.a.state.remote_route == (A_HOP, B_REMOTE)


# ---- the end


@pytest.mark.spec("CH-29")
def test_a_stop_says_close_once_and_close_is_not_answered() -> None:
    pair = Pair().open()
    close, told = pair.b.step(StopRequested("enough", NOW))
    assert isinstance(close, Forward)
    assert close.source == B_ENCRYPTOR
    assert close.message == LocalMessage((B_HOP, A_REMOTE), (B_ENCRYPTOR,), close.message.payload)
    assert len(close.message.payload) == 29
    (closed,) = reports((told,), ChannelClosed)
    assert (closed.worker, closed.encryptor, closed.reason) == (B_REMOTE, B_ENCRYPTOR, "enough")

    effects = pair.a.take(LocalMessage((A_REMOTE,), (A_HOP, B_ENCRYPTOR), close.message.payload))
    (closed,) = reports(effects, ChannelClosed)
    assert closed == ChannelClosed(A_REMOTE, A_ENCRYPTOR, "the peer closed the channel")
    assert effects[-1] == StopWorker(A_REMOTE, closed.reason)
    assert not messages(effects)
    assert (pair.a.state_name, pair.b.state_name) == ("Closed", "Closed")
    assert pair.a.take(LocalMessage((A_ENCRYPTOR, local("x")), (), b"too late")) == ()


@pytest.mark.spec("CH-29")
def test_close_in_its_exact_form() -> None:
    assert encode_channel_message(Close()) == bytes.fromhex("8282028040")


@pytest.mark.spec("CH-30")
def test_the_end_of_the_first_hop_ends_the_channel() -> None:
    pair = Pair().open()
    assert pair.a.step(AddressGone(local("another"), NOW)) == ()
    effects = pair.a.step(AddressGone(A_HOP, NOW))
    (closed,) = reports(effects, ChannelClosed)
    assert "the way to the peer" in closed.reason
    assert effects[-1] == StopWorker(A_REMOTE, closed.reason)
    assert not messages(effects)


@pytest.mark.spec("CH-24", "CH-30")
def test_only_the_hop_in_use_counts() -> None:
    pair = Pair().open()
    pair.seal_at_a(b"nonce 0")
    pair.b.take(pair.seal_at_a(b"x")._replace(return_route=(local("other hop"),)))
    assert pair.b.step(AddressGone(B_HOP, NOW)) == ()
    assert pair.b.step(AddressGone(local("other hop"), NOW)) != ()


def test_events_of_others_change_nothing() -> None:
    pair = Pair().open()
    before = pair.a.state
    assert isinstance(before, Open)
    for event in (TimerFired("handshake", NOW), PauseChanged(True, NOW)):
        assert pair.a.step(event) == ()
        assert pair.a.state is before
