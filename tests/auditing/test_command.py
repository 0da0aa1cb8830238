"""`mia-lib audit`: exit statuses, files, and that nothing is written over."""

import json
import os
import re

import pandas as pd
import pytest
from made_up import save, signals

from mia_lib import cli
from mia_lib.auditing.report import FILES
from mia_lib.evaluation.records import COLUMNS


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save(tmp_path_factory.mktemp("saved") / "mine.npz", signals(leak=4.0))


def audit(saved, outputs, *more):
    return cli.main(["audit", "--signals", str(saved), "--outputs", str(outputs), "--run-id", "a", *more])


def test_an_audit_leaves_its_files_and_says_what_it_found(saved, tmp_path, capsys):
    assert audit(saved, tmp_path) == 0
    folder = tmp_path / "a"
    assert {path.name for path in folder.iterdir()} == set(FILES)
    results = pd.read_csv(folder / "results.csv", keep_default_na=False)
    assert (
        list(results.columns) == COLUMNS
        and set(results["profile"]) == {"audit"}
        and set(results["defense"]) == {"none"}
    )
    about = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    assert about["audited"]["members"]["rows"] + about["audited"]["non_members"]["rows"] == 120
    assert "needs reference models" in about["not_run"]["lira_online"]
    assert about["strongest"]["auc"]["low"] > 0.5
    assert set(about["controls"]["shuffled"]) == set(about["attacks"])
    people = pd.read_csv(folder / "people.csv")
    assert set(people["speaker"]) == {f"s{i:02}" for i in range(12)} and people["rank"].iloc[0] == 1
    said = capsys.readouterr().out
    assert "protocol utterance: the two sides share speakers" in said and "tells members from non-members" in said


@pytest.mark.parametrize(
    ("conditions", "status"),
    [(["auc > 0.5"], 3), (["auc > 0.99"], 0), (["auc < 0.2", "loss.auc > 0.5"], 3), (["auc < 0.5"], 0)],
)
def test_the_exit_status_is_3_where_a_condition_holds(saved, tmp_path, conditions, status, capsys):
    assert audit(saved, tmp_path, *(word for text in conditions for word in ("--fail-if", text))) == status
    said = capsys.readouterr().out
    assert all(f"{text}: " in said for text in conditions)
    assert [one["holds"] for one in json.loads((tmp_path / "a/audit.json").read_text())["gate"]].count(True) == (
        status == 3
    )


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["audit"], "say what to audit: --signals FILE"),
        (["audit", "--signals", "none.npz"], "none.npz: there is no such file"),
        (["audit", "--signals", "SAVED", "--fail-if", "auk > 1"], "unknown measure 'auk'"),
        (["audit", "--signals", "SAVED", "--protocol", "person"], "unknown protocol 'person'"),
        (["audit", "--signals", "SAVED", "--run-id", "../up"], "cannot name a folder"),
        (["audit", "--signals", "SAVED", "--seed", "-1"], "the seed must be from 0"),
    ],
)
def test_bad_usage_is_one_line_and_leaves_nothing(saved, tmp_path, argv, sentence, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([str(saved) if word == "SAVED" else word for word in argv]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_measure_that_the_audit_cannot_carry_ends_with_1_and_leaves_nothing(saved, tmp_path, capsys):
    assert audit(saved, tmp_path, "--fail-if", "tpr_at_fpr_1e-3 > 0.5") == 1
    assert "it takes 1,000 non-members" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_another_audit_is_not_written_over_and_the_same_may_be(saved, tmp_path, capsys):
    assert audit(saved, tmp_path) == 0
    before = (tmp_path / "a/results.csv").read_bytes()
    assert audit(saved, tmp_path) == 0
    assert (tmp_path / "a/results.csv").read_bytes() == before
    assert audit(save(tmp_path / "other.npz", signals(1)), tmp_path) == 1
    assert "choose another --run-id" in capsys.readouterr().err
    assert (tmp_path / "a/results.csv").read_bytes() == before


def test_anonymous_audits_name_nobody_and_count_the_same(saved, tmp_path):
    for name in ("open", "closed"):
        argv = ["audit", "--signals", str(saved), "--outputs", str(tmp_path), "--run-id", name]
        assert cli.main([*argv, *(["--anonymous"] if name == "closed" else [])]) == 0
    for file in FILES:
        text = (tmp_path / "closed" / file).read_text(encoding="utf-8")
        assert not any(f"s{i:02}" in text or f"r{i:03}" in text for i in range(12)), file
    assert (tmp_path / "open/results.csv").read_bytes() == (tmp_path / "closed/results.csv").read_bytes()
    opened, closed = (pd.read_csv(tmp_path / name / "people.csv") for name in ("open", "closed"))
    pd.testing.assert_series_equal(opened["exposure"], closed["exposure"])


@pytest.mark.parametrize("place", ["a file", "no right"])
def test_outputs_that_cannot_be_written_are_refused_before_anything_is_computed(
    saved, tmp_path, capsys, monkeypatch, place
):
    monkeypatch.setattr("mia_lib.auditing.saved.read_signals", None)
    if place == "a file":
        (tmp_path / "out").write_text("mine")
    else:
        monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    assert audit(saved, tmp_path / "out" / "below") == 1
    assert re.search(r"cannot write to .*below: .*(out is no folder|no right to write to)", capsys.readouterr().err)


def test_help_fits_one_screen_and_has_an_example(capsys):
    with pytest.raises(SystemExit):
        cli.main(["audit", "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 52 and max(map(len, lines)) <= 120
    assert any("audit --signals" in line for line in lines)
