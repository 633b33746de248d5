"""Secure channels: handshake, trust, data phase."""
