"""The Noise handshake: objects named as in the Noise paper, patterns as data, pure functions over frozen values."""
