"""Sweeps: every combination is a run and done once, failures stop no other, and the tables say what holds."""

import io
import os
import zipfile

import pandas as pd
import pytest
from series.fakes import DATA, prepared

from mia_lib import cli
from mia_lib.evaluation.across import ACROSS_COLUMNS
from mia_lib.series import assignment
from mia_lib.series.assignment import MARK, Assignment, carry_out, pack, unpack
from mia_lib.series.request import Request, check
from mia_lib.series.sweep import Sweep, of_options, read_sweep, run_sweep, seeds_of
from mia_lib.support.console import Console
from mia_lib.support.errors import MiaError, UsageError


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("3", [3]), ("0, 7-8,7", [0, 7, 8]), (5, [5]), ([2, 1], [2, 1])]
)
def test_seeds_are_written_as_people_write_them(text, seeds):
    assert seeds_of(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "4-0", "-1", "0-99999", "1.5", "0;1"])
def test_what_is_no_list_of_seeds_is_refused(text):
    with pytest.raises(UsageError, match="is not a list of seeds"):
        seeds_of(text)


def sweep_of(series, corpora=("demo", "demo:50x10"), seeds="0-1", **parameters):
    return of_options(list(corpora), seeds, {"outputs": str(series.outputs)} | parameters, None, "")


def carried_out(series, sweep, executor=""):
    """The folder of the sweep; `series.said` is what was printed."""
    stream, prepare = io.StringIO(), prepared if executor else lambda run: DATA
    try:
        return run_sweep(sweep, Console(stream), notebooks=series.notebooks, prepare=prepare, executor=executor)
    finally:
        series.said = stream.getvalue()


def test_every_combination_is_a_run_in_the_sweeps_folder_and_is_done_once(series):
    series.add("00_a")
    folder = carried_out(series, sweep_of(series))
    runs = sorted(path.name for path in folder.iterdir() if path.is_dir())
    expected = [f"demo-standard-s{s}" for s in (0, 1)] + [f"demo-50x10-standard-s{s}" for s in (0, 1)]
    assert runs == sorted(expected) and folder.parent == series.outputs
    assert all((folder / run / "index.html").exists() for run in runs) and series.executed() == ["00_a"] * 4
    results = pd.read_csv(folder / "results.csv")
    assert set(zip(results["corpus"], results["seed"], strict=True)) == {
        (corpus, seed) for corpus in ("demo", "demo:50x10") for seed in (0, 1)
    }
    across = pd.read_csv(folder / "across.csv", keep_default_na=False)
    accuracy = across[across["metric"] == "test_accuracy"]
    assert list(across.columns) == ACROSS_COLUMNS and accuracy["seeds"].tolist() == [2, 2]
    assert accuracy["value"].tolist() == [0.9, 0.9]
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "4 of 4 runs are done" in page and all(f'href="{run}/index.html"' in page for run in runs)
    carried_out(series, sweep_of(series))
    assert series.executed() == [] and series.said.count("done before") == 4


def test_a_run_that_fails_stops_no_other_and_is_named_at_the_end(series):
    series.add("00_a", "if seed == 0: raise ValueError('no such <voice>')")
    with pytest.raises(MiaError, match="1 of 2 runs failed: demo-standard-s0"):
        carried_out(series, sweep_of(series, corpora=["demo"]))
    folder = next(series.outputs.glob("sweep-*"))
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "1 of 2 runs are done" in page and "demo-standard-s0</code> failed" in page and "<voice>" not in page
    assert pd.read_csv(folder / "results.csv")["seed"].unique().tolist() == [1]


def test_all_requests_are_checked_before_the_first_run(series):
    series.add("00_a")
    with pytest.raises(UsageError, match="unknown corpus 'dmo'"):
        carried_out(series, sweep_of(series, corpora=["demo", "dmo"]))
    assert series.executed() == [] and not series.outputs.exists()


