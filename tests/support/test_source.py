"""The digest of code changes with whatever decides a result, and with nothing else."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mia_lib.support import source

PACKAGE = Path(source.__file__).resolve().parent.parent
PRINT = """
import json
from mia_lib.support.source import code_digest

def makers(*modules):  # as far as a digest goes, what a class or function is called does not matter
    return [type("Maker", (), {"__module__": f"mia_lib.{module}"}) for module in modules]

print(json.dumps(dict(
    features=code_digest(makers("features.compute", "features.spectral")),
    training=code_digest(makers("training.train", "models.paper")),
    dp_sgd=code_digest(makers("defenses.dp_sgd")),
    weight_decay=code_digest(makers("defenses.weight_decay")),
    lira=code_digest(makers("attacks.lira")),
    combined=code_digest(makers("attacks.combined")),
    rmia=code_digest(makers("attacks.rmia")),
)))
"""


def run(script: str, folder: Path) -> str:
    """What a process prints that finds its modules in `folder`."""
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the package, and the digests of its parts as they are."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / "mia_lib", ignore=shutil.ignore_patterns("__pycache__"))
    return folder, json.loads(run(PRINT, folder))


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("features/spectral.py", "f_max=8000.0", "f_max=2000.0", {"features"}),
        ("defenses/accounting.py", "", "import os\n", {"dp_sgd"}),
        ("reporting/figures.py", "", "import os\n", set()),
        ("attacks/lira.py", "SURE = 1e6", "SURE = 1e5", {"lira", "combined"}),
        ("models/paper.py", "HIDDEN, POOL = 512, 4", "HIDDEN, POOL = 256, 4", {"training"}),
        ("support/console.py", "", "import os\n", set()),
        ("attacks/lira.py", "# degrees of freedom of a prior", "# degrees of freedom of the prior", set()),
    ],
)
def test_an_edit_changes_the_digests_of_what_it_decides_and_only_those(copied, file, old, new, changed):
    folder, before = copied
    path = folder / "mia_lib" / file
    kept = path.read_text()
    assert old in kept
    try:
        path.write_text(kept.replace(old, new, 1))
        after = json.loads(run(PRINT, folder))
    finally:
        path.write_text(kept)
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_file_edited_while_the_process_runs_does_not_name_what_the_code_before_made(copied):
    folder, before = copied
    edit = "from pathlib import Path\nimport mia_lib.support.source\npath = Path('mia_lib/attacks/lira.py')\n"
    edit += "kept = path.read_text()\npath.write_text(kept.replace('SURE = 1e6', 'SURE = 1e5'))\n"
    try:
        after = json.loads(run(edit + PRINT, folder))
    finally:
        shutil.copy(PACKAGE / "attacks/lira.py", folder / "mia_lib/attacks/lira.py")
    assert after == before


class Plugins:
    """Modules of a user's own, written, imported and digested anew."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        monkeypatch.syspath_prepend(folder)

    def digest(self, name="plugin", **texts):
        for module, text in texts.items():
            path = self.folder / f"{module}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()
        for module in [m for m in sys.modules if m.split(".")[0] in {"plugin", "helper", "shown"}]:
            del sys.modules[module]
        for cached in (source._tree, source._imports, source._text, source.closure, source._digest, source._version):
            cached.cache_clear()
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        try:
            __import__(name)
        finally:
            sys.dont_write_bytecode = before
        return source.code_digest([sys.modules[name].make])


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    yield Plugins(tmp_path, monkeypatch)
    for module in [m for m in sys.modules if m.split(".")[0] in {"plugin", "helper", "shown"}]:
        del sys.modules[module]


def test_prose_decides_nothing_and_code_does(plugins):
    first = plugins.digest(plugin='"""One."""\ndef make():\n    """What."""\n    return 1  # why\n')
    assert plugins.digest(plugin='"""Two."""\n\n\n# or\ndef make():\n    return 1\n') == first
    assert plugins.digest(plugin="def make():\n    return 2\n") != first


@pytest.mark.parametrize("line", ["import helper", "def inner():\n    from helper import x", "from helper import *"])
def test_imports_are_followed_wherever_they_stand(plugins, line):
    plugin = f"{line}\ndef make(): ...\n"
    assert plugins.digest(plugin=plugin, helper="x = 1\n") != plugins.digest(helper="x = 2\n")


def test_imports_for_type_checkers_are_not_followed_but_their_alternative_is(plugins):
    other = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import helper\ndef make(): ...\n"
    assert plugins.digest(plugin=other, helper="x = 1\n") == plugins.digest(helper="x = 2\n")
    either = other.replace("    import helper\n", "    import json\nelse:\n    import helper\n")
    assert plugins.digest(plugin=either, helper="x = 1\n") != plugins.digest(helper="x = 2\n")


def test_names_are_followed_through_the_package_that_shows_them(plugins):
    package = {"shown/__init__": "from .one import x\nfrom shown.two import y\n", "shown/two": "y = 1\n"}
    plugin = "from shown import x\ndef make(): ...\n"
    first = plugins.digest(plugin=plugin, **package, **{"shown/one": "x = 1\n"})
    assert plugins.digest(**{"shown/two": "y = 2\n"}) == first
    assert plugins.digest(**{"shown/one": "x = 2\n"}) != first


def test_versions_of_installed_packages_count(plugins, monkeypatch):
    first = plugins.digest(plugin="import sklearn.svm\ndef make(): ...\n")
    monkeypatch.setattr(source.importlib.metadata, "version", lambda name: {"scikit-learn": "0.1"}[name])
    assert plugins.digest() != first


def test_what_is_looked_up_counts(plugins):
    plugins.digest(plugin="def make(): ...\n")
    from mia_lib.attacks.lira import LiRA

    make = sys.modules["plugin"].make
    assert source.code_digest([make]) != source.code_digest([make, LiRA])
    assert "mia_lib.attacks.lira" in source.closure(frozenset(["mia_lib.attacks.lira"]))[0]


def test_neutral_modules_do_not_count():
    modules, packages = source.closure(frozenset(["mia_lib.features.compute"]))
    assert not modules & source.NEUTRAL and "mia_lib.support.device" in modules
    assert {"torch", "numpy"} <= packages


CELLS = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in {cells!r}:
    shell.run_cell(cell, store_history=True).raise_error()
"""
TYPED = [
    "from mia_lib.support.source import code_digest\nfrom mia_lib.support.registry import Registry\nRATE = 1\n",
    "def helper():\n    return 1\n",
    "class Own(Registry):\n    def values(self, signals):\n        return helper() * RATE\n",
    "def unused():\n    return 1\n",
    "print(code_digest([Own]), code_digest([Own.values]))\n",
]


def typed(tmp_path, *changes):
    cells = list(TYPED)
    for number, old, new in changes:
        assert old in cells[number]
        cells[number] = cells[number].replace(old, new)
    return run(CELLS.format(cells=cells), tmp_path).split()


def test_what_was_typed_into_a_notebook_counts_by_its_text_and_by_what_it_names(tmp_path):
    first = typed(tmp_path)
    assert typed(tmp_path, (3, "1", "2")) == first
    for change in ((2, "*", "+"), (1, "1", "2"), (0, "RATE = 1", "RATE = 2")):
        assert not set(typed(tmp_path, change)) & set(first), change
    changed, same = typed(tmp_path, (2, "(Registry)", ""))
    assert changed != first[0] and same == first[1]
