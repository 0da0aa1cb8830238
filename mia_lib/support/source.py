"""Which code decides a result: the module that makes it and everything of ours that this imports, found in the sources.

What is hashed are syntax trees without comments and docstrings, so that prose decides nothing. Imports are followed wherever
they stand, also inside functions, and through the names that a package shows in its `__init__`; those for type checkers only
are not. Of installed packages that are imported on the way the versions count. Sources are those with which the process
started: a file that is edited while results are computed does not lend its name to what the code before made.
"""

import ast
import hashlib
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.util import find_spec, resolve_name
from pathlib import Path

from mia_lib.support.typed import TYPED, typed_code

PACKAGE = "mia_lib"
ROOT = Path(__file__).resolve().parent.parent
KEEPING = ("cache", "console", "errors", "files", "leftovers", "progress", "shared", "source", "typed")
ELSEWHERE = ("executor", "executors", "workers", "cluster", "shipping")
NEUTRAL = {f"{PACKAGE}.support.{name}" for name in (*KEEPING, *ELSEWHERE)}
"""Modules of ours that never decide a number: they keep, show and refuse, or have others carry out the same."""
DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where a package is not called as it is imported
INSTALLED = {"site-packages", "dist-packages"}
SOURCES = {path: path.read_bytes() for path in sorted(ROOT.rglob("*.py"))}


def _path(module: str) -> Path | None:
    """Where the source of a module lies: ours by their name, others (plugins of tests, of users) as Python finds them."""
    if module == PACKAGE or module.startswith(f"{PACKAGE}."):
        stem = ROOT.joinpath(*module.split(".")[1:])
        return next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p in SOURCES), None)
    file = getattr(sys.modules.get(module), "__file__", None)
    if module not in sys.modules and module.isidentifier():  # of one within a package the package would be imported
        file = getattr(find_spec(module), "origin", None)
    return Path(file) if file and file.endswith(".py") else None


def _has_own_code(module: str) -> bool:
    """Whether a module's source counts, not a version: ours, and what is neither installed nor of the standard library."""
    top = module.split(".")[0]
    if top == PACKAGE or top in sys.stdlib_module_names:
        return top == PACKAGE
    path = _path(module)
    return path is not None and not INSTALLED & set(path.parts)


class _Bare(ast.NodeTransformer):
    """Takes away what decides nothing: docstrings, and what only a type checker runs."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        test = getattr(node.test, "attr", getattr(node.test, "id", ""))
        return node.orelse if test == "TYPE_CHECKING" else node


@cache
def _tree(module: str) -> ast.Module:
    """The bare syntax tree of a module; an empty one if its source is not known."""
    path = _path(module)
    return _Bare().visit(ast.parse(b"" if path is None else SOURCES.get(path) or path.read_bytes()))


def _is_package(module: str) -> bool:
    path = _path(module)
    return path is not None and path.name == "__init__.py"


def _source_of(node: ast.ImportFrom, module: str) -> str:
    """The module that `from ... import` names, spelt out where it is relative to `module`."""
    if not node.level:
        return node.module or ""
    return resolve_name(
        "." * node.level + (node.module or ""), module if _is_package(module) else module.rpartition(".")[0]
    )


def _resolved(module: str, name: str) -> str:
    """The module that `from module import name` takes the name from."""
    if _path(f"{module}.{name}"):
        return f"{module}.{name}"
    for node in _tree(module).body if _is_package(module) else ():
        if isinstance(node, ast.ImportFrom):
            shown = next((alias.name for alias in node.names if (alias.asname or alias.name) == name), None)
            if shown is not None and _has_own_code(_source_of(node, module)):
                return _resolved(_source_of(node, module), shown)
    return module


@cache
def _imports(module: str) -> tuple[str, ...]:
    """What a module imports, by dotted name: where a name is taken from, for code that counts, else the package."""
    return tuple(dict.fromkeys(_imported(module)))


@cache
def _text(module: str) -> bytes:
    """What of a module's source counts."""
    return hashlib.sha256(ast.dump(_tree(module)).encode()).digest()


def _imported(module: str) -> Iterator[str]:
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom):
            source = _source_of(node, module)
            yield from (_resolved(source, alias.name) for alias in node.names) if _has_own_code(source) else [source]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@lru_cache(maxsize=1024)
def closure(starts: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """What the modules `starts` need: modules whose code counts, themselves among them, and packages whose versions do."""
    ours: set[str] = set()
    others: set[str] = set()
    waiting = list(starts)
    while waiting:
        module = waiting.pop()
        if not _has_own_code(module):
            others.add(module.split(".")[0])
        elif module not in ours and module not in NEUTRAL:
            ours.add(module)
            waiting += _imports(module)
    return frozenset(ours), frozenset(others - sys.stdlib_module_names)


@cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        return ""


@lru_cache(maxsize=1024)
def _digest(starts: frozenset[str]) -> str:
    ours, others = closure(starts)
    state = hashlib.sha256()
    for module in sorted(ours):
        state.update(f"{module}\0".encode() + _text(module))
    for package in sorted(others):
        state.update(f"{package} {_version(package)}\0".encode())
    return state.hexdigest()[:16]


def code_digest(makers: Iterable[object]) -> str:
    """Hex digest of all code that decides what these classes and functions do.

    What was typed into a notebook has no module of its own: its text counts, with that of what it names there.
    """
    modules: set[str] = set()
    texts: set[str] = set()
    for maker in makers:
        maker = getattr(maker, "func", maker)  # a partial's
        if maker.__module__ in TYPED:
            text, named = typed_code(maker)
            texts |= text
            modules |= named
        else:
            modules.add(maker.__module__)
    digest = _digest(frozenset(modules))
    return f"{digest}-{hashlib.sha256(repr(sorted(texts)).encode()).hexdigest()[:16]}" if texts else digest


def whole_digest() -> str:
    """Hex digest of all code of ours."""
    return _digest(frozenset(".".join([PACKAGE, *p.relative_to(ROOT).with_suffix("").parts]) for p in SOURCES))


def packages_digest(packages: Iterable[str]) -> str:
    """Hex digest of the code of some packages of ours, whatever versions of other people's are installed."""
    shown = sorted(path for path in SOURCES if path.relative_to(ROOT).parts[0] in set(packages))
    texts = [_text(".".join([PACKAGE, *path.relative_to(ROOT).with_suffix("").parts])) for path in shown]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]