def test_a_sweep_has_a_name_of_its_own(series):
    one, other = sweep_of(series), sweep_of(series, settings={"epochs": "3"})
    assert one.name == sweep_of(series).name != other.name and one.name.startswith("sweep-demo-demo-50x10-standard-")
    assert Sweep(one.requests, sweep_id="mine").name == "mine"
    for bad in ("a/b", "cache", "..", "a b"):
        with pytest.raises(UsageError, match="--sweep-id"):
            _ = Sweep(one.requests, sweep_id=bad).name


def test_runs_that_would_share_a_folder_are_refused(series):
    twice = Request(outputs=str(series.outputs))
    with pytest.raises(UsageError, match="two runs of the sweep are called demo-standard-s0"):
        run_sweep(Sweep((twice, twice)))
    elsewhere = Request(outputs=str(series.root / "other"), seed=1)
    with pytest.raises(UsageError, match="the same outputs folder"):
        run_sweep(Sweep((twice, elsewhere)))


FILE = """
profile: smoke
seeds: 0-1
only: "04"
runs:
  - corpus: demo
  - corpus: demo:50x10
    seeds: [3]
    settings: {epochs: 5}
"""


def test_a_file_says_what_a_command_line_cannot(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(FILE, encoding="utf-8")
    sweep = read_sweep(path, "here")
    asked = [(r.corpus, r.seed, r.settings, r.profile, r.outputs) for r in sweep.requests]
    own = ("demo:50x10", 3, {"epochs": 5}, "smoke", "here")
    assert asked == [("demo", 0, {}, "smoke", "here"), ("demo", 1, {}, "smoke", "here"), own] and sweep.only == "04"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "must be a mapping"),
        ("a: [", "is not YAML"),
        ("corpsu: demo", "unknown parameter 'corpsu'"),
        ("runs: demo", "`runs` must be a list"),
        ("runs: []", "`runs` must be a list"),
        ("runs: [{corpus: demo, sedes: 3}]", "unknown parameter 'sedes'"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("seeds: many", "is not a list of seeds"),
        ("run_id: x", "unknown parameter 'run_id'"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_sentence(tmp_path, capsys, text, says):
    path = tmp_path / "sweep.yaml"
    path.write_text(text, encoding="utf-8")
    assert cli.main(["sweep", str(path), "--outputs", str(tmp_path / "outputs")]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere.yaml"], "cannot read nowhere.yaml"),
        (["sweep.yaml", "--seeds", "0-1"], "not by both"),
        (["sweep.yaml", "--only", "04"], "not by both"),
        (["sweep.yaml", "--sweep-id", "mine"], "not by both"),
        (["--seeds", "1-0"], "is not a list of seeds"),
        (["--corpus", "demo", "--corpus", "dmo"], "unknown corpus 'dmo'"),
        (["--sweep-id", "a/b"], "--sweep-id 'a/b' cannot name a folder"),
        (["--set", "epochs"], "is not of the form name=value"),
        (["--only", "99"], "99"),
    ],
)
def test_misuse_of_the_command_is_one_sentence(tmp_path, capsys, words, says):
    assert cli.main(["sweep", *words, "--outputs", str(tmp_path / "outputs")]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and not (tmp_path / "outputs").exists()


DIES_ONCE = """
if seed == 0 and not (part.parents[2] / "died").exists():
    (part.parents[2] / "died").touch()
    import signal
    os.kill(os.getppid(), signal.SIGKILL)
    import time; time.sleep(60)
"""


def test_workers_carry_out_runs_side_by_side_and_a_killed_one_costs_its_run_only(series):
    series.add("00_a", DIES_ONCE)
    folder = carried_out(series, sweep_of(series, corpora=["demo"]), "workers:2")
    results = pd.read_csv(folder / "results.csv")
    assert sorted(results["seed"].unique()) == [0, 1] and series.executed() == ["00_a"] * 3
    assert "2 runs of sweep" in series.said and "2 at a time" in series.said and "[1/1] 00_a" in series.said
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "2 of 2 runs are done" in page
    carried_out(series, sweep_of(series, corpora=["demo"]), "workers:2")
    assert series.executed() == [] and series.said.count("done before") == 2


def test_a_run_that_fails_in_a_worker_stops_no_other(series):
    series.add("00_a", "if seed == 0: raise ValueError('no such voice')")
    with pytest.raises(MiaError, match="1 of 2 runs failed: demo-standard-s0"):
        carried_out(series, sweep_of(series, corpora=["demo"]), "workers:2")
    assert "no such voice" in series.said


def assigned(series, **options):
    request, _ = check(Request(outputs=str(series.outputs)), within="swept")
    return Assignment(request, "swept", 1, "the mark", notebooks=series.notebooks, prepare=prepared, **options)


def test_who_does_not_see_the_sweeps_folder_sends_back_what_came_of_the_run(series, tmp_path):
    series.add("00_a")
    report = carry_out(assigned(series))
    assert not report.error and "[1/1] 00_a" in report.said and not series.outputs.exists()
    unpack(report.folder, tmp_path / "back")
    assert len(pd.read_csv(tmp_path / "back" / "results.csv")) == 2 and series.executed() == ["00_a"]
    assert not (tmp_path / "shared").exists()
    again = carry_out(assigned(series, cache=str(tmp_path / "shared"), before=pack(tmp_path / "back")))
    assert "done before" in again.said and series.executed() == [] and (tmp_path / "shared").is_dir()


def test_who_sees_it_works_in_it(series):
    series.add("00_a")
    (series.outputs / "swept").mkdir(parents=True)
    (series.outputs / "swept" / MARK).write_text("the mark", encoding="utf-8")
    report = carry_out(assigned(series))
    assert not report.folder and (series.outputs / "swept" / "demo-standard-s0" / "results.csv").exists()


def test_a_run_of_a_sweep_uses_its_share_of_the_cores(series, monkeypatch):
    monkeypatch.setenv("MIA_CORES", "7")
    seen = []
    monkeypatch.setattr(assignment, "_failure", lambda *_: seen.append(os.environ["MIA_CORES"]) or "")
    carry_out(assigned(series))
    assert seen == ["1"] and os.environ["MIA_CORES"] == "7"


def test_an_archive_writes_nothing_outside_of_its_folder(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../outside.txt", "x")
    unpack(content.getvalue(), tmp_path / "in")
    assert not (tmp_path / "outside.txt").exists()


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 8)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
"""Lists of lists that hold a hundred million letters when they are written out."""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds: 1.5", r"seeds are whole numbers, such as 0-4 or 0,3,7-9, not 1\.5"),
        ("seeds: [0, true]", "seeds are whole numbers"),
        ("seeds: {a: 1}", "seeds are whole numbers"),
        ("corpus: {a: b}", r"'corpus' must be of type str, not \{'a': 'b'\}"),
        ("runs: [{corpus: [demo]}]", "'corpus' must be of type str"),
        ("[" * 3000, "nested too deeply"),
        (BOMB.replace("i: &i", "seeds: &i"), "unknown parameter 'a'"),
        (
            "runs: [{settings: {x: 1}}]\nrun_id: x",
            "unknown parameter 'run_id': choose one of corpus, profile, seed, device, outputs, data_root",
        ),
    ],
)
def test_a_hostile_file_is_one_sentence(tmp_path, text, says):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        read_sweep(tmp_path / "a.yaml")
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


def test_values_in_messages_stay_short_however_large_they_are():
    value = ["x"] * 8
    for _ in range(8):
        value = [value] * 8
    with pytest.raises(UsageError, match="seeds are whole numbers") as caught:
        seeds_of(value)
    assert len(str(caught.value)) < 400


def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(UsageError, match="it is no file"):
        read_sweep(tmp_path / "a.yaml")
