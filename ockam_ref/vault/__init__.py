"""The vault: the only holder of secret keys, and everything that needs one."""
