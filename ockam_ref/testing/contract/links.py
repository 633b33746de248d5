"""What every adapter of links owes, whatever they carry."""

from ockam_ref.testing.contract.ending import EndingContract
from ockam_ref.testing.contract.flowing import FlowingContract
from ockam_ref.testing.contract.nodes import NodesContract
from ockam_ref.testing.contract.refusing import RefusingContract


class LinkContract(FlowingContract, EndingContract, RefusingContract, NodesContract):
    """The tests that stream and packet transports share; see ``StreamContract`` and ``PacketContract``."""
