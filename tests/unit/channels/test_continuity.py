import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.channels.continuity import find_gaps, was_due, with_one_more_gap
from ockam_ref.channels.data_phase import NonceWindow, accept
from ockam_ref.errors import PeerError
from ockam_ref.wire.local_message import LocalInfo, channel_local_info, find_channel_identifier

PEER = (channel_local_info(bytes(32)),)


def due(*nonces: int) -> list[bool]:
    """Whether each of the nonces, received in that order, was the one that was due."""
    window, answers = NonceWindow(), []
    for nonce in nonces:
        following = accept(window, nonce)
        answers.append(was_due(window, following))
        window = following
    return answers


@pytest.mark.spec("CH-23")
@pytest.mark.parametrize(
    ("nonces", "answers"),
    [
        ((0, 1, 2, 3), (True, True, True, True)),
        ((0, 2), (True, False)),
        ((0, 2, 1, 3), (True, False, False, True)),
        ((1,), (False,)),
        ((1, 0, 2), (False, False, True)),
        ((32, 33), (False, True)),
        ((0, 32, 33), (True, False, True)),
    ],
)
def test_which_packet_was_due(nonces: tuple[int, ...], answers: tuple[bool, ...]) -> None:
    assert tuple(due(*nonces)) == answers


@pytest.mark.spec("CH-23")
@given(st.lists(st.integers(0, 100), unique=True, max_size=60))
def test_all_were_due_exactly_when_none_is_missing(arriving: list[int]) -> None:
    window, answers, accepted = NonceWindow(), [], []
    for nonce in arriving:
        try:
            following = accept(window, nonce)
        except PeerError:
            continue
        answers.append(was_due(window, following))
        accepted.append(nonce)
        window = following
    assert all(answers) is (accepted == list(range(len(accepted))))


@pytest.mark.spec("CH-22", "CH-23")
def test_the_count_goes_beside_the_identifier() -> None:
    assert find_gaps(()) == find_gaps(PEER) == find_gaps((LocalInfo("other", b"\x07"),)) == 0
    info = with_one_more_gap(PEER)
    assert (find_gaps(info), find_channel_identifier(info)) == (1, bytes(32))
    for _ in range(300):
        info = with_one_more_gap(info)
    assert (find_gaps(info), find_channel_identifier(info), len(info)) == (301, bytes(32), 2)
