"""``python -m ockam_ref`` is ``ockam-ref``."""

from ockam_ref.cli.main import main

main(prog_name="ockam-ref")
