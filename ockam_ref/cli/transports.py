"""``ockam-ref transports``: what is installed, from where, and what is wrong with it."""

from collections.abc import Iterator
from typing import Any, Final

import click

from ockam_ref.cli import parameters
from ockam_ref.cli.output import Output
from ockam_transports.plugins import InstalledPlugin, installed_plugins

_HEADINGS: Final = ("NAME", "KIND", "NUMBER", "ADDRESS", "FROM", "SUMMARY")


@click.command()
@parameters.as_json
def transports(*, as_json: bool) -> None:
    """List the transports that are installed, and from where.

    NUMBER is the first half of an address in a route, ADDRESS says what the second half looks like.
    """
    output = Output(as_json=as_json)
    found = installed_plugins()
    if as_json:
        for one in found:
            output.event("transport", **_fields(one))
    else:
        rows = [_HEADINGS, *map(_row, found)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            output.event("row", "  ".join(map(str.ljust, row, widths)).rstrip())
        for one in found:
            for sentence in _remarks(one):
                output.event("remark", sentence)
    output.close()


def _row(one: InstalledPlugin) -> tuple[str, ...]:
    source = f"{one.distribution} {one.version}"
    if one.plugin is None:
        return one.entry_point, "-", "-", "-", source, "cannot be used, see below"
    plugin = one.plugin
    return plugin.name, plugin.kind, str(plugin.transport_type), plugin.address_form, source, plugin.summary


def _remarks(one: InstalledPlugin) -> Iterator[str]:
    if one.plugin is None:
        yield f"{one.entry_point} of {one.distribution} cannot be used: {one.problem}"
        return
    name, number = one.plugin.name, one.plugin.transport_type
    if one.missing:
        extra = f": pip install '{one.distribution}[{one.plugin.extra}]'" if one.plugin.extra else ""
        yield f"{name} needs {', '.join(one.missing)}, not installed{extra}"
    if one.hidden_by is not None:
        yield f"{name} of {one.distribution} is not used: {one.hidden_by.distribution} has one of the same name"
    elif (other := one.number_is_of) is not None and other.plugin is not None:
        yield (
            f"{name} of {one.distribution} has the number {number}, which in a route means {other.plugin.name} of "
            f"{other.distribution}"
        )


def _fields(one: InstalledPlugin) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": one.entry_point, "distribution": one.distribution, "version": one.version}
    if one.plugin is None:
        return fields | {"problem": one.problem}
    plugin = one.plugin
    fields |= {
        "name": plugin.name,
        "kind": plugin.kind,
        "transport_type": plugin.transport_type,
        "form": plugin.form,
        "address_form": plugin.address_form,
        "summary": plugin.summary,
        "missing": list(one.missing),
    }
    for key, other in (("hidden_by", one.hidden_by), ("number_is_of", one.number_is_of)):
        fields[key] = None if other is None else other.distribution
    return fields
