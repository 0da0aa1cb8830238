"""What a user's environment sets changes no figure, no number and no recorded commit."""

import subprocess
import sys
import tempfile

import matplotlib.pyplot as plt
import pytest

from mia_lib.reporting import figures
from mia_lib.series import provenance
from mia_lib.support.errors import MiaError


def git(folder, *words):
    about = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", *about, "-C", str(folder), *words], check=True, capture_output=True, encoding="utf-8"
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a project in a folder of its own; returns the project's folder."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "theirs")
    (tmp_path / "project/notebooks").mkdir(parents=True)
    monkeypatch.setattr(provenance, "NOTEBOOKS", tmp_path / "project/notebooks")
    return tmp_path / "project"


def test_a_checkout_around_ours_is_not_our_commit(checkout):
    assert provenance.commit() is None
    git(checkout, "init", "-q")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "ours")
    assert provenance.commit() == git(checkout, "rev-parse", "HEAD")


def test_gits_own_variables_name_no_commit_of_ours(checkout, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(checkout.parent / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(checkout))
    assert provenance.commit() is None


def test_a_matplotlibrc_changes_no_figure():
    with plt.rc_context():
        figures.style()
        as_it_is = dict(plt.rcParams)
        plt.rcParams.update({"text.usetex": True, "font.size": 30, "lines.linewidth": 9, "image.interpolation": "none"})
        figures.style()
        assert dict(plt.rcParams) == as_it_is


def test_start_up_files_of_a_person_do_not_reach_the_notebooks(series, monkeypatch, tmp_path):
    startup = tmp_path / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    for path in (startup / "00.py", tmp_path / "start.py"):
        path.write_text("import os; os._exit(3)", encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "start.py"))
    series.add("01_first")
    series.run()
    assert series.executed() == ["01_first"]


ODD = {
    "HOME": "/nowhere/at all",
    "XDG_CACHE_HOME": "/nowhere/cache",
    "MPLBACKEND": "qtagg",
    "MPLCONFIGDIR": "/nowhere/mpl",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONHASHSEED": "1",
    "LC_ALL": "C",
    "TZ": "Pacific/Chatham",
    "http_proxy": "http://nowhere:1",
}


def test_an_odd_environment_stops_no_notebook(series, monkeypatch):
    for name, value in ODD.items():
        monkeypatch.setenv(name, value)
    series.add("01_first", "import mia_lib.series.lab, matplotlib.pyplot as plt\nplt.figure()\nprint('é')")
    (series.notebooks / "profile.py").write_text("raise SystemExit('of the same name as a part of Python')")
    series.run()
    assert series.executed() == ["01_first"]


def test_another_copy_on_the_path_is_not_what_notebooks_use(series, monkeypatch, tmp_path):
    (tmp_path / "other/mia_lib").mkdir(parents=True)
    (tmp_path / "other/mia_lib/__init__.py").write_text("raise ImportError('another copy')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "other"))
    series.add("01_first", "import mia_lib")
    series.run()
    assert series.executed() == ["01_first"]


def test_machines_that_share_a_cache_make_a_stage_once(series, tmp_path):
    """Notebooks are other processes: they find the cache by its address, wherever they work."""
    series.add(
        "01_first",
        "from mia_lib.support.cache import Cache\n"
        "from test_notebook_stage import build\n"
        "Cache(pathlib.Path(outputs) / 'cache').stage('s', {}, build)",
    )
    made = tmp_path / "made"
    (series.notebooks / "test_notebook_stage.py").write_text(
        f"def build(folder, scratch):\n    (folder / 'a').touch()\n    open({str(made)!r}, 'a').write('once')\n"
    )
    series.run(cache=str(tmp_path / "shared"))
    series.outputs = tmp_path / "outputs of another machine"
    series.run(cache=str(tmp_path / "shared"))
    assert made.read_text() == "once" and len(list(series.outputs.glob("cache/s-*"))) == 1


def test_a_shared_cache_that_cannot_be_used_is_refused_before_anything_starts(series, tmp_path):
    series.add("01_first")
    (tmp_path / "file").touch()
    with pytest.raises(MiaError, match="cannot use the shared cache"):
        series.run(cache=str(tmp_path / "file"))
    assert series.executed() == []


def test_what_a_killed_run_left_is_gone_when_it_is_run_again(series, monkeypatch, tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    temporary, run = tmp_path / "temporary", series.outputs / "demo-standard-s0"
    for folder in (temporary / f"mia-{done.pid}-abc/ipython", run):
        folder.mkdir(parents=True)
    (run / ".01_first.running.ipynb").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    series.add("01_first")
    series.run()
    assert not list(temporary.iterdir()) and not list(run.glob(".*.running.*"))
