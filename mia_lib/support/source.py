"""Which code decides a result: the module that makes it and everything of ours that this imports, found in the sources.

What is hashed are syntax trees without comments and docstrings, so that prose decides nothing. Imports are followed wherever
they stand, also inside functions, and through the names that a package shows in its `__init__`; those for type checkers only
are not. Of other people's packages that are imported on the way the versions count.
"""

import ast
import hashlib
import importlib.metadata
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path

PACKAGE = "mia_lib"
ROOT = Path(__file__).resolve().parent.parent
NEUTRAL = {f"{PACKAGE}.support.{name}" for name in ("cache", "console", "errors", "files", "progress", "source")}
"""Modules of ours that never decide a number: they keep, show and refuse."""
DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where a package is not called as it is imported


def _path(module: str) -> Path | None:
    """Where the source of a module lies: ours by their name, others (plugins of tests, of users) if they are loaded."""
    if module == PACKAGE or module.startswith(f"{PACKAGE}."):
        stem = ROOT.joinpath(*module.split(".")[1:])
        return next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file) if file else None


class _Bare(ast.NodeTransformer):
    """Takes away what decides nothing: docstrings, and what only a type checker runs."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        test = getattr(node.test, "attr", getattr(node.test, "id", ""))
        return None if test == "TYPE_CHECKING" else self.generic_visit(node)


@cache
def _tree(module: str) -> ast.Module | None:
    path = _path(module)
    return None if path is None else _Bare().visit(ast.parse(path.read_bytes()))


def _is_package(module: str) -> bool:
    path = _path(module)
    return path is not None and path.name == "__init__.py"


def _resolved(module: str, name: str) -> str:
    """The module of ours that `from module import name` takes the name from."""
    if _path(f"{module}.{name}"):
        return f"{module}.{name}"
    if _is_package(module):
        for node in _tree(module).body:
            if isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    if (alias.asname or alias.name) == name and (node.module or "").startswith(PACKAGE):
                        return _resolved(node.module, alias.name)
    return module


def _imports(module: str) -> Iterator[str]:
    """What a module imports, by dotted name: of ours the modules, of others the packages."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            ours = node.module.split(".")[0] == PACKAGE
            yield from (_resolved(node.module, alias.name) for alias in node.names) if ours else [node.module]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@lru_cache(maxsize=1024)
def closure(starts: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The modules of ours, and the packages of others, that the modules `starts` need: themselves, and what they import."""
    ours, others, waiting = set(), set(), list(starts)
    while waiting:
        module = waiting.pop()
        own = module.split(".")[0] == PACKAGE or module in starts
        if not own:
            others.add(module.split(".")[0])
        elif module not in ours and module not in NEUTRAL and _tree(module) is not None:
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
        state.update(f"{module}\0{ast.dump(_tree(module))}\0".encode())
    for package in sorted(others):
        state.update(f"{package} {_version(package)}\0".encode())
    return state.hexdigest()[:16]


def code_digest(makers: Iterable[object]) -> str:
    """Hex digest of all code that decides what these classes and functions do.

    What was typed into a notebook has no module of its own: its source counts as it stands.
    """
    modules, typed = set(), []
    for maker in makers:
        maker = getattr(maker, "func", maker)  # a partial's
        modules.add(maker.__module__)
        if maker.__module__ == "__main__":
            typed.append(inspect.getsource(maker))
    return "-".join([_digest(frozenset(modules)), *(hashlib.sha256(text.encode()).hexdigest()[:16] for text in typed)])


def whole_digest() -> str:
    """Hex digest of all code of ours."""
    paths = sorted(ROOT.rglob("*.py"))
    return _digest(frozenset(".".join([PACKAGE, *p.relative_to(ROOT).with_suffix("").parts]) for p in paths))
