"""A worker that dies says why."""

import errno
import os
import resource
import signal
import subprocess
import sys

import pytest

from mia_lib.support import death, parallel
from mia_lib.support.errors import MiaError
from mia_lib.support.parallel import ordered_map

SCRIPT = """
from mia_lib.support.parallel import ordered_map
{guard}print(list(ordered_map(abs, [-1, 2], {workers})))
"""


def die(number):
    if number < 0:
        os._exit(3)
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (signal.SIGSEGV, r"SIGSEGV \(Segmentation fault\)$"),
        (signal.SIGTERM, "SIGTERM"),
        (-1, "by itself, with status 3$"),
    ],
    ids=["segfault", "sigterm", "exit"],
)
def test_a_worker_that_dies_is_named_by_signal_or_status(number, says):
    with pytest.raises(MiaError, match=f"a worker process ended unexpectedly: .*{says}"):
        list(ordered_map(die, [number], 2))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [(3, 4, "out of memory"), (3, 3, "not for want of memory"), (None, None, r"is there enough memory\?")],
)
def test_the_kernels_own_word_decides_whether_it_was_memory(monkeypatch, before, after, says):
    monkeypatch.setattr(parallel, "killed_for_memory", lambda: before)
    monkeypatch.setattr(death, "killed_for_memory", lambda: after)
    with pytest.raises(MiaError, match=f"SIGKILL.*{says}"):
        list(ordered_map(die, [signal.SIGKILL], 2))


def python(tmp_path, code, stdin=None, **options):
    (tmp_path / "script.py").write_text(code, encoding="utf-8")
    command = [sys.executable, *([] if stdin else [str(tmp_path / "script.py")])]
    return subprocess.run(command, input=stdin, capture_output=True, encoding="utf-8", timeout=120, **options)


def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    done = python(tmp_path, SCRIPT.format(guard="", workers=2) + "print(str.__name__)\n")
    last = done.stderr.splitlines()[-1]
    assert 'script.py starts anew in it: put what it does under `if __name__ == "__main__":`' in last
    assert "memory" not in last
    assert python(tmp_path, SCRIPT.format(guard="if __name__ == '__main__': ", workers=2)).stdout == "[1, 2]\n"


def test_a_script_without_a_main_guard_does_not_wait_for_itself(tmp_path):
    """Decoding holds the lock of its stage, which the same script in a worker process would wait for, for ever."""
    code = f"""
from mia_lib.studies.dataset import Dataset
from mia_lib.support import parallel
parallel.cores = lambda: 2
print(len(Dataset("demo:8x4", "smoke", outputs={str(tmp_path)!r}).manifest))
"""
    last = python(tmp_path, code).stderr.splitlines()[-1]
    assert 'script.py starts anew in it: put what it does under `if __name__ == "__main__":`' in last


def test_work_from_standard_input_is_done_in_this_process(tmp_path):
    assert python(tmp_path, "", stdin=SCRIPT.format(guard="", workers=2)).stdout == "[1, 2]\n"


@pytest.mark.parametrize("files", [8, 16])
def test_too_few_file_descriptors_are_named_and_the_end_comes(tmp_path, files):
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))\n    "
    done = python(tmp_path, SCRIPT.format(guard=f"if __name__ == '__main__':\n    {limit}", workers=8))
    assert "ulimit -n" in done.stderr.splitlines()[-1] and "memory" not in done.stderr.splitlines()[-1]


def test_a_start_up_file_that_ends_python_is_named(monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('no thank you')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(death, "_few_files", lambda: None)
    words = death.cause(1, started=False, killed_before=None)
    assert "start-up file" in words and "no thank you" in words


def test_memory_is_asked_for_when_nothing_else_fits(monkeypatch):
    monkeypatch.setattr(death, "_few_files", lambda: None)
    assert death.cause(1, started=False, killed_before=None).endswith("is there enough memory?")
    assert "memory" not in death.cause(1, started=False, killed_before=None, said="x\nImportError: no torch\n")


def test_what_the_system_refuses_comes_with_what_helps():
    assert death.remedy(OSError(errno.EMFILE, "Too many open files")).endswith("(`ulimit -n`)")
    assert death.remedy(OSError(errno.EACCES, "Permission denied")) == "Permission denied"


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_NOFILE"), reason="no such limit here")
def test_many_open_files_are_not_called_few(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert death._few_files() is None
