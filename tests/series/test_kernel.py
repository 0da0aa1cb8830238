"""A kernel that dies is a failure like any other, and says why."""

import socket
import sys

import pytest
from jupyter_client.connect import LocalPortCache

from mia_lib.series import kernel
from mia_lib.support import death
from mia_lib.support.errors import MiaError


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("os._exit(9)", "the kernel died: it ended by itself, with status 9"),
        ("import signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV (Segmentation fault)"),
    ],
)
def test_a_dead_kernel_is_a_failure_that_says_why(series, code, says):
    series.add("01_dies", code)
    with pytest.raises(MiaError, match="01_dies"):
        series.run()
    assert says in series.said and "memory" not in series.said


def test_memory_is_named_where_the_kernel_ran_out_of_it(series, monkeypatch):
    counts = iter([0, 1])
    monkeypatch.setattr(kernel, "killed_for_memory", lambda: next(counts))
    monkeypatch.setattr(death, "killed_for_memory", lambda: next(counts))
    series.add("01_dies", "import signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(MiaError):
        series.run()
    assert "SIGKILL (Killed), by the kernel, out of memory" in series.said


def test_a_kernel_that_does_not_start_is_told_in_its_own_last_words(series, monkeypatch, tmp_path):
    (tmp_path / "ipykernel_launcher.py").write_text("raise SystemExit('the start-up file says no')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    series.add("01_first")
    with pytest.raises(MiaError):
        series.run()
    assert "the kernel died: it could not start: the start-up file says no" in series.said
    assert not list(series.outputs.rglob(".*.running.*"))


def test_a_full_disk_is_named_with_the_path(series, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kernel.papermill, "execute_notebook", full)
    series.add("01_first")
    with pytest.raises(MiaError, match=r"01_first cannot be run to .*ipynb: No space left"):
        series.run()


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no files there")
def test_a_kernel_needs_no_port_that_another_process_may_have_taken_meanwhile(series, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(LocalPortCache, "find_available_port", lambda *_: taken.getsockname()[1])
        series.add("01_first")
        series.run()
    assert series.executed() == ["01_first"]


@pytest.mark.parametrize("place", ["a path too long for a socket", "a folder that is full"])
def test_kernels_run_where_there_can_be_no_sockets_in_files(series, monkeypatch, tmp_path, place):
    if "full" in place:
        monkeypatch.setattr(kernel, "_can_hold_sockets", lambda name: False)
    else:
        folder = tmp_path / ("x" * 60) / ("y" * 60)
        folder.mkdir(parents=True)
        monkeypatch.setattr(kernel.tempfile, "tempdir", str(folder))
    series.add("01_first")
    series.run()
    assert series.executed() == ["01_first"]


def test_nothing_is_left_of_a_socket_that_is_tried(tmp_path):
    assert kernel._can_hold_sockets(str(tmp_path / "a")) != (sys.platform == "win32") and not list(tmp_path.iterdir())
    assert not kernel._can_hold_sockets(str(tmp_path / ("a" * 200))) and not list(tmp_path.iterdir())
