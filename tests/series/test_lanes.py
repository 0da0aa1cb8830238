"""Notebooks beside each other: none starts before what it builds on, and what each leaves is as if it were alone."""

import json
import os
import signal

import pandas as pd
import pytest
from series.fakes import Series
from series.test_runner import interrupt

from mia_lib.series.lanes import lanes, ready
from mia_lib.series.notebooks import Notebook
from mia_lib.support import limits
from mia_lib.support.errors import MiaError

MEET = """import time, pathlib
mine, other = {names!r}
pathlib.Path({folder!r}, mine).touch()
end = time.time() + 30
while not pathlib.Path({folder!r}, other).exists() and time.time() < end:
    time.sleep(0.05)
assert time.time() < end, "the other never came"
print(os.environ["MIA_CORES"])"""


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """A series on a machine with two cores."""
    monkeypatch.setattr(limits, "cores", lambda: 2)
    return Series(tmp_path)


def notebook(number, needs=(), work=()):
    name = f"{number:02}_n"
    return Notebook(number, name, None, name, tuple(f"{n:02}_n" for n in needs), work, 0.0, {})


def test_two_run_at_once_and_share_the_cores(beside):
    for names in (("01_a", "02_b"), ("02_b", "01_a")):
        beside.add(names[0], MEET.format(names=names, folder=str(beside.notebooks)))
    folder = beside.run()
    assert set(beside.executed()) == {"01_a", "02_b"}
    assert {"of_01_a", "of_02_b"} <= set(pd.read_csv(folder / "results.csv")["metric"])
    outputs = json.loads((folder / "01_a.ipynb").read_text())["cells"][-1]["outputs"]
    assert "".join(outputs[0]["text"]).strip() == "1"
    assert "  01  done in" in beside.said and "  02  done in" in beside.said


def test_each_works_in_the_folder_of_the_notebooks_and_nobody_moves_the_process(beside):
    for names in (("01_a", "02_b"), ("02_b", "01_a")):
        later = f"time.sleep({int(names[0][:2]) - 1})\nprint(os.getcwd())"
        beside.add(names[0], MEET.format(names=names, folder=str(beside.notebooks)) + "\n" + later)
    before = os.getcwd()
    folder = beside.run()
    assert os.getcwd() == before
    for name in ("01_a", "02_b"):
        outputs = json.loads((folder / f"{name}.ipynb").read_text())["cells"][-1]["outputs"]
        assert "".join(text for one in outputs for text in one["text"]).split("\n")[1] == str(beside.notebooks)


def test_what_it_needs_has_ended_before_a_notebook_starts_and_a_failure_stops_it(beside):
    beside.add("01_slow", "import time; time.sleep(1); 1 / 0")
    beside.add("02_needs_it", needs=["01_slow"])
    beside.add("03_free")
    with pytest.raises(MiaError, match="failed: 01_slow; not run: 02_needs_it"):
        beside.run()
    assert set(beside.executed()) == {"01_slow", "03_free"}


def test_an_interrupt_ends_all_kernels(beside, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("MIA_CORES", "2")
    pid = beside.root / "other"
    beside.add("01_other", f"import time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    status, stderr = interrupt(beside, signal.SIGINT, wait_for=[pid] if limits.cores() > 1 else [])
    assert (status, stderr.count("\n")) == (130, 1)
    if pid.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)
    assert not list((beside.outputs / "demo-standard-s0").glob("*.ipynb"))


def test_nobody_trains_what_another_trains_just_now():
    first, same, other = notebook(0, work=("targets",)), notebook(1, work=("targets", "more")), notebook(2)
    assert ready([first, same, other], [], []) is first
    assert ready([same, other], [first], []) is other
    assert ready([same, other], [first], ["targets"]) is same
    assert ready([same], [first], []) is None


def test_needs_through_others_are_waited_for():
    a, b, c = notebook(0), notebook(1, needs=[0]), notebook(2, needs=[1])
    assert ready([b, c], [a], []) is None and ready([b, c], [], []) is b and ready([c], [b], []) is None


def test_notebooks_that_need_each_other_are_executed_in_their_order():
    a, b = notebook(0, needs=[1]), notebook(1, needs=[0])
    assert ready([a, b], [], []) is a and ready([b], [a], []) is None


@pytest.mark.parametrize(
    ("cores", "gigabytes", "executor", "count"),
    [(1, 64, "", 1), (2, 64, "", 2), (16, 64, "", 4), (16, 9, "", 2), (16, 1, "", 1), (16, 64, "workers:4", 1)],
)
def test_there_are_as_many_lanes_as_cores_and_memory_allow(monkeypatch, cores, gigabytes, executor, count):
    monkeypatch.setattr(limits, "cores", lambda: cores)
    monkeypatch.setattr(limits, "memory", lambda: gigabytes * 2**30)
    assert lanes("cpu", executor) == count
