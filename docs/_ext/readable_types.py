"""Signatures that say ``WorkerEvent`` where the source says so, not the sixteen classes behind it.

Python forgets the name of a type alias when it evaluates an annotation.  Here the long aliases are found in the
sources, documented, and put back into the annotations of everything that autodoc will look at.
"""

import ast
import inspect
import typing
from collections.abc import Callable, Hashable, Iterator
from functools import reduce
from importlib import import_module
from itertools import pairwise
from operator import or_
from pathlib import Path
from types import FunctionType, GenericAlias, ModuleType, UnionType
from typing import Any, Final, NamedTuple

# Shorter ones say more than their name does.
_LONG: Final = 60


class Alias(NamedTuple):
    """A public type alias of a module, as its source has it."""

    name: str
    definition: str
    docstring: str


def aliases(module: ModuleType) -> list[Alias]:
    """Return the public aliases of a module in the order of its source."""
    body = _tree(module).body
    found = []
    for statement, following in pairwise([*body, ast.Pass()]):
        match statement:
            case ast.AnnAssign(ast.Name(name), ast.Name("TypeAlias"), ast.expr() as value) if not name.startswith("_"):
                found.append(Alias(name, _definition(module, value), _docstring(following)))
    return found


def _definition(module: ModuleType, value: ast.expr) -> str:
    """Return the right-hand side with full names, each to be shown by its last part."""
    if isinstance(value, ast.Constant):
        value = ast.parse(str(value.value), mode="eval").body
    for node in ast.walk(value):
        if isinstance(node, ast.Name) and isinstance(meant := getattr(module, node.id, None), type):
            node.id = f"~{meant.__module__}.{meant.__qualname__}"
    return ast.unparse(value)


def _tree(module: ModuleType) -> ast.Module:
    # Not by inspect, which takes an empty module for one without source.
    return ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))


def _docstring(statement: ast.stmt) -> str:
    match statement:
        case ast.Expr(ast.Constant(str(text))):
            return inspect.cleandoc(text)
    return ""


def make_readable(names: list[str]) -> None:
    """Rewrite the annotations of everything that these modules define; this process must only make documentation."""
    modules = [import_module(name) for name in names]
    for module in modules:
        _import_for_type_checking(module)
    stand_ins = _stand_ins(modules)
    for module in modules:
        for thing in _defined_in(module):
            thing.__annotations__ = {
                name: _swap(value, stand_ins)
                for name, value in typing.get_type_hints(thing, include_extras=True).items()
            }


def _import_for_type_checking(module: ModuleType) -> None:
    """Run the imports that the module needs for its annotations alone, so that these can be evaluated."""
    for node in ast.walk(_tree(module)):
        match node:
            case ast.If(ast.Name("TYPE_CHECKING"), body):
                imports = ast.Module([one for one in body if isinstance(one, ast.Import | ast.ImportFrom)], [])
                exec(compile(imports, str(module.__file__), "exec"), vars(module))


def _stand_ins(modules: list[ModuleType]) -> dict[Any, type]:
    """Return a class that prints as the name of the alias, for each long one, by its value."""
    found: dict[Any, type] = {}
    for module in modules:
        for alias in aliases(module):
            value = getattr(module, alias.name)
            if len(repr(value)) > _LONG:
                found.setdefault(value, type(alias.name, (), {"__module__": module.__name__}))
    return found


def _defined_in(module: ModuleType) -> Iterator[Any]:
    for value in list(vars(module).values()):
        if getattr(value, "__module__", None) == module.__name__:
            if isinstance(value, FunctionType):
                yield value
            elif isinstance(value, type):
                yield from _parts_of(value)


def _parts_of(cls: type) -> Iterator[Any]:
    if "__annotations__" in vars(cls):
        yield cls
    for member in vars(cls).values():
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if isinstance(function, FunctionType) and function.__module__ == cls.__module__:
            yield function


def _swap(value: Any, stand_ins: dict[Any, type]) -> Any:
    """Replace aliases inside an annotation, the outermost first."""
    if isinstance(value, list):  # the parameters of a Callable
        return [_swap(one, stand_ins) for one in value]
    if isinstance(value, Hashable) and not isinstance(value, typing.ParamSpecArgs | typing.ParamSpecKwargs):
        value = stand_ins.get(value, value)
    parts = typing.get_args(value)
    if not parts:
        return value
    swapped = [_swap(part, stand_ins) for part in parts]
    if isinstance(value, UnionType):
        return reduce(or_, swapped)
    origin = typing.get_origin(value)
    if origin is Callable:
        return Callable[swapped[0], swapped[1]]
    if isinstance(value, GenericAlias):
        return GenericAlias(origin, tuple(swapped))
    return value.copy_with(tuple(swapped)) if hasattr(value, "copy_with") else value
