"""The import contract: data flow through the packages in one direction, and no module needs itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = """support corpora fragments features models training signals attacks defenses unlearning evaluation studies
reporting auditing series course""".split()  # noqa: SIM905
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted((ROOT / "mia_lib").rglob("*.py"))
}
FOR_DEFENSES = {f"mia_lib.training.{name}" for name in ["batch", "objective", "job", "adam", "trained", "lesson"]}


def parsed(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text())


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from nodes(child)


def source(module: str, name: str) -> str:
    """The module that `from module import name` takes the name from, through what an `__init__` shows."""
    for found in (f"{module}.{name}", f"{module}.{name}.__init__", module):
        if found in MODULES:
            return found
    shown = f"{module}.__init__"
    for node in parsed(shown).body if shown in MODULES else ():
        if isinstance(node, ast.ImportFrom) and name in [alias.asname or alias.name for alias in node.names]:
            return source(node.module, name)
    return shown


def imports(name: str) -> set[str]:
    """The modules of ours that a module imports, wherever the import stands."""
    found = set()
    for node in nodes(parsed(name)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}, line {node.lineno}: imports are absolute"
            found |= {source(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(MODULES)


IMPORTS = {name: imports(name) for name in MODULES}


def room(name: str) -> int:
    """The place of a module's package; those at the root come last."""
    parts = name.split(".")
    return PACKAGES.index(parts[1]) if len(parts) > 2 else len(PACKAGES)


def package(name: str) -> str:
    return name.split(".")[1]


def test_every_package_has_its_place():
    assert {package(name) for name in MODULES if name.count(".") > 1} == set(PACKAGES)


def test_imports_go_to_the_same_or_an_earlier_package():
    assert not [f"{name} -> {other}" for name in MODULES for other in sorted(IMPORTS[name]) if room(other) > room(name)]


def test_no_module_needs_itself():
    def reach(start: str) -> set[str]:
        found, waiting = set(), [start]
        while waiting:
            new = IMPORTS[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    # an `__init__` shows names of modules that may read it: it counts by the names that others take
    assert not [name for name in MODULES if not name.endswith("__init__") and name in reach(name)]


def test_defenses_describe_training_and_do_not_carry_it_out():
    taken = {(name, other) for name in MODULES if package(name) == "defenses" for other in IMPORTS[name]}
    assert not {(name, other) for name, other in taken if package(other) == "training" and other not in FOR_DEFENSES}


def test_attacks_see_arrays_only():
    hidden = {"models", "corpora", "fragments", "features", "training"}
    attacks = [name for name in MODULES if package(name) == "attacks"]
    assert not [f"{name} -> {other}" for name in attacks for other in IMPORTS[name] if package(other) in hidden]


@pytest.mark.parametrize("name", MODULES)
def test_files_and_functions_can_be_read_at_once(name):
    lines = MODULES[name].read_text().count("\n")
    assert lines <= 300
    functions = [n for n in ast.walk(parsed(name)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not [f"{f.name}, line {f.lineno}" for f in functions if f.end_lineno - f.lineno + 1 > 60]
