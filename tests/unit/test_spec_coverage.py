"""Every requirement of ``spec/`` is checked by something, and nothing claims to check one that does not exist."""

import json
from pathlib import Path

import pytest

from tests.spec_index import Carrier, Requirement, SpecError, read_carriers, read_requirements


def test_every_requirement_is_carried() -> None:
    carried = {carrier.requirement for carrier in read_carriers()}
    orphans = [f"{one.id} ({one.page}): {one.text}" for one in read_requirements() if one.id not in carried]
    assert not orphans, "no test and no vector checks:\n" + "\n".join(orphans)


def test_every_marker_names_a_requirement() -> None:
    known = {requirement.id for requirement in read_requirements()}
    unknown = {one.requirement: f"{one.path}::{one.name}" for one in read_carriers() if one.requirement not in known}
    lines = [f"{requirement}, for example in {place}" for requirement, place in unknown.items()]
    assert not lines, "not in spec/:\n" + "\n".join(lines)


def test_there_are_requirements() -> None:
    assert len(read_requirements()) > 50
    assert len(read_carriers()) > 50


def tree(root: Path, *, page: str = "", test: str = "", vectors: object = None) -> Path:
    (root / "spec").mkdir()
    (root / "spec" / "area.rst").write_text(page, encoding="utf-8")
    (root / "tests" / "vectors").mkdir(parents=True)
    (root / "tests" / "test_it.py").write_text(test, encoding="utf-8")
    (root / "tests" / "vectors" / "some.json").write_text(json.dumps(vectors), encoding="utf-8")
    return root


def test_a_requirement_may_go_on_in_the_next_line(tmp_path: Path) -> None:
    page = "Area\n====\n\n- **AREA-1** — First,\n  and more.\n- **AREA-12** — Second.\n\nProse.\n"
    assert read_requirements(tree(tmp_path, page=page)) == [
        Requirement("AREA-1", "First, and more.", "spec/area.rst"),
        Requirement("AREA-12", "Second.", "spec/area.rst"),
    ]


@pytest.mark.parametrize(
    "page",
    [
        "- **AREA-1** - a hyphen is no dash.",
        "- **area-1** — lower case.",
        "- **AREA-01** — leading zero.",
        "* **AREA-1** — another bullet.",
        "  - **AREA-1** — indented.",
        "- **AREA-1**",
        "- **AREA-1** — once.\n- **AREA-1** — twice.",
    ],
)
def test_a_malformed_requirement_is_an_error(tmp_path: Path, page: str) -> None:
    with pytest.raises(SpecError):
        read_requirements(tree(tmp_path, page=page))


def test_markers_are_found_wherever_they_stand(tmp_path: Path) -> None:
    test = """
import pytest
pytestmark = pytest.mark.spec("A-1")
@pytest.mark.spec("A-2", "A-3")
async def test_one(): ...
@pytest.mark.spec("A-4")
class TestTwo:
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.spec("A-5"))])
    def test_three(self, x): ...
"""
    vectors = {"tests": [{"spec": ["A-6", "A-7"], "input": {"spec": "not a list"}}]}
    assert read_carriers(tree(tmp_path, test=test, vectors=vectors)) == [
        Carrier("A-1", "tests/test_it.py", ""),
        Carrier("A-2", "tests/test_it.py", "test_one"),
        Carrier("A-3", "tests/test_it.py", "test_one"),
        Carrier("A-4", "tests/test_it.py", "TestTwo"),
        Carrier("A-5", "tests/test_it.py", "TestTwo::test_three"),
        Carrier("A-6", "tests/vectors/some.json", ""),
        Carrier("A-7", "tests/vectors/some.json", ""),
    ]


@pytest.mark.parametrize("arguments", ["", "NAME", "*NAMES", '"A-1", 2', 'ids="A-1"'])
def test_a_marker_without_literal_texts_is_an_error(tmp_path: Path, arguments: str) -> None:
    test = f"import pytest\n@pytest.mark.spec({arguments})\ndef test_one(): ...\n"
    with pytest.raises(SpecError, match=r"tests/test_it\.py:2"):
        read_carriers(tree(tmp_path, test=test))
