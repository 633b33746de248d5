"""The streams between nodes: framing, and the workers that routes name."""
