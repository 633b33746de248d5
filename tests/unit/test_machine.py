import pytest

from ockam_ref.machine import Fresh, Now


@pytest.mark.spec("ID-10")
def test_secrets_that_were_drawn_are_not_shown() -> None:
    assert repr(Fresh((), (), (b"secret",) * 2, (), Now(0.0, 0))) == "Fresh(2 secrets)"
