"""``ockam-ref passphrase``: seal the secret keys of the store with a passphrase, or with none."""

import os
import sys
from functools import partial

import click

from ockam_ref.cli import parameters
from ockam_ref.cli.output import Output, fail, warn
from ockam_ref.cli.running import run
from ockam_ref.storage.home import open_store, store_path
from ockam_ref.storage.passphrases import (
    PASSPHRASE_VARIABLE,
    ask_passphrase,
    recall_passphrase,
    remember_passphrase,
)


@click.group()
def passphrase() -> None:
    """Seal the secret keys on this machine with a passphrase.

    Every command that uses them then asks for it, or takes it from OCKAM_REF_PASSPHRASE or from the keyring.  Commands
    that are running have to be started again.
    """


@passphrase.command(name="set")
@click.option("--keyring", "in_keyring", is_flag=True, help="Keep it in the keyring of this desktop.")
@parameters.as_json
def set_passphrase(*, in_keyring: bool, as_json: bool) -> None:
    """Set a passphrase, or another one.

    It is asked for on the terminal, twice; without a terminal it is one line of the standard input.
    """
    output = Output(as_json=as_json)
    run(output, partial(_change, output, remove=False, in_keyring=in_keyring))


@passphrase.command(name="remove")
@parameters.as_json
def remove_passphrase(*, as_json: bool) -> None:
    """Remove the passphrase: whoever can read the files of this user can then use the keys."""
    output = Output(as_json=as_json)
    run(output, partial(_change, output, remove=True, in_keyring=False))


async def _change(output: Output, *, remove: bool, in_keyring: bool) -> None:
    path = store_path()
    async with await open_store() as store:
        had_one = store.has_passphrase
        new = None if remove else _new_passphrase()
        await store.set_passphrase(new)
        if in_keyring or recall_passphrase(path) is not None:
            remember_passphrase(path, new)
    sentence = {
        (False, False): f"The secret keys in {path} are sealed now.",
        (True, False): f"The secret keys in {path} are sealed with the new passphrase.",
        (True, True): f"The secret keys in {path} are not sealed any more.",
        (False, True): f"The secret keys in {path} were not sealed.",
    }[had_one, remove]
    output.event("passphrase", sentence, store=str(path), sealed=new is not None)
    if had_one and not remove and os.environ.get(PASSPHRASE_VARIABLE):
        warn(f"{PASSPHRASE_VARIABLE} still has the old passphrase: change it too")


def _new_passphrase() -> bytes:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n").encode()
    chosen = ask_passphrase("New passphrase: ")
    if ask_passphrase("The same again: ") != chosen:
        fail("those were two different passphrases: nothing was changed")
    return chosen
