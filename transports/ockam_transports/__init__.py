"""Link adapters: what moves bytes between an operating system and a host of ``ockam_ref``."""
