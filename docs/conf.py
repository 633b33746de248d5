"""Sphinx: ``make docs`` builds this folder and ``spec/`` together, with every warning an error."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "transports"), str(ROOT / "docs" / "_ext")]

project = "ockam-ref"
version = release = installed_version("ockam-ref")
author = "the authors of ockam-ref"
copyright = author  # noqa: A001  # sphinx's name

# The source folder is the root of the checkout.
root_doc = "docs/index"
include_patterns = ["docs/**", "spec/**"]
exclude_patterns = [".*", "build", "dist", "docs/_ext"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "api_pages",
    "limits_table",
    "machine_pictures",
    "shown_by",
    "spec_matrix",
]

autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
# Classes of others that signatures name; their documentation is not ours to link.
nitpick_ignore_regex = [
    ("py:class", r"(_pytest|bleak|bumble|websockets)\..*"),
    ("py:class", r"TransportSink|hci\.Address|link\.LocalLink"),  # bumble's, in signatures that we inherit
]
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"ockam-ref {release}"
html_copy_source = False
