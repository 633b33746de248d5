"""``ockam-ref node create``: run what a recipe says."""

import asyncio
import os
import threading
from contextlib import suppress
from typing import Final, TextIO

import click

from ockam_ref.asyncio import SessionEvent, Stream
from ockam_ref.asyncio.home import Home
from ockam_ref.cli import explaining, parameters
from ockam_ref.cli.events import name, print_observations, print_way
from ockam_ref.cli.output import Output, fail
from ockam_ref.cli.running import run
from ockam_ref.errors import OckamError
from ockam_ref.recipe import Recipe, Step, read_recipe, steps_of
from ockam_ref.recipe.running import RunningRecipe

_STANDARD_INPUT: Final = 0
_READ_BYTES: Final = 4096


class VariableType(click.ParamType[tuple[str, str]]):
    """``NAME=VALUE``."""

    name = "NAME=VALUE"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Refuse what sets nothing."""
        if not isinstance(value, str):
            return value
        variable, _, text = value.partition("=")
        if not variable or not text:
            self.fail(f"{value!r} sets no variable; write it as NAME=VALUE", param, ctx)
        return variable, text


@click.group()
def node() -> None:
    """A node as a recipe describes it."""


@node.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option(
    "--variable",
    "variables",
    type=VariableType(),
    multiple=True,
    help="The value of a $NAME in the recipe; it counts before the environment and the recipe's own.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be run, as a table, and run nothing.")
@explaining.option
@parameters.as_json
def create(
    *, file: TextIO, variables: tuple[tuple[str, str], ...], dry_run: bool, explain: bool, as_json: bool
) -> None:
    """Run the node that the recipe in FILE describes, in YAML ('-' for the standard input), until it is told to end.

    One process runs everything: the outlets, the relays, the inlets, and what guards them.  If something cannot be
    started, nothing is, and the message names the entry.
    """
    recipe = _read(file, dict(variables))
    output = Output(as_json=as_json)
    if dry_run:
        _print_steps(output, steps_of(recipe))
        output.close()
        return
    if recipe.exit_on_eof and _is_standard_input(file):
        fail("the recipe came from the standard input, which has ended: leave 'exit-on-eof' out, or give a file")
    run(output, lambda: _run(output, recipe, explain=explain))


def _read(file: TextIO, variables: dict[str, str]) -> Recipe:
    place = "(standard input)" if _is_standard_input(file) else file.name
    try:
        return read_recipe(file.read(), file=place, environment=os.environ, given=variables)
    except UnicodeDecodeError:
        fail(f"{place}: this is no text in UTF-8")
    except OckamError as error:
        fail(str(error))


def _is_standard_input(file: TextIO) -> bool:
    return file.fileno() == _STANDARD_INPUT


def _print_steps(output: Output, steps: tuple[Step, ...]) -> None:
    kinds, names = max(len(step.kind) for step in steps), max(len(step.name) for step in steps)
    for step in steps:
        row = f"{step.kind:{kinds}}  {step.name:{names}}  {step.does}"
        output.event("step", row, kind=step.kind, name=step.name, does=step.does, line=step.line or None)


async def _run(output: Output, recipe: Recipe, *, explain: bool) -> None:
    async with await Home.open() as home:
        running = RunningRecipe(recipe, home)
        async with explaining.explaining(running.node, output, wanted=explain), running:
            await _serve(output, recipe, running)


async def _serve(output: Output, recipe: Recipe, running: RunningRecipe) -> None:
    _ready(output, recipe, running)
    printing = asyncio.create_task(_print_events(output, recipe, running))
    if recipe.exit_on_eof:
        await asyncio.wait((printing, _end_of_input()), return_when=asyncio.FIRST_COMPLETED)
        if not printing.done():
            printing.cancel()
            await asyncio.wait((printing,))
            return
    await printing


async def _print_events(output: Output, recipe: Recipe, running: RunningRecipe) -> None:
    ways: list[tuple[Stream[SessionEvent], str]] = [
        (session.events(), f"the hub {entry.hub}") for entry, session in zip(recipe.relays, running.relays, strict=True)
    ]
    ways += [(session.events(), entry.way.via) for entry, session in running.inlets]
    await asyncio.gather(
        print_observations(running.observations, output, links=running.listener is not None),
        *(print_way(events, output, where) for events, where in ways),
    )


def _ready(output: Output, recipe: Recipe, running: RunningRecipe) -> None:
    listen = None if running.listener is None else running.listener.address
    project = None if running.project is None else running.project.name
    lines = [f"The node {recipe.name or 'of the recipe'} is {running.identity.identifier}."]
    if project is not None:
        lines.append(f"It is a member of the project {project}.")
    if listen is not None:
        lines.append(f"It listens at {listen}.")
    lines += [f"Outlet {one.name} leads to {one.target}." for one in recipe.outlets]
    relays, inlets = [], []
    for relay, registered in zip(recipe.relays, running.relays, strict=True):
        address = name(registered.forwarding_address)
        lines.append(f"Relay {relay.name}: the hub {relay.hub} knows the node as {address}.")
        relays.append({"name": relay.name, "hub": relay.hub, "forwarding_address": address})
    for inlet, session in running.inlets:
        lines.append(f"Inlet {inlet.name} at {session.address} leads to {session.peer}.")
        inlets.append({"name": inlet.name, "listen": session.address, "peer": str(session.peer)})
    output.ready(
        "node",
        "\n".join(lines),
        listen=listen,
        identifier=str(running.identity.identifier),
        name=recipe.name,
        project=project,
        outlets=[{"name": one.name, "target": one.target} for one in recipe.outlets],
        relays=relays,
        inlets=inlets,
    )


def _end_of_input() -> asyncio.Future[None]:
    """Return what is done when the standard input ends; a thread that nobody has to wait for reads it."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def read() -> None:
        while os.read(_STANDARD_INPUT, _READ_BYTES):
            pass
        with suppress(RuntimeError):  # the loop was quicker to end
            loop.call_soon_threadsafe(lambda: None if ended.done() else ended.set_result(None))

    threading.Thread(target=read, name="standard input", daemon=True).start()
    return ended
