"""The tree of a recipe: places, limits, and what is no YAML."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.errors import ErrorCode
from ockam_ref.recipe.document import MAX_DEPTH, MAX_NODES, MAX_RECIPE_CHARACTERS, Items, Scalar, Table, parse_document
from ockam_ref.recipe.place import Place, RecipeError


def at(line: int, column: int) -> Place:
    return Place("r.yaml", line, column)


@pytest.mark.spec("RCP-1", "RCP-2")
def test_nodes_know_their_places() -> None:
    root = parse_document("a: 'x'\nb:\n  - 1\n  - {c: true}\n", "r.yaml")
    assert root == Table(
        (
            (Scalar("a", at(1, 1)), Scalar("x", at(1, 4), quoted=True)),
            (
                Scalar("b", at(2, 1)),
                Items(
                    (
                        Scalar("1", at(3, 5)),
                        Table(((Scalar("c", at(4, 6)), Scalar("true", at(4, 9))),), at(4, 5)),
                    ),
                    at(3, 3),
                ),
            ),
        ),
        at(1, 1),
    )


@pytest.mark.spec("RCP-2")
def test_json_is_yaml_and_nothing_is_an_empty_recipe() -> None:
    root = parse_document('{"name": "n1", "relays": ["a", "b"]}', "r.yaml")
    assert isinstance(root, Table)
    assert [key.text for key, _ in root.entries] == ["name", "relays"]
    assert parse_document("# nothing\n", "r.yaml") == Table((), at(1, 1))


@pytest.mark.spec("RCP-2")
@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("a: [1", 1, 6, "this is no YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: b: c", 1, 5, "this is no YAML: mapping values are not allowed here"),
        ("a: 1\n\tb: 2", 2, 1, "this is no YAML: found character '\\t' that cannot start any token"),
        ("a: 1\nb: \x01", 2, 4, "this character has no place in YAML"),
        ("a: 1\n---\nb: 2", 2, 1, "a second document begins here; a recipe is one"),
        ("a: 1\nb: 2\na: 3", 3, 1, "'a' stands here twice: before in line 1"),
        ("? [a]\n: b", 1, 3, "a key is a text"),
        ("a: !!str 1", 1, 4, "tags such as 'tag:yaml.org,2002:str' are not understood; leave it out"),
        ("a: !mine [1]", 1, 4, "tags such as '!mine' are not understood; leave it out"),
        ("a: *b", 1, 4, "nothing is called '&b' above this place"),
        ("a: &b [*b]", 1, 8, "nothing is called '&b' above this place"),
    ],
)
def test_what_is_refused(text: str, line: int, column: int, problem: str) -> None:
    with pytest.raises(RecipeError) as failure:
        parse_document(text, "r.yaml")
    error = failure.value
    assert (error.place, error.problem, error.code) == (at(line, column), problem, ErrorCode.BAD_RECIPE)
    assert str(error) == f"r.yaml:{line}:{column}: {problem}"


@pytest.mark.spec("RCP-2")
def test_an_alias_repeats_what_has_its_anchor() -> None:
    root = parse_document("a: &x {b: 1}\nc: *x\nd: &y 5\ne: *y", "r.yaml")
    assert isinstance(root, Table)
    (_, first), (_, again), _, (_, five) = root.entries
    assert isinstance(first, Table)
    assert again == Table(first.entries, at(2, 4))
    assert five == Scalar("5", at(4, 4))


@pytest.mark.spec("RCP-2")
def test_a_small_file_stays_small() -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    with pytest.raises(RecipeError, match=f"at most {MAX_NODES} keys and values"):
        parse_document(laughs, "r.yaml")
    tower = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))
    with pytest.raises(RecipeError, match=f"more than {MAX_DEPTH} deep"):
        parse_document(tower, "r.yaml")


@pytest.mark.spec("RCP-2")
def test_the_limits() -> None:
    parse_document("[" * MAX_DEPTH + "]" * MAX_DEPTH, "r.yaml")
    for brackets in (MAX_DEPTH + 1, 10_000):
        with pytest.raises(RecipeError, match="deep"):
            parse_document("[" * brackets + "]" * brackets, "r.yaml")
    with pytest.raises(RecipeError, match="characters"):
        parse_document("#" * (MAX_RECIPE_CHARACTERS + 1), "r.yaml")
    parse_document(f"[{'x,' * (MAX_NODES - 1)}]", "r.yaml")
    with pytest.raises(RecipeError, match="keys and values"):
        parse_document(f"[{'x,' * MAX_NODES}]", "r.yaml")


@pytest.mark.spec("RCP-2")
@given(st.text(alphabet="ab01:-[]{}&*!|>'\"#\n\t ,?$%@`\x00\ud800", max_size=40))
def test_any_text_is_a_tree_or_an_error(text: str) -> None:
    with suppress(RecipeError):
        root = parse_document(text, "r.yaml")
        assert root.place.file == "r.yaml"
