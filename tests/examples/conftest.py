"""What starts and ends the processes of these tests."""

from tests.commands import command_line, peers, target

__all__ = ["command_line", "peers", "target"]
