"""The matrix of the specification: each requirement, and the tests and vectors that carry it.

It also makes each requirement a place to link to: ``:ref:`WIRE-1```.
"""

from itertools import groupby
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tests.spec_index import Carrier, Requirement, read_carriers, read_requirements


def label(app: Sphinx, doctree: nodes.document) -> None:
    """Give each requirement of the page an anchor and a label."""
    docname = app.env.current_document.docname
    if not docname.startswith("spec/"):
        return
    standard = app.env.domains.standard_domain
    known = {requirement.id for requirement in read_requirements(Path(app.srcdir))}
    for strong in doctree.findall(nodes.strong):
        name = strong.astext()
        if name in known:
            anchor = name.lower()
            strong["ids"].append(anchor)
            standard.labels[anchor] = docname, anchor, name
            standard.anonlabels[anchor] = docname, anchor


class SpecMatrix(SphinxDirective):
    """Draws one table for each page of the specification."""

    def run(self) -> list[nodes.Node]:
        """Read the requirements and the tests anew at every build."""
        self.env.note_reread()
        root = Path(self.env.app.srcdir)
        carriers = read_carriers(root)
        requirements = read_requirements(root)
        drawn: list[nodes.Node] = [self._summary(requirements, carriers)]
        for page, group in groupby(requirements, lambda requirement: requirement.page):
            drawn.append(nodes.rubric("", page))
            drawn.append(self._table(list(group), carriers))
        return drawn

    def _summary(self, requirements: list[Requirement], carriers: list[Carrier]) -> nodes.Node:
        tests = {(carrier.path, carrier.name) for carrier in carriers}
        return nodes.paragraph("", f"{len(requirements)} requirements, {len(tests)} tests and files of vectors.")

    def _table(self, requirements: list[Requirement], carriers: list[Carrier]) -> nodes.Node:
        body = nodes.tbody()
        for requirement in requirements:
            carried = [carrier for carrier in carriers if carrier.requirement == requirement.id]
            body += nodes.row(
                "",
                nodes.entry("", nodes.paragraph("", "", self._link(requirement))),
                nodes.entry("", *[nodes.paragraph("", "", self._place(carrier)) for carrier in carried]),
            )
        group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (1, 6)), body, cols=2)
        return nodes.table("", group)

    def _link(self, requirement: Requirement) -> nodes.Node:
        text = nodes.inline("", requirement.id, classes=["std", "std-ref"])
        return addnodes.pending_xref(
            "",
            text,
            refdomain="std",
            reftype="ref",
            reftarget=requirement.id.lower(),
            refexplicit=False,
            refwarn=True,
            refdoc=self.env.current_document.docname,
        )

    def _place(self, carrier: Carrier) -> nodes.Node:
        place = f"{carrier.path}::{carrier.name}" if carrier.name else carrier.path
        return nodes.literal("", place.removeprefix("tests/"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with sphinx."""
    directive: type[Directive] = SpecMatrix
    app.add_directive("spec-matrix", directive)
    app.connect("doctree-read", label)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
