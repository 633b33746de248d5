"""The public surface changes only on purpose: it is compared with a list, ``public_names.txt``.

``pytest tests/unit/test_exports.py --regenerate`` writes the list; the change to it belongs into the same commit.
"""

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

import ockam_ref
import ockam_transports

RECORD: Final = Path(__file__).with_name("public_names.txt")


def public_names() -> list[tuple[str, str]]:
    """Return (package, name) for the names in the ``__all__`` of a package: these are what users are promised."""
    packages = [ockam_ref.__name__, ockam_transports.__name__]
    for root in (ockam_ref, ockam_transports):
        found = pkgutil.walk_packages(root.__path__, f"{root.__name__}.")
        packages += [module.name for module in found if module.ispkg]
    return sorted((package, name) for package in packages for name in getattr(import_module(package), "__all__", ()))


def test_public_names_are_the_recorded_ones(regenerate: bool) -> None:  # noqa: FBT001  # a fixture
    names = "".join(f"{package}:{name}\n" for package, name in public_names())
    if regenerate:
        RECORD.write_text(names, encoding="utf-8")
    assert names == RECORD.read_text(encoding="utf-8"), "if this is meant, run this test with --regenerate"


def test_there_is_a_surface() -> None:
    assert {"ockam_ref", "ockam_ref.asyncio"} <= {package for package, _ in public_names()}


def test_each_name_is_there_once() -> None:
    assert len(public_names()) == len(set(public_names()))


@pytest.mark.parametrize(("package", "name"), public_names())
def test_public_name_exists_and_is_documented(package: str, name: str) -> None:
    value = getattr(import_module(package), name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


@pytest.mark.parametrize("name", ["ockam_ref", "ockam_ref.asyncio"])
def test_the_late_names_are_listed_and_nothing_else_is_found(name: str) -> None:
    package = import_module(name)
    assert dir(package) == sorted(package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = package.Nothing
