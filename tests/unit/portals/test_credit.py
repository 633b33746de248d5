import pytest

from ockam_ref.portals.credit import (
    MARK_EVERY_BYTES,
    NO_CREDIT,
    RESUME_BELOW_BYTES,
    WINDOW_BYTES,
    Credit,
    Step,
    credit_answered,
    credit_sent,
)

AGREED = Credit(agreed=True)


@pytest.mark.spec("PT-25")
def test_without_an_announcement_nothing_is_counted() -> None:
    assert credit_sent(NO_CREDIT, 10 * WINDOW_BYTES) == Step(NO_CREDIT)
    assert credit_answered(NO_CREDIT) == Step(AGREED)


@pytest.mark.spec("PT-26")
def test_a_mark_after_every_half_mebibyte() -> None:
    step = credit_sent(AGREED, MARK_EVERY_BYTES - 1)
    assert step == Step(Credit((), MARK_EVERY_BYTES - 1, MARK_EVERY_BYTES - 1, agreed=True))
    step = credit_sent(step.credit, 1)
    assert step == Step(Credit((MARK_EVERY_BYTES,), 0, MARK_EVERY_BYTES, agreed=True), mark=True)


@pytest.mark.spec("PT-26")
def test_the_window_pauses_once_and_half_of_it_resumes() -> None:
    step = credit_sent(AGREED, WINDOW_BYTES - 1)
    assert (step.mark, step.pause) == (True, False)
    step = credit_sent(step.credit, 1)
    assert (step.mark, step.pause) == (False, True)
    assert not credit_sent(step.credit, 1).pause  # what was already read when the pause came
    step = credit_answered(step.credit)
    assert (step.resume, step.credit.outstanding, step.credit.paused) == (True, 1, False)


@pytest.mark.spec("PT-26")
@pytest.mark.parametrize(("left", "resumes"), [(RESUME_BELOW_BYTES, True), (RESUME_BELOW_BYTES + 1, False)])
def test_where_reading_goes_on(left: int, *, resumes: bool) -> None:
    paused = Credit((WINDOW_BYTES - left, left), 0, WINDOW_BYTES, agreed=True, paused=True)
    assert credit_answered(paused).resume is resumes


@pytest.mark.spec("PT-27")
def test_a_pong_too_many() -> None:
    assert credit_answered(AGREED) == Step(AGREED)
