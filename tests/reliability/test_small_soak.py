"""A small part of the soak test: a series is killed at several moments, and ends with the numbers of one that was not."""

import os
import random
import subprocess
import sys

import psutil
import pytest
from series.fakes import Series

KILLS = 3
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from series.fakes import Series
Series(Path({root!r})).run()
"""
WORK = """
import time
from mia_lib.support.cache import Cache
def build(folder, scratch):
    for step in range(5):
        (scratch / "step").write_text(str(step))
        time.sleep(0.1)
    (folder / "value.txt").write_text(name)
assert (Cache(pathlib.Path(outputs) / "cache").stage(name, dict(name=name), build) / "value.txt").read_text() == name
"""


def series_of(root):
    root.mkdir()
    series = Series(root)
    for name in ("01_a", "02_b"):
        series.add(name, WORK)
    return series


def kill(process, who, moment):
    """Kill the runner, what its kernels are split off, or a kernel after a while; none of them lives on."""
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        runner = psutil.Process(process.pid)
        family = runner.children(recursive=True)
        (family or [runner])[{"nursery": 0, "kernel": -1}[who]].kill() if who != "runner" else runner.kill()
        process.wait(60)
        assert not psutil.wait_procs([runner, *family], timeout=30)[1]


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX matter")
def test_kills_at_any_moment_change_no_number_and_leave_nothing(tmp_path):
    whole, killed = series_of(tmp_path / "whole"), series_of(tmp_path / "killed")
    expected = (whole.run() / "results.csv").read_bytes()
    draw, tests = random.Random(0), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code, temporary = SCRIPT.format(tests=tests, root=str(killed.root)), tmp_path / "temporary"
    temporary.mkdir()
    for number in range(KILLS):
        command = [sys.executable, "-c", code]
        work = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(temporary)}, stderr=subprocess.DEVNULL)
        kill(work, ("runner", "nursery", "kernel")[number % 3], draw.uniform(1, 5))
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(temporary)}, timeout=120)
    folder = killed.outputs / "demo-standard-s0"
    assert done.returncode == 0 and (folder / "results.csv").read_bytes() == expected
    assert not list(temporary.iterdir()) and not list(folder.glob(".*.running.*"))
    assert not list((killed.outputs / "cache").glob("*.partial"))
