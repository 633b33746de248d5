"""Every form by the name that a transport's plug-in gives: one line a form."""

from collections.abc import Mapping
from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.links import ble_packets, framing, packets, uds_framing
from ockam_ref.links.form import Form

FORMS: Final[Mapping[str, Form]] = {
    form.name: form
    for form in (framing.FRAMED, uds_framing.UDS, packets.PACKET, ble_packets.BLE, ble_packets.BLE_COMPAT)
}


def find_form(name: str) -> Form:
    """Return the form of that name.

    Raises:
        MisuseError: there is none; the message lists those that there are.
    """
    found = FORMS.get(name)
    if found is None:
        raise MisuseError(ErrorCode.MISUSE, f"{name!r} is no form of messages in a link; there are: {', '.join(FORMS)}")
    return found
