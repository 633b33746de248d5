"""Names on a hub for nodes that cannot be reached directly."""
