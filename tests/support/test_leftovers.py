"""What killed runs left behind is cleared at the next start; what lives, or is somebody else's, is not touched."""

import os
import subprocess
import sys
import tempfile

import pytest
from filelock import FileLock

from mia_lib.support import leftovers
from mia_lib.support.leftovers import DAY, LOCK, PREFIX, clear, clear_run, temporary


@pytest.fixture
def place(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def ended_process():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def folder(place, name, age=0):
    made = place / name
    (made / "mia-espeak-x").mkdir(parents=True)
    os.utime(made, (made.stat().st_mtime - age,) * 2)
    return made


def test_all_that_is_temporary_lies_in_one_folder_that_goes(place):
    with temporary() as own:
        inner = tempfile.mkdtemp()
        assert own.parent == place and os.path.dirname(inner) == str(own)
    assert list(place.iterdir()) == [] and tempfile.gettempdir() == str(place)


def test_what_a_killed_process_left_is_removed_at_the_next_start(place):
    folder(place, f"{PREFIX}{ended_process()}-abc")
    folder(place, f"{PREFIX}espeak-abc", age=2 * DAY)
    folder(place, f"{PREFIX}{os.getpid()}-given-to-another", age=2 * DAY)
    with temporary() as own:
        assert list(place.iterdir()) == [own]


def test_what_lives_or_belongs_to_others_stays(place, monkeypatch):
    folder(place, f"{PREFIX}{os.getpid()}-mine")
    folder(place, f"{PREFIX}new")
    folder(place, "mine", age=2 * DAY)
    (place / f"{PREFIX}1-link").symlink_to(place / "mine")
    held = folder(place, f"{PREFIX}{ended_process()}-held-elsewhere")
    before = {path.name for path in place.iterdir()}
    with FileLock(held / LOCK):
        clear(place)
    assert {path.name for path in place.iterdir()} == before
    monkeypatch.setattr(leftovers.os, "getuid", lambda: os.stat(place).st_uid + 1)
    clear(place)
    assert {path.name for path in place.iterdir()} == before


def test_where_nothing_can_be_made_work_goes_on_without(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with temporary() as own:
        assert own is None


def test_half_notebooks_and_half_written_files_of_a_run_are_removed(tmp_path):
    (tmp_path / "parts/01_a").mkdir(parents=True)
    kept = ["01_a.ipynb", ".lock", "parts/01_a/state.json", "parts/01_a/.hidden"]
    for name in [*kept, ".01_a.running.ipynb", ".results.csv.0123abcd", "parts/01_a/.state.json.89abcdef"]:
        (tmp_path / name).touch()
    clear_run(tmp_path)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == sorted(kept)
