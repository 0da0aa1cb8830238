"""Kernels are split off a process that has imported what they need, and are as those that start anew."""

import contextlib
import sys

import psutil
import pytest

from mia_lib.series.notebooks import Notebook
from mia_lib.series.nursery import LATER, imported
from mia_lib.support.errors import MiaError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are split off on Linux only")
HERE = "print(os.getppid()); print(os.getsid(0) == os.getpid())"


def printed(run, name):
    import nbformat

    cells = nbformat.read(next(run.glob(f"{name}*.ipynb")), as_version=4).cells
    return "".join(
        output.text for cell in cells for output in cell.get("outputs", ()) if output.get("name") == "stdout"
    ).split()


def of(*sources):
    cells = [{"cell_type": "code", "source": source} for source in sources]
    return Notebook(1, "01_n", None, "n", (), (), 0.0, {"cells": cells})


def test_what_a_notebook_names_is_found_also_beside_what_is_no_python():
    assert imported([of("import json, xml.dom\nfrom os import path", "%magic", "print(1)")]) == [
        "json",
        "xml.dom",
        "os",
        "os.path",
    ]
    assert imported([of("def f():\n    from mia_lib.series import lab")])[2:] == list(LATER)
    assert imported([of("from . import x")]) == []


def test_kernels_have_one_origin_which_has_imported_what_either_names(series):
    look = "import sys; print('xml.dom.minidom' in sys.modules);" + HERE
    series.add("01_a", look)
    series.add("02_b", look + "\nimport xml.dom.minidom, there_is_no_such_module_anywhere" + "\nprint('never')")
    with pytest.raises(MiaError, match="02_b"):
        series.run()
    assert "No module named 'there_is_no_such_module_anywhere'" in series.said
    folder = next(series.outputs.glob("*/run.json")).parent
    first, second = printed(folder, "01_a"), printed(folder, "02_b")
    assert first == second and first[0] == "True" and first[2] == "True"


def test_one_notebook_alone_starts_anew(series):
    series.add("01_a", "import sys; print('ipykernel_launcher' in sys.orig_argv)")
    assert printed(series.run(), "01_a") == ["True"]


def test_each_kernel_has_its_own_words_and_variables_and_nothing_of_another(series):
    for name in ("01_a", "02_b"):
        series.add(
            name, "print(os.environ['MIA_PROGRESS_FILE']); print(os.environ.get('LEFT')); os.environ['LEFT'] = 'x'"
        )
    run = series.run()
    one, other = printed(run, "01_a"), printed(run, "02_b")
    assert one[0] != other[0] and one[1] == other[1] == "None"


def test_where_the_origin_is_killed_the_next_kernel_starts_anew(series, tmp_path):
    pid = tmp_path / "pid"
    note = f"pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
    series.add("01_a", f"import signal, time; {note}; os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)")
    series.add("02_b", "import sys; print('ipykernel_launcher' in sys.orig_argv)")
    with pytest.raises(MiaError, match="01_a"):
        series.run()
    assert "the kernel died: it was ended by SIGKILL" in series.said
    folder = next(series.outputs.glob("*/run.json")).parent
    assert printed(folder, "02_b") == ["True"]
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(pid.read_text())).wait(10)


def test_a_kernel_that_dies_does_not_take_its_origin_along(series):
    series.add("01_a", "os._exit(9)")
    series.add("02_b", HERE)
    series.add("03_c", HERE)
    with pytest.raises(MiaError, match="01_a"):
        series.run()
    assert "it ended by itself, with status 9" in series.said
    folder = next(series.outputs.glob("*/run.json")).parent
    assert printed(folder, "02_b") == printed(folder, "03_c")
