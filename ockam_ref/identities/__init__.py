"""Identities: identifiers, change histories, purpose keys and what a handshake shows of them."""
