"""Every form by the name that a transport's plug-in gives: one line a form, and each is loaded when it is used."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.links.form import Form

FORMS: Final[Mapping[str, tuple[str, str]]] = {
    # name: module of ockam_ref.links, and the name of the form in it
    "framed": ("framing", "FRAMED"),
    "uds": ("uds_framing", "UDS"),
    "packet": ("packets", "PACKET"),
    "ble": ("ble_packets", "BLE"),
    "ble-compat": ("ble_packets", "BLE_COMPAT"),
}


def find_form(name: str) -> Form:
    """Return the form of that name.

    Raises:
        MisuseError: there is none; the message lists those that there are.
    """
    found = FORMS.get(name)
    if found is None:
        raise MisuseError(ErrorCode.MISUSE, f"{name!r} is no form of messages in a link; there are: {', '.join(FORMS)}")
    module, constant = found
    form: Form = getattr(import_module(f"ockam_ref.links.{module}"), constant)
    return form
