"""Variables: where their values come from, and that they are text and no more."""

from collections.abc import Mapping

import pytest

from ockam_ref.recipe.document import Items, Scalar, Table, parse_document
from ockam_ref.recipe.place import RecipeError
from ockam_ref.recipe.variables import expand_variables

NONE: Mapping[str, str] = {}


def values(text: str, environment: Mapping[str, str] = NONE, given: Mapping[str, str] = NONE) -> list[str]:
    """Expand a recipe; return its keys and values in order."""
    root = expand_variables(parse_document(text, "r"), environment, given)
    assert isinstance(root, Table)
    found: list[str] = []
    for key, value in root.entries:
        found.append(key.text)
        for one in value.items if isinstance(value, Items) else (value,):
            assert isinstance(one, Scalar)
            found.append(one.text)
    return found


@pytest.mark.spec("RCP-10")
def test_who_wins() -> None:
    text = "variables: {X: file}\na: $X"
    assert values(text) == ["a", "file"]
    assert values(text, {"X": "environment"}) == ["a", "environment"]
    assert values(text, {"X": "environment"}, {"X": "given"}) == ["a", "given"]
    assert values("a: $X\nvariables: {X: later}", NONE) == ["a", "later"]


@pytest.mark.spec("RCP-10")
@pytest.mark.parametrize(
    ("used", "becomes"),
    [
        ("$X", "1"),
        ("${X}", "1"),
        ("a${X}b$X", "a1b1"),
        ("$X/$Y", "1/two"),
        ("$$X", "$X"),
        ("$", "$"),
        ("$-", "$-"),
        ("5 $", "5 $"),
        ("${", "${"),
        ("${X", "${X"),
        ("${Z:-three}", "three"),
        ("${Z:-}", ""),
        ("${X:-three}", "1"),
    ],
)
def test_uses(used: str, becomes: str) -> None:
    environment = {"X": "1", "Y": "two"}
    assert values(f"a: '{used}'", environment) == ["a", becomes]
    assert values(f"'{used}': [b]", environment) == [becomes, "b"]


@pytest.mark.spec("RCP-12")
def test_variables_may_be_texts_numbers_or_flags_and_use_those_above() -> None:
    text = "variables: {A: text, B: 5, C: true, D: '$A-${B}', E: $HOME}\na: [$A, $B, $C, $D, $E]"
    assert values(text, {"HOME": "/home"}) == ["a", "text", "5", "true", "text-5", "/home"]
    assert values(text, {"HOME": "/home"}, {"A": "given"})[4] == "given-5"


@pytest.mark.spec("RCP-13")
def test_a_variable_adds_no_structure() -> None:
    evil = {"X": "1\nrelays: [stolen]", "Y": "[a, b]", "Z": "# gone"}
    assert values("a: $X\nb: $Y\nc: $Z", evil) == ["a", evil["X"], "b", "[a, b]", "c", "# gone"]
    assert values("a: $X", {"X": "$Y", "Y": "again"}) == ["a", "$Y"]


@pytest.mark.spec("RCP-11", "RCP-12")
@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("a: x-$X", "r:1:6", "nothing is called 'X': set it with --variable X=VALUE"),
        ("a: 'x ${X}'", "r:1:7", "nothing is called 'X'"),
        ("a: |\n  one\n  $X", "r:1:4", "nothing is called 'X'"),
        ("$X: 1", "r:1:1", "nothing is called 'X'"),
        ("variables: {Y: $X}", "r:1:16", "nothing is called 'X'"),
        ("variables: {A: $B, B: 1}", "r:1:16", "nothing is called 'B'"),
        ("variables: [X]", "r:1:12", "'variables' is a table of names and values"),
        ("variables: {X: }", "r:1:15", "the variable 'X' has no value"),
        ("variables: {X: ''}", "r:1:16", "the variable 'X' has no value"),
        ("variables: {X: [1]}", "r:1:16", "the variable 'X' is a text, a number, or true or false"),
        ("variables: {X-Y: 1}", "r:1:13", "'X-Y' is no name of a variable"),
    ],
)
def test_what_is_refused(text: str, place: str, problem: str) -> None:
    with pytest.raises(RecipeError) as failure:
        values(text)
    assert str(failure.value).startswith(f"{place}: {problem}")


def test_what_is_no_table_has_no_variables() -> None:
    root = parse_document("[a, $X]", "r")
    assert expand_variables(root, NONE, NONE) is root
