"""The wheel holds two packages and nothing else, and works with the dependencies that it declares and no others."""

import re
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.packaging.conftest import CHECKOUT, declared, make_environment, run

PACKAGES: Final = {
    "ockam_ref": CHECKOUT / "ockam_ref",
    "ockam_transports": CHECKOUT / "transports" / "ockam_transports",
}


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of a fresh virtual environment with the wheel and what it declares."""
    return make_environment(tmp_path_factory.mktemp("environment"), wheel)


def test_top_level_names(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_every_source_file_is_in_it(wheel: Path) -> None:
    expected = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {"ockam_ref/py.typed", "ockam_transports/py.typed"} <= expected
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == expected


def test_the_licence_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert [name for name in archive.namelist() if name.endswith("/licenses/LICENSE")]


def test_heavy_dependencies_are_extras(wheel: Path) -> None:
    assert {requirement.name for requirement in declared(wheel)} == {
        "click",
        "construct",
        "cryptography",
        "platformdirs",
        "pyyaml",
    }


@pytest.mark.parametrize("command", [("ockam-ref",), ("python", "-m", "ockam_ref")])
def test_the_command_works(environment: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    program, *arguments = command
    text = run(environment / program, *arguments, "--help", cwd=tmp_path)
    assert text.startswith("Usage: ockam-ref")
    assert {"hub", "outlet", "inlet", "send", "transports", "demo"} <= set(text.split())


@pytest.mark.parametrize("command", ["hub", "outlet", "inlet", "send", "transports", "demo"])
def test_every_subcommand_finds_what_it_imports(environment: Path, tmp_path: Path, command: str) -> None:
    assert "Usage:" in run(environment / "ockam-ref", command, "--help", cwd=tmp_path)


def test_the_version_is_that_of_the_wheel(environment: Path, wheel: Path, tmp_path: Path) -> None:
    version = wheel.name.split("-")[1]
    assert run(environment / "ockam-ref", "--version", cwd=tmp_path).split()[-1] == version


def test_the_examples_of_the_readme_run(environment: Path, tmp_path: Path) -> None:
    examples = re.findall(
        r"^```python\n(.*?)^```", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert examples
    for example in examples:
        assert run(environment / "python", "-I", "-c", example, cwd=tmp_path) == "Hello Ockam!\n"


@pytest.mark.parametrize("module", ["ockam_ref.node", "ockam_ref.asyncio", "ockam_ref.testing", "ockam_transports.tcp"])
def test_module_comes_from_the_wheel(environment: Path, tmp_path: Path, module: str) -> None:
    program = f"import {module} as it; print(it.__file__)"
    where = run(environment / "python", "-I", "-c", program, cwd=tmp_path).strip()
    assert Path(where).is_relative_to(environment.parent)
