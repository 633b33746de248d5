"""What commands print: sentences for people, or one JSON object a line (``--json``)."""

import json
import os

import click


class Output:
    """The standard output of a command.

    Every event has a name and fields; the sentence is what a person reads in their place.  An event without a sentence
    is for programs only.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def event(self, event: str, sentence: str | None = None, **fields: object) -> None:
        """Print one event, at once.  Fields that are ``None`` are left out."""
        if self.as_json:
            known = {key: value for key, value in fields.items() if value is not None}
            click.echo(json.dumps({"event": event, **known}))
        elif sentence is not None:
            click.echo(sentence)

    def ready(self, role: str, sentence: str, **fields: object) -> None:
        """Print that the command now does what it is for."""
        self.event("ready", sentence, role=role, **fields, pid=os.getpid())


def warn(sentence: str) -> None:
    """Tell people something on the error stream, loudly."""
    click.secho(sentence, fg="yellow", err=True)
