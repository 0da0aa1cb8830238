"""A kernel that dies is a failure like any other, and says why."""

import pytest

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
