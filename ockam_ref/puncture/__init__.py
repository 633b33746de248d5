"""UDP between two nodes that are both behind a NAT: rendezvous, negotiation, puncture (facts 02 section 5)."""
