"""The API pages, written at every build from the packages as they are, so that no module can be forgotten.

There is one page for each package below ``ockam_ref``, one for its plain modules, and one for ``ockam_transports``.
"""

import builtins
import pkgutil
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, ParamSpec, TypeVar

from docutils import nodes
from readable_types import aliases, make_readable
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

ROOTS: Final = ("ockam_ref", "ockam_transports")
FOLDER: Final = Path("docs/_build/api")

# Importing it runs the program.
NOT_IMPORTED: Final = "__main__"

# What docstrings and annotations name beyond our own packages; nothing is fetched to link to it.
FOREIGN: Final = frozenset({"bleak", "bumble", "click", "construct", "cryptography", "uvloop"})

# These stand on the page of machines, as tables and pictures.
_TABLES: Final = "TRANSITIONS"

# A character of nobody's, see ``hide_colon``.
_COLON: Final = "\ue000"


def module_names() -> list[str]:
    """Return the dotted names of all public modules, sorted."""
    names: list[str] = []
    for root in ROOTS:
        package = import_module(root)
        names.append(root)
        names += [module.name for module in pkgutil.walk_packages(package.__path__, f"{root}.")]
    return sorted(name for name in names if not any(part.startswith("_") for part in name.split(".")))


def pages() -> dict[str, list[str]]:
    """Return the modules of each page, by the name of the page."""
    found: dict[str, list[str]] = {}
    for name in module_names():
        root, *rest = name.split(".")
        area = rest[0] if root == "ockam_ref" and rest and _is_package(f"ockam_ref.{rest[0]}") else ""
        found.setdefault(f"{root}.{area}" if area else root, []).append(name)
    return found


def page_text(page: str, modules: list[str]) -> str:
    """Return the source of one page."""
    lines = [page, "=" * len(page), ""]
    for name in modules:
        if name != page:
            lines += [name, "-" * len(name), ""]
        lines += [f".. automodule:: {name}"]
        if _is_package(name):
            lines += ["", *_exports(import_module(name))]
        else:
            lines += ["   :members:", "   :undoc-members:", "   :ignore-module-all:", ""]
            lines += _aliases(import_module(name))
    return "\n".join(lines)


def _is_package(name: str) -> bool:
    return hasattr(import_module(name), "__path__")


def _exports(package: ModuleType) -> list[str]:
    """Return a list of the names that a package offers, each a link to where it is made."""
    names: list[str] = sorted(getattr(package, "__all__", ()))
    if not names:
        return []
    made = {name: getattr(getattr(package, name), "__module__", "") or "" for name in names}
    links = [f"* :py:obj:`~{made[name]}.{name}`" if made[name].startswith(ROOTS) else f"* ``{name}``" for name in names]
    return ["It offers:", "", *links, ""]


def _aliases(module: ModuleType) -> list[str]:
    """Describe the type aliases of a module, which autodoc does not see."""
    lines = []
    for alias in aliases(module):
        lines += [f".. py:type:: {alias.name}", f"   :canonical: {alias.definition}", ""]
        lines += [f"   {line}".rstrip() for line in alias.docstring.splitlines()] + [""]
    return lines


def write_pages(app: Sphinx, _: Config) -> None:
    """Write the pages, touching only those that change, and remove those that are no more."""
    make_readable(module_names())
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    texts = {folder / f"{page}.rst": page_text(page, modules) for page, modules in pages().items()}
    for path in set(folder.glob("*.rst")) - texts.keys():
        path.unlink()
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def hide_colon(_: Sphinx, what: str, __: str, ___: object, ____: object, lines: list[str]) -> None:
    """Keep napoleon from reading ``Bytes, of all of them: ...`` below a constant as its type."""
    if lines and what in {"attribute", "data", "property"}:
        lines[0] = lines[0].replace(":", _COLON)


def show_colon(_: Sphinx, __: str, ___: str, ____: object, _____: object, lines: list[str]) -> None:
    """Undo ``hide_colon`` when napoleon is done."""
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def skip_member(_: Sphinx, what: str, name: str, obj: object, skip: bool, __: object) -> bool | None:  # noqa: FBT001
    """Leave out transitions, fields of named tuples (their signature shows them) and aliases (``_aliases`` does)."""
    is_field = type(obj).__name__ == "_tuplegetter"
    is_class = isinstance(obj, type) and obj.__module__.startswith(ROOTS)
    is_alias = what == "module" and name in _alias_names() and not is_class
    return True if skip or is_field or is_alias or name.endswith(_TABLES) else None


@cache
def _alias_names() -> frozenset[str]:
    return frozenset(alias.name for name in module_names() for alias in aliases(import_module(name)))


def resolve_foreign(_: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, text: nodes.Element) -> Any:
    """Link short names of ours to the one thing they can mean; show names of others as text; fail for the rest."""
    if node.get("refdomain") != "py":
        return None
    target: str = node["reftarget"]
    objects = env.domains.python_domain.objects
    matches = [name for name in objects if f".{name}".endswith(f".{target}")]
    if len(matches) == 1:
        entry = objects[matches[0]]
        uri = env.app.builder.get_relative_uri(node["refdoc"], entry.docname)
        return nodes.reference("", "", text, internal=True, refuri=f"{uri}#{entry.node_id}", reftitle=matches[0])
    top = target.split(".", maxsplit=1)[0]
    known = top in sys.stdlib_module_names or top in FOREIGN or hasattr(builtins, target) or _is_variable(target)
    return text if known else None


def _is_variable(target: str) -> bool:
    """Whether a name means a type variable of ours, which has no entry."""
    module, _, name = target.rpartition(".")
    places = [module] if module else module_names()
    return any(isinstance(getattr(sys.modules.get(place), name, None), TypeVar | ParamSpec) for place in places)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with sphinx."""
    app.connect("config-inited", write_pages)
    app.connect("autodoc-process-docstring", hide_colon, priority=100)
    app.connect("autodoc-process-docstring", show_colon, priority=900)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("missing-reference", resolve_foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
