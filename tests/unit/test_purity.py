"""The core does no I/O and has no clock, no randomness, no log: shown by its sources, and by what an import loads."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).resolve().parent.parent.parent / "ockam_ref"

ROOMS_WITH_IO: Final = (
    "asyncio/",
    "cli/",
    "lab/",
    "recipe/",
    "storage/",
    "testing/contract/",
    "__main__.py",
    "conformance/__main__.py",
)
"""The only parts of the package that may do I/O; the contract suite runs adapters, which do nothing else."""

# Everything of the standard library that reaches the world outside the process, looks at a clock, throws dice, keeps
# a log, runs beside the caller or undoes the other bans.
FORBIDDEN: Final = frozenset(
    re.findall(
        r"\S+",
        """
        asyncio atexit builtins calendar codeop concurrent ctypes datetime ftplib getpass glob http imaplib importlib io
        locale logging mmap multiprocessing os pathlib pickle platform poplib pty queue random sched secrets select
        selectors shelve shutil signal smtplib socket socketserver sqlite3 ssl subprocess syslog tempfile termios threading
        time traceback tracemalloc urllib uuid warnings webbrowser xmlrpc zoneinfo _io _random _socket _thread _time anyio
        bleak bumble click curio ockam_transports requests trio uvloop websockets
        """,
    )
)

FORBIDDEN_CALLS: Final = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"})

KEY_GENERATORS: Final = frozenset(
    {"generate", "generate_key", "generate_private_key", "generate_parameters", "urandom"}
)
"""Functions of ``cryptography`` that draw randomness themselves; the core gets its secrets as arguments."""

# The schemas are the readable oracle of tests and docs: construct reads from and writes to streams in memory.
SCHEMAS: Final = frozenset({"wire/schema.py", "wire/schema_cbor.py", "wire/schemas.py"})
IN_MEMORY: Final = frozenset({"BytesIO"})

# A test helper may have a generator that the test has seeded; the functions of the module itself share one for all.
SEEDED: Final = frozenset({"Random"})


# The package's own names load late, each from its module of the core.
LATE: Final = frozenset({"import_module"})


def core_files() -> list[str]:
    names = (path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    return sorted(name for name in names if not name.startswith(ROOMS_WITH_IO))


def imported_modules(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            # `from ockam_ref import asyncio` names the module in its second half.
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def exceptions(name: str) -> dict[str, frozenset[str]]:
    """Return the banned modules that a file may use, with the attributes that it may use of them (empty: all)."""
    if name in SCHEMAS:
        return {"construct": frozenset(), "io": IN_MEMORY}
    if name in {"__init__.py", "links/forms.py", "registry.py"}:
        return {"importlib": LATE}
    return {"random": SEEDED} if name.startswith("testing/") else {}


def faults_of_imports(name: str, tree: ast.AST) -> list[str]:
    faults = []
    for module, line in imported_modules(tree):
        top, _, rest = module.partition(".")
        room = rest.split(".")[0]
        if top in {*FORBIDDEN, "construct"} - exceptions(name).keys():
            faults.append(f"{name}:{line}: imports {top}")
        elif rest and exceptions(name).get(top) and rest not in exceptions(name)[top]:
            faults.append(f"{name}:{line}: imports {module}")
        if top == "ockam_ref" and f"{room}/" in ROOMS_WITH_IO:
            faults.append(f"{name}:{line}: imports ockam_ref.{room}")
    return faults


def faults_of_calls(name: str, tree: ast.AST) -> list[str]:
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in FORBIDDEN_CALLS and isinstance(node.ctx, ast.Load):
            faults.append(f"{name}:{node.lineno}: uses {node.id}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in KEY_GENERATORS:
            faults.append(f"{name}:{node.lineno}: calls {node.func.attr}")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            allowed = exceptions(name).get(node.value.id)
            if allowed and node.attr not in allowed:
                faults.append(f"{name}:{node.lineno}: uses {node.value.id}.{node.attr}")
    return faults


@pytest.mark.parametrize("name", core_files())
def test_core_module_is_pure(name: str) -> None:
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
    assert faults_of_imports(name, tree) + faults_of_calls(name, tree) == []


def test_the_core_is_there() -> None:
    assert {"node.py", "machine.py", "wire/cbor.py", "noise/handshake.py"} <= set(core_files())
    assert not [name for name in core_files() if name.startswith(ROOMS_WITH_IO)]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("wire/schema.py", "import io\nread = io.open"),
        ("wire/schema.py", "from io import *"),
        ("testing/memory_host.py", "import random\nrandom.seed(1)"),
        ("testing/memory_host.py", "from random import randbytes"),
    ],
)
def test_the_exceptions_are_narrow(name: str, source: str) -> None:
    tree = ast.parse(source)
    assert faults_of_imports(name, tree) + faults_of_calls(name, tree)


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "import os.path",
        "import asyncio as quiet",
        "from time import monotonic",
        "from concurrent.futures import Future",
        "def late():\n    import secrets",
        "import io",
        "from io import open",
        "from random import Random",
        "import construct",
        "from ockam_ref import asyncio",
        "from ockam_ref.cli.main import main",
        "import ockam_transports.tcp",
        "print(1)",
        "reader = open",
        "key = X25519PrivateKey.generate()",
    ],
)
def test_the_check_sees_each_fault(source: str) -> None:
    tree = ast.parse(source)
    assert faults_of_imports("node.py", tree) + faults_of_calls("node.py", tree)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("wire/schema.py", "import construct, io\nstream = io.BytesIO(b'')"),
        ("testing/memory_host.py", "import random\ngenerator = random.Random(7)\ngenerator.randbytes(2)"),
        ("node.py", "from ockam_ref.wire.address import Address\nfrom collections import deque\nnode.open()"),
    ],
)
def test_the_check_lets_the_rest_pass(name: str, source: str) -> None:
    tree = ast.parse(source)
    assert faults_of_imports(name, tree) + faults_of_calls(name, tree) == []


NEVER_LOADED: Final = (FORBIDDEN | {"construct", "ockam_ref.asyncio", "ockam_ref.cli", "ockam_ref.testing"}) - {
    # The interpreter, dataclasses and cryptography load these.
    *("_io", "_thread", "_time", "builtins", "importlib", "io", "os", "time", "warnings"),
}


@pytest.mark.parametrize("module", ["ockam_ref", "ockam_ref.node"])
def test_import_loads_nothing_that_does_io(module: str) -> None:
    # Isolated and without the site module, whose path files load modules of their own.
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}; before = set(sys.modules); import {module}; "
        "print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert module in loaded
    assert loaded.isdisjoint(NEVER_LOADED), sorted(loaded.intersection(NEVER_LOADED))
