"""The runner: everything is checked first, what is done stays done, and a failure harms only what depends on it."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from series.fakes import DATA, DECLARATIONS, Series

from mia_lib.evaluation.records import COLUMNS
from mia_lib.series import runner
from mia_lib.series.notebooks import find_notebooks, needed, select
from mia_lib.series.request import PARAMETERS
from mia_lib.support.console import Console
from mia_lib.support.errors import MiaError, UsageError


def test_notebooks_run_in_order_and_leave_merged_records_and_a_report(series):
    line = '{"label": "train 15 models", "state": "done", "done": 1, "total": 1, "note": "", "seconds": 12.3}'
    series.add("02_second", f"open(os.environ['MIA_PROGRESS_FILE'], 'a').write('''{line}\\n''')")
    series.add("01_first", "assert (seed, settings) == (7, {'epochs': 3}) and os.path.isabs(outputs)")
    folder = series.run(seed=7, settings={"epochs": "3"})
    assert series.executed() == ["01_first", "02_second"]
    assert folder.parent == series.outputs and folder.name.startswith("demo-standard-s7-")
    results = pd.read_csv(folder / "results.csv")
    assert list(results.columns) == COLUMNS
    assert sorted(results["metric"]) == ["of_01_first", "of_02_second", "test_accuracy"]  # the duplicate is dropped
    run = json.loads((folder / "run.json").read_text())
    assert run["parameters"]["seed"] == 7 and run["settings"]["epochs"] == 3 and run["device"] == "cpu"
    assert run["notebooks"]["02_second"]["stages"][0]["stage"] == "train"
    assert (run["core_seconds"], run["core_seconds_per_number"]) == (3.0, 1.0)
    assert {"torch", "python"} <= run["versions"].keys()
    assert "90.0" in (folder / "index.html").read_text()
    assert {path.name for path in folder.glob("*.ipynb")} == {"01_first.ipynb", "02_second.ipynb"}
    assert (
        "1,200 recordings (1 skipped), 40 speakers, 3,600 fragments" in series.said and "a.wav is empty" in series.said
    )
    assert series.said.index("[1/2] 01_first") < series.said.index("[2/2] 02_second") < series.said.index("12.3 s")


def test_records_are_renewed_after_each_notebook_and_pages_seldom_but_whole_at_the_end(series, monkeypatch):
    from mia_lib.reporting import page, site

    rows, written, made = [], runner.write_run, site.write_site
    monkeypatch.setattr(runner, "write_run", lambda *given: rows.append(given[3]) or written(*given))
    monkeypatch.setattr(site, "write_site", lambda *given: made(*given) or time.sleep(1))
    report, reports = page.write_report, []
    monkeypatch.setattr(page, "write_report", lambda *given: reports.append(len(given[1])) or report(*given))
    for name in ("01_first", "02_second", "03_third"):
        series.add(name)
    series.run()
    assert rows == [0, 2, 3, 4, 4]  # before, after each, and at the end
    assert len(reports) < len(rows) and reports[-1] == 4
    reports.clear()
    series.run()
    assert reports == [4]  # nothing was executed: there is nothing to renew at the end


def test_what_is_done_is_not_repeated_until_notebook_or_data_change(series):
    series.add("01_first")
    series.add("02_second")
    series.run()
    series.executed()
    series.run()
    assert series.executed() == [] and series.said.count("done before") == 2
    series.add("02_second", "1 + 1")
    series.run()
    assert series.executed() == ["02_second"]
    series.run(prepare=lambda run: DATA | {"data_hash": "other"})
    assert series.executed() == ["01_first", "02_second"]


def test_failure_shows_its_cell_stops_dependants_and_lets_the_others_run(series):
    series.add("01_bad", "first_line = 1\nraise ValueError('the reason')")
    series.add("02_needs_bad", needs=["01_bad"])
    series.add("03_needs_second", needs=["02_needs_bad"])
    series.add("04_free")
    with pytest.raises(
        MiaError, match=r"1 notebook.* failed: 01_bad; not run: 02_needs_bad, 03_needs_second"
    ) as caught:
        series.run()
    assert not isinstance(caught.value, UsageError)
    assert series.executed() == ["01_bad", "04_free"]
    assert "first_line = 1" in series.said and "ValueError: the reason" in series.said and "\x1b" not in series.said
    folder = series.outputs / "demo-standard-s0"
    assert {path.name for path in folder.glob("*.ipynb")} == {"01_bad.failed.ipynb", "04_free.ipynb"}
    assert "01_bad failed" in (folder / "index.html").read_text()
    series.add("01_bad")
    series.run()
    assert series.executed() == ["01_bad", "02_needs_bad", "03_needs_second"]
    assert not list(folder.glob("*.failed.ipynb"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": None, "sede": "sede: int = 0"}, "'se(ed|de)'"),
        ({"seed": "seed: str = '0'"}, "'seed' as str"),
        ({"max_bad": "max_bad = 0.05"}, "'max_bad'"),
        ({"settings": None}, "lacks the parameter 'settings'"),
    ],
)
def test_notebook_with_other_parameters_is_refused_before_anything_runs(series, change, message):
    series.add("01_first")
    declared = {name: line for name, line in (DECLARATIONS | change).items() if line}
    series.add("02_second", declarations=declared)
    with pytest.raises(MiaError, match=message):
        series.run()
    assert series.executed() == [] and not series.outputs.exists()


@pytest.mark.parametrize(
    "options",
    [
        {"profile": "huge"},
        {"corpus": "nonsense"},
        {"seed": "abc"},
        {"seed": -1},
        {"device": "tpu"},
        {"max_bad": 2.0},
        {"only": "01,9"},
        {"only": "one"},
        {"settings": {"epochz": "3"}},
        {"settings": {"epochs": "abc"}},
        {"settings": {"model": "nonsense"}},
        {"settings": {"feature": "nonsense"}},
        {"run_id": "../elsewhere"},
        {"run_id": "cache"},
        {"seed": 4_294_968},
        {"seed": 4_294_967, "settings": {"repeats": 200}},
    ],
    ids=str,
)
def test_wrong_request_is_refused_before_anything_runs(series, options):
    series.add("01_first")
    with pytest.raises(UsageError) as caught:
        series.run(prepare=lambda run: pytest.fail("the data were read"), **options)
    assert "\n" not in str(caught.value)
    assert series.executed() == [] and not series.outputs.exists()


def test_missing_cuda_is_refused(series, monkeypatch):
    import torch

    series.add("01_first")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MiaError, match="cuda"):
        series.run(device="cuda")
    assert not series.outputs.exists()


def test_bad_data_stops_the_run_before_any_notebook(series):
    def broken(run):
        raise MiaError("the folder is empty")

    series.add("01_first")
    with pytest.raises(MiaError, match="the folder is empty"):
        series.run(prepare=broken)
    assert series.executed() == [] and not series.outputs.exists()


def test_only_runs_the_numbers_asked_for(series):
    for name in ("00_a", "04_b", "07_c"):
        series.add(name)
    chosen = select(find_notebooks(series.notebooks), "07,4")
    assert [notebook.name for notebook in chosen] == ["04_b", "07_c"]
    with pytest.raises(UsageError, match="00, 04, 07"):
        select(find_notebooks(series.notebooks), "5")


def test_needs_are_followed_through_others(series):
    series.add("01_a")
    series.add("02_b", needs=["01_a"])
    series.add("03_c", needs=["02_b"])
    assert needed("03_c", find_notebooks(series.notebooks)) == {"01_a", "02_b"}


def test_two_runs_in_one_outputs_folder_do_not_touch_each_other(series):
    series.add("01_first")
    first = series.run(seed=1)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    second = series.run(seed=2)
    assert first != second
    assert before == {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="--run-id"):
        series.run(seed=2, run_id=first.name)
    assert before == {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}


def test_same_run_twice_at_once_is_refused(series):
    series.add("01_first")

    def second_process(run):
        with pytest.raises(MiaError, match="another process"):
            Series(series.root).run()
        return DATA

    series.run(prepare=second_process)
    assert series.executed() == ["01_first"]


def test_outputs_that_cannot_be_written_is_one_sentence(series):
    series.add("01_first")
    series.outputs.write_text("a file, not a folder")
    with pytest.raises(MiaError, match="cannot write to the outputs folder"):
        series.run()


def test_a_run_whose_folder_was_removed_is_not_called_done(series, monkeypatch):
    series.add("01_first")
    finish = runner._run_notebooks

    def removed(*given):
        outcome = finish(*given)
        shutil.rmtree(series.outputs)
        return outcome

    monkeypatch.setattr(runner, "_run_notebooks", removed)
    with pytest.raises(MiaError, match="was removed while the run worked: the same command"):
        series.run()
    assert "Report" not in series.said
    monkeypatch.undo()
    assert (series.run() / "results.csv").exists()


def test_odd_folder_names_work(tmp_path):
    series = Series(tmp_path / "a {b} ü")
    series.root.mkdir()
    series.add("01_first")
    assert (series.run() / "01_first.ipynb").exists()


def test_own_folder_is_named_by_its_path_and_given_to_notebooks_as_absolute(series, monkeypatch):
    monkeypatch.chdir(series.root)
    (series.root / "speech").mkdir()
    series.add("01_first", f"assert corpus == 'folder:{series.root / 'speech'}'")
    assert series.run(corpus="folder:speech").name.startswith("folder-speech-standard-s0-")


def test_terminal_gets_one_live_line_and_plain_lines_for_stages():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with Console(stream).follow(), open(os.environ["MIA_PROGRESS_FILE"], "a") as file:
        for state in ("running", "done"):
            line = {"label": "train", "state": state, "done": 3, "total": 9, "note": "loss 0.1", "seconds": 2}
            file.write(json.dumps(line) + "\nnot json\n")
            file.flush()
            time.sleep(0.3)
    assert "train  3/9  loss 0.1" in stream.getvalue() and stream.getvalue().count("\n") == 1
    assert "MIA_PROGRESS_FILE" not in os.environ


def interrupt(series, number, wait_for=()):
    """Start the command in its own process, send it a signal in the middle of `02_slow`, when the files `wait_for` are there
    too; returns (status, stderr)."""
    pid_file, script = series.root / "pid", series.root / "main.py"
    code = f"import time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    series.add("02_slow", code)
    script.write_text(
        "import sys, mia_lib.series.runner as runner, mia_lib.cli as cli\n"
        "from pathlib import Path\n"
        "run = runner.run_series\n"
        f"own = dict(notebooks=Path({str(series.notebooks)!r}), prepare=lambda r: {DATA!r})\n"
        "runner.run_series = lambda request, **options: run(request, **own, **options)\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    command = [sys.executable, str(script), "run", "--outputs", str(series.outputs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    files = [pid_file, *wait_for]
    while (
        not all(f.exists() and f.read_text() for f in files) and time.monotonic() < deadline and process.poll() is None
    ):
        time.sleep(0.1)
    process.send_signal(number)
    stderr = process.communicate(timeout=30)[1]
    with pytest.raises(ProcessLookupError):  # the kernel is gone
        os.kill(int(pid_file.read_text()), 0)
    return process.returncode, stderr


def test_ctrl_c_leaves_a_run_that_continues(series):
    series.add("01_first")
    status, stderr = interrupt(series, signal.SIGINT)
    assert (status, stderr) == (130, "mia_lib: interrupted; the same command continues where this stopped\n")
    folder = series.outputs / "demo-standard-s0"
    assert {path.name for path in folder.glob("*.ipynb")} == {"01_first.ipynb"} and not list(folder.glob(".*.ipynb"))
    series.executed()
    series.add("02_slow")
    series.run()
    assert series.executed() == ["02_slow"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_being_asked_to_end_is_handled_as_ctrl_c(series, number):
    status, stderr = interrupt(series, number)
    assert (status, stderr.count("\n")) == (130, 1)
    assert not list((series.outputs / "demo-standard-s0").glob("*.ipynb"))


def test_parameters_are_those_the_notebooks_agree_on():
    assert list(PARAMETERS) == list(DECLARATIONS)


def test_a_notebook_that_read_other_data_than_the_run_is_about_is_not_counted(series):
    other = "(part / 'context.json').write_text(json.dumps({'data_hash': 'new'}))"
    series.add("01_first")
    series.add("02_second", other)
    with pytest.raises(MiaError, match="the recordings changed while the run worked, so that 02_second read others"):
        series.run(prepare=lambda run: DATA | {"data_hash": "old"})
    folder = series.outputs / "demo-standard-s0"
    assert set(pd.read_csv(folder / "results.csv")["metric"]) == {"test_accuracy", "of_01_first"}
    series.executed()
    series.run(prepare=lambda run: DATA | {"data_hash": "new"})
    assert series.executed() == ["01_first", "02_second"]
