"""Every claim of the threat model names tests that exist."""

from pathlib import Path

from tests.claims import PAGE, ROOT, Claim, is_test, read_claims


def test_every_claim_is_shown_by_tests_that_exist() -> None:
    claims = read_claims((ROOT / PAGE).read_text(encoding="utf-8"))
    assert len(claims) > 30
    unshown = [f"{PAGE}:{claim.line}: {claim.text}" for claim in claims if not claim.tests]
    assert not unshown
    missing = [f"{PAGE}:{claim.line}: {test}" for claim in claims for test in claim.tests if not is_test(test)]
    assert not missing


def test_a_claim_goes_on_in_the_next_lines() -> None:
    page = "Title\n=====\n\n- **One.** More\n  and more. :shown-by:`a.py::test_a`\n  :shown-by:`b.py::test_b`\n- Two.\n\n  Prose.\n"
    assert read_claims(page) == [
        Claim(
            4,
            "**One.** More\nand more. :shown-by:`a.py::test_a`\n:shown-by:`b.py::test_b`",
            ("a.py::test_a", "b.py::test_b"),
        ),
        Claim(7, "Two.", ()),
    ]


def test_what_is_a_test(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text("def test_a(): ...\n\n\ndef helper(): ...\n", encoding="utf-8")
    assert is_test("test_it.py::test_a", tmp_path)
    for name in ("test_it.py::test_b", "test_it.py::helper", "test_it.py", "test_no.py::test_a", ""):
        assert not is_test(name, tmp_path)
