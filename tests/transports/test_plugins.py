"""Plug-ins of strangers: found, listed, and harmless when they are broken or say what another says."""

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.errors import OckamError
from ockam_transports import plugins, tcp

GOOD = """
from ockam_transports.base import LinkKind, TransportPlugin
PLUGIN = TransportPlugin(
    name={name!r}, transport_type={number!r}, kind={kind}, form={form!r}, address_form="x", summary="y", create=print,
    needs=("json", "no_such_package", "no_such.thing"), extra="more",
)
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution with one plug-in where Python looks."""

    def install_it(distribution: str, source: str, entry_point: str = "x = {}:PLUGIN") -> None:
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
        metadata = tmp_path / f"{module}-1.5.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
        text = f"[ockam_ref.transports]\n{entry_point.format(module)}\n"
        (metadata / "entry_points.txt").write_text(text)
        plugins.installed_plugins.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    yield install_it
    plugins.installed_plugins.cache_clear()
    for name in [name for name in sys.modules if name.startswith("stranger")]:
        del sys.modules[name]


def plugin(**changes: Any) -> str:
    fields = {"name": "carrier-pigeon", "number": 77, "kind": "LinkKind.PACKET", "form": "packet"}
    return GOOD.format(**{**fields, **changes})


def of(distribution: str) -> plugins.InstalledPlugin:
    return next(one for one in plugins.installed_plugins() if one.distribution == distribution)


@pytest.mark.spec("TRN-1")
def test_a_plugin_is_found_by_name_and_by_number(install: Install) -> None:
    install("stranger", plugin())
    found = plugins.find_plugin("carrier-pigeon")
    assert found is plugins.find_plugin_of_type(77)
    assert of("stranger")[:3] == ("x", "stranger", "1.5")
    assert of("stranger").problem is None
    assert of("stranger").missing == ("no_such_package", "no_such.thing")
    assert of("stranger").hidden_by is None
    assert of("stranger").number_is_of is None


@pytest.mark.spec("TRN-4")
def test_what_is_not_installed_is_said_with_what_is() -> None:
    with pytest.raises(OckamError, match=r"no transport 'carrier-pigeon' is installed; there are: .*memory.*tcp"):
        plugins.find_plugin("carrier-pigeon")
    assert plugins.find_plugin_of_type(77) is None


@pytest.mark.spec("TRN-4")
@pytest.mark.parametrize(
    ("source", "entry_point", "problem"),
    [
        ("1 / 0", "x = {}:PLUGIN", "ZeroDivisionError"),
        ("import no_such_package", "x = {}:PLUGIN", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "x = {}:PLUGIN", "SystemExit"),
        ("this is no Python", "x = {}:PLUGIN", "SyntaxError"),
        ("", "x = {}:PLUGIN", "AttributeError"),
        ("", "x = {}.sub:PLUGIN", "ModuleNotFoundError"),
        ("PLUGIN = 'tcp'", "x = {}:PLUGIN", "stranger:PLUGIN is no TransportPlugin"),
        (plugin(name="Two Words"), "x = {}:PLUGIN", "has the name 'Two Words'"),
        (plugin(name=7), "x = {}:PLUGIN", "has the name 7"),
        (plugin(number=0), "x = {}:PLUGIN", "has the number 0"),
        (plugin(number=256), "x = {}:PLUGIN", "has the number 256"),
        (plugin(number="77"), "x = {}:PLUGIN", "has the number '77'"),
        (plugin(kind="'pigeon'"), "x = {}:PLUGIN", "has the kind 'pigeon'"),
        (plugin(form="feather"), "x = {}:PLUGIN", "has the form 'feather': it is one of framed"),
    ],
)
def test_a_broken_plugin_is_listed_with_the_reason(
    install: Install, source: str, entry_point: str, problem: str
) -> None:
    install("stranger", source, entry_point)
    assert of("stranger").plugin is None
    assert problem in str(of("stranger").problem)
    assert of("stranger").missing == ()
    assert of("stranger").hidden_by is None
    assert of("ockam-ref").problem is None
    with pytest.raises(OckamError, match="the transport 'x' cannot be loaded"):
        plugins.find_plugin("x")


@pytest.mark.spec("TRN-5")
def test_nobody_takes_the_place_of_ours(install: Install) -> None:
    install("a-stranger", plugin(name="tcp", number=1))
    assert plugins.find_plugin("tcp") is plugins.find_plugin_of_type(1) is tcp.PLUGIN
    hiding = of("a-stranger").hidden_by
    assert hiding is not None
    assert (hiding.distribution, hiding.version) == ("ockam-ref", version("ockam-ref"))


@pytest.mark.spec("TRN-5")
def test_of_two_strangers_the_first_counts(install: Install) -> None:
    install("stranger-b", plugin(name="pigeon", number=78))
    install("stranger-a", plugin(number=77))
    install("stranger-c", plugin(name="pigeon", number=77))
    assert [one.distribution for one in plugins.installed_plugins()][-3:] == ["stranger-a", "stranger-b", "stranger-c"]
    assert plugins.find_plugin("pigeon").transport_type == 78
    assert plugins.find_plugin_of_type(77) is plugins.find_plugin("carrier-pigeon")
    last = of("stranger-c")
    assert (last.hidden_by, last.number_is_of) == (of("stranger-b"), of("stranger-a"))
