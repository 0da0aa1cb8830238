"""What rests on another state than the present one is shown nowhere, and the run says so."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from series.fakes import Series

from mia_lib.evaluation.records import CIRCUMSTANCES, COLUMNS
from mia_lib.series import parts
from mia_lib.series.provenance import merge_results
from mia_lib.series.workplace import WRITTEN, put_aside
from mia_lib.support.errors import MiaError
from mia_lib.support.leftovers import remove

FIGURE = """
import base64
png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
figures = pathlib.Path(outputs) / run_id / "figures"
figures.mkdir(exist_ok=True)
(figures / f"{name}-one.png").write_bytes(base64.b64decode(png))
(figures / f"{name}-one.txt").write_text("Picture of " + name)
"""


def shown(folder):
    """The notebooks whose numbers, times and figures the run shows."""
    metrics = set(pd.read_csv(folder / "results.csv")["metric"])
    page, run = (folder / "index.html").read_text(), json.loads((folder / "run.json").read_text())
    numbers = {metric.removeprefix("of_") for metric in metrics if metric.startswith("of_")}
    pictures = {name for name in ("01_first", "02_second") if f"Picture of {name}" in page}
    assert numbers == pictures == set(run["notebooks"])
    return sorted(numbers)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Where two notebooks have run, and a copy of all that is there."""
    series = Series(tmp_path_factory.mktemp("finished") / "series")
    series.root.mkdir()
    for name in ("01_first", "02_second"):
        series.add(name, FIGURE)
    assert shown(series.run()) == ["01_first", "02_second"] and "Left out" not in series.said
    return series.root, shutil.copytree(series.root, series.root.with_name("copy"))


@pytest.fixture
def both(finished, monkeypatch):
    """A series of two notebooks that have run: everything is as it was then, in the same place."""
    monkeypatch.setenv("MIA_CORES", "1")
    root, copy = finished
    shutil.rmtree(root)
    shutil.copytree(copy, root)
    return Series(root)


def test_after_the_data_changed_no_table_mixes_old_and_new(both):
    other = dict(prepare=lambda run: {"data_hash": "other"})
    folder = both.run(only="02", **other)
    assert shown(folder) == ["02_second"]
    line = next(line for line in both.said.splitlines() if line.startswith("Left out"))
    assert line == "Left out of the report: 01_first (other data); the same command with --only 01 renews them"
    assert shown(both.run(only="01", **other)) == ["01_first", "02_second"] and "Left out" not in both.said


def test_after_the_code_changed_only_what_ran_on_it_is_shown(both, monkeypatch):
    monkeypatch.setattr(parts, "whole_digest", lambda: "other")
    assert shown(both.run(only="01")) == ["01_first"]
    assert "02_second (other code)" in both.said


def test_a_changed_notebook_is_left_out_until_it_is_run_again(both):
    both.add("01_first", FIGURE + "1 + 1")
    assert shown(both.run(only="02")) == ["02_second"] and "01_first (other notebook)" in both.said
    assert shown(both.run()) == ["01_first", "02_second"]


def test_a_failed_notebook_takes_its_earlier_and_its_half_made_numbers_along(both):
    both.add("01_first", FIGURE + "raise ValueError")
    with pytest.raises(MiaError):
        both.run()
    assert shown(both.outputs / "demo-standard-s0") == ["02_second"]
    assert "Left out of the report: 01_first (did not finish)" in both.said


def test_a_killed_notebook_is_left_out(both):
    folder = both.outputs / "demo-standard-s0"
    (folder / "parts" / "01_first" / "state.json").unlink()
    assert shown(both.run(only="02")) == ["02_second"] and "01_first (did not finish)" in both.said


def test_a_notebook_that_is_gone_is_left_out(both):
    (both.notebooks / "01_first.ipynb").unlink()
    assert shown(both.run()) == ["02_second"]
    assert both.said.splitlines()[-2] == "Left out of the report: 01_first (no such notebook now)"


def test_a_moved_outputs_folder_keeps_what_is_done(both):
    moved = both.root / "elsewhere"
    shutil.move(both.outputs, moved)
    both.executed()
    assert shown(both.run(outputs=str(moved))) == ["01_first", "02_second"] and both.executed() == []


