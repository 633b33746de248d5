"""The vault: keys by handle, and what is computed with them (facts 03 section 2)."""
