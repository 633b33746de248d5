"""Who may send what to whom inside a node."""
