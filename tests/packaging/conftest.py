"""The wheel, and environments to install it into, without a network.

Nothing is downloaded: what a wheel declares is linked, file by file, from the environment that runs the tests.
"""

import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

CHECKOUT: Final = Path(__file__).resolve().parent.parent.parent
PIP: Final = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")


def build(project: Path, folder: Path) -> Path:
    """Return the wheel of a project, built in a folder as pip builds it."""
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, project, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


def make_environment(folder: Path, *wheels: Path, linked: tuple[str, ...] = ()) -> Path:
    """Return the ``bin`` of a fresh virtual environment with the wheels, what the first declares, and what is named."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    run(*PIP, "--python", python, "install", "--no-deps", "--no-index", *wheels, cwd=folder)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    for dependency in closure([*declared(wheels[0]), *map(Requirement, linked)]):
        link(dependency, site_packages)
    return folder / "bin"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel."""
    return build(CHECKOUT, tmp_path_factory.mktemp("wheel"))


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def declared(wheel: Path) -> list[Requirement]:
    """Return the requirements of the wheel without its extras."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    return needed(metadata.get_all("Requires-Dist") or [])


def needed(lines: list[str]) -> list[Requirement]:
    parsed = [Requirement(line) for line in lines]
    return [one for one in parsed if one.marker is None or one.marker.evaluate({"extra": ""})]


def closure(requirements: list[Requirement]) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    while requirements:
        requirement = requirements.pop()
        if requirement.name not in found:
            found[requirement.name] = distribution(requirement.name)
            assert requirement.specifier.contains(found[requirement.name].version, prereleases=True)
            requirements += needed(found[requirement.name].requires or [])
    return list(found.values())


def link(dependency: Distribution, site_packages: Path) -> None:
    tops = {file.parts[0] for file in dependency.files or [] if file.parts[0] not in {"..", "__pycache__"}}
    for top in tops:
        (site_packages / top).symlink_to(Path(str(dependency.locate_file(top))))
