"""The role ``:shown-by:``: a test that shows a claim; one that does not exist is an error of the build."""

from collections.abc import Mapping, Sequence
from typing import Any

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx.application import Sphinx

from tests.claims import is_test


def shown_by(
    _name: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Inliner,
    _options: Mapping[str, Any] | None = None,
    _content: Sequence[str] = (),
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Show where the test is."""
    if not is_test(text):
        message = inliner.reporter.error(f"{text} is no test", line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    return [nodes.literal(rawtext, text, classes=["shown-by"])], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with sphinx."""
    app.add_role("shown-by", shown_by)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
