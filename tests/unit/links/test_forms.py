"""The forms of messages in links, by name."""

import pytest

from ockam_ref.errors import MisuseError
from ockam_ref.links.forms import FORMS, find_form
from ockam_ref.links.framing import FRAMED


@pytest.mark.spec("LINK-13")
def test_forms_are_found_by_their_names() -> None:
    assert find_form("framed") is FRAMED
    assert [find_form(name).name for name in FORMS] == list(FORMS)


@pytest.mark.spec("LINK-13")
def test_an_unknown_form_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(MisuseError, match=r"'nonsense' is no form .* framed"):
        find_form("nonsense")


def test_a_form_is_shown_by_its_name() -> None:
    assert repr(FRAMED) == "Form('framed')"