PART = "parts/01_first/results.csv"
DAMAGE = {
    "numbers deleted": (PART, lambda path: path.unlink()),
    "a number changed": (PART, lambda path: path.write_text(path.read_text().replace("0.9", "0.8"))),
    "a row cut": (PART, lambda path: os.truncate(path, path.stat().st_size - 5)),
    "numbers emptied": (PART, lambda path: path.write_text("")),
    "a word for a number": (PART, lambda path: path.write_text(path.read_text().replace("0.9", "good"))),
    "a NUL": (PART, lambda path: path.write_bytes(path.read_bytes() + b"\0")),
    "times of another kind": ("parts/01_first/stages.json", lambda path: path.write_text("{}")),
    "context of another kind": ("parts/01_first/context.json", lambda path: path.write_text("[]")),
    "state of another kind": ("parts/01_first/state.json", lambda path: path.write_text("[]")),
    "state emptied": ("parts/01_first/state.json", lambda path: path.write_text("")),
    "a figure deleted": ("figures/01_first-one.png", lambda path: path.unlink()),
    "a figure of garbage": ("figures/01_first-one.png", lambda path: path.write_bytes(b"garbage")),
    "a caption changed": ("figures/01_first-one.txt", lambda path: path.write_text("other")),
    "a notebook emptied": ("01_first.ipynb", lambda path: path.write_text("")),
    "a notebook deleted": ("01_first.ipynb", lambda path: path.unlink()),
    "a folder for a notebook": ("01_first.ipynb", lambda path: (path.unlink(), path.mkdir())),
    "a pipe for a figure": ("figures/01_first-one.png", lambda path: (path.unlink(), os.mkfifo(path))),
    "a pipe for a notebook": ("01_first.ipynb", lambda path: (path.unlink(), os.mkfifo(path))),
    "a link to nowhere for a state": (
        "parts/01_first/state.json",
        lambda path: (path.unlink(), path.symlink_to("nowhere")),
    ),
    "a file for a part": ("parts/01_first", lambda path: (remove(path), path.touch())),
    "a pipe for a state": ("parts/01_first/state.json", lambda path: (path.unlink(), os.mkfifo(path))),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_to_what_a_notebook_left_is_found_said_and_mended(both, kind):
    folder = both.outputs / "demo-standard-s0"
    file, spoil = DAMAGE[kind]
    before = (folder / "results.csv").read_bytes()
    both.executed()
    spoil(folder / file)
    both.run(only="02")
    assert both.executed() == [] and shown(folder) in (["02_second"], ["01_first", "02_second"])
    assert ("01_first" in shown(folder)) == file.endswith("ipynb")
    assert file.endswith("ipynb") or f"01_first ({file} was changed or damaged)" in both.said
    assert shown(both.run()) == ["01_first", "02_second"] and both.executed() == ["01_first"]
    assert f"{file} was changed or damaged, so it is run again" in both.said
    assert (folder / "results.csv").read_bytes() == before
    both.run()
    assert both.executed() == []


IN_THE_WAY = {
    **dict.fromkeys(WRITTEN, Path.mkdir),
    **dict.fromkeys(("parts", "figures", "pages"), Path.touch),
}


def test_what_is_in_the_way_of_what_a_run_writes_is_put_aside_and_said(both):
    folder = both.outputs / "demo-standard-s0"
    before = (folder / "results.csv").read_bytes()
    for name, put in IN_THE_WAY.items():
        if (folder / name).exists():
            remove(folder / name)
        put(folder / name)
    both.run()
    for name in IN_THE_WAY:
        assert f"{name} was damaged and is made again; what was in its place is {name}.1" in both.said
        assert (folder / f"{name}.1").exists()
    assert (folder / "results.csv").read_bytes() == before and shown(folder) == ["01_first", "02_second"]


@pytest.mark.parametrize("name", ["pages/index.html", "pages/01_first.html", "pages/search.js"])
def test_so_is_what_is_in_the_way_of_a_page(tmp_path, name):
    (tmp_path / name / "mine").mkdir(parents=True)
    (tmp_path / "pages" / "own.txt").touch()
    said = list(put_aside(tmp_path))
    assert said == [f"{name} was damaged and is made again; what was in its place is {Path(name).name}.1"]
    assert (tmp_path / f"{name}.1" / "mine").is_dir() and (tmp_path / "pages" / "own.txt").exists()
    assert not list(put_aside(tmp_path))


def test_notes_in_an_executed_notebook_are_not_lost(both):
    folder = both.outputs / "demo-standard-s0"
    (folder / "01_first.ipynb").write_text("with my notes")
    both.run()
    assert (folder / "01_first.changed.ipynb").read_text() == "with my notes"
    assert "what was there is 01_first.changed.ipynb" in both.said
    both.run()
    assert both.said.count("done before") == 2


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"parameters": []}', '{"peak_memory_mb": "x"}'])
def test_a_damaged_record_of_the_run_is_written_anew(both, text):
    folder = both.outputs / "demo-standard-s0"
    both.executed()
    (folder / "run.json").write_text(text)
    both.run()
    assert both.executed() == [] and shown(folder) == ["01_first", "02_second"]


def test_a_flipped_digit_in_the_record_of_the_run_makes_it_no_other_run(both):
    folder = both.outputs / "demo-standard-s0"
    run = (folder / "run.json").read_text()
    (folder / "run.json").write_text(run.replace('"seed": 0', '"seed": 1'))
    both.run()
    assert json.loads((folder / "run.json").read_text())["parameters"]["seed"] == 0


def test_merging_keeps_digits_drops_duplicates_and_returns_the_circumstances(tmp_path):
    row = ["demo", "smoke", "0", "", "none", "none", "False", "test_accuracy", "0.90", "", "1e-3", "10"]
    person = [*row[:7], "auc_enrolment_5_control_unexposed", *row[8:]]
    for name, rows, circumstances in (("01_a", [row], []), ("02_b", [row, person], CIRCUMSTANCES)):
        (tmp_path / "parts" / name).mkdir(parents=True)
        about = [["test_accuracy", "", "0", "0", "0", ""], ["auc", "", "5", "0", "0", "unexposed"]]
        full = [[*r, *(c if circumstances else [])] for r, c in zip(rows, about, strict=False)]
        table = pd.DataFrame(full, columns=[*COLUMNS, *circumstances])
        table.to_csv(tmp_path / "parts" / name / "results.csv", index=False)
    table = merge_results(tmp_path, ["02_b", "01_a"])
    lines = [",".join(line) for line in (COLUMNS, person, row)]
    assert (tmp_path / "results.csv").read_bytes().decode() == "\n".join(lines) + "\n"
    about = table[["measure", "enrolment", "control"]].to_numpy().tolist()
    assert about == [
        ["auc", 5, "unexposed"],
        ["test_accuracy", 0, ""],
    ]
    merge_results(tmp_path, ["01_a"])
    assert "enrolment" not in (tmp_path / "results.csv").read_text()
