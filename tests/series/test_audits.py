"""Numbers of an audit within a run: under a condition, few of them, and no broken control among the negative controls."""

import pytest

from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import COLUMNS, Result, results_table
from mia_lib.series.audits import records_of
from mia_lib.series.lab import Lab

RUN = dict(corpus="demo", profile="smoke", seed=3)


@pytest.fixture
def results():
    """What an audit says of one attack."""
    identity = dict(corpus="answers.npz", profile="audit", seed=0, protocol="utterance", defense="none", attack="loss")
    found = [Result("auc", Measure(0.8, 0.7, 0.9, 50)), Result("recall", Measure(0.6, 0.5, 0.7, 50))]
    controls = [
        Result("auc", Measure(value, value - 0.1, value + 0.1, 50), control=name)
        for name, value in (("shuffled", 0.5), ("unexposed", 0.75))
    ]
    return results_table(identity | dict(adaptive=False), [*found, *controls])


def test_an_audit_becomes_rows_of_the_run_under_its_condition(results):
    table = records_of(results, "saved_signals", **RUN)
    names = ["auc_saved_signals", "auc_saved_signals_shuffled", "auc_saved_signals_control_unexposed"]
    assert table["metric"].tolist() == names and table["value"].tolist() == [0.8, 0.5, 0.75]
    assert (table[["corpus", "profile", "seed"]] == ["demo", "smoke", 3]).all(axis=None)
    assert (table["attack"] == "loss").all() and table["low"].tolist() == pytest.approx([0.7, 0.4, 0.65])


def test_only_the_unexposed_control_counts_among_the_runs(results):
    table = records_of(results, "saved_signals", **RUN)
    assert table["control"].tolist() == ["", "", "unexposed"]


def test_a_control_that_fails_on_purpose_is_a_number_of_its_own(results):
    table = records_of(results, "two_microphones", trap=True, **RUN)
    assert table["metric"].tolist() == [f"auc_two_microphones{part}" for part in ("", "_shuffled", "_unexposed")]
    assert (table["control"] == "").all() and table["value"].tolist() == [0.8, 0.5, 0.75]


def test_a_notebook_adds_an_audit_to_the_run(results, tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "_note", lambda self: None)
    lab = Lab("13_some", corpus="demo:24x10", profile="smoke", seed=3, outputs=str(tmp_path), run_id="run")
    lab.audited(results, "saved_signals")
    first, *rows = (tmp_path / "run" / "parts" / "13_some" / "results.csv").read_text().splitlines()
    assert first.startswith(",".join(COLUMNS)) and len(rows) == 3
    assert all(row.startswith("demo:24x10,smoke,3,utterance,none,loss,False,auc_saved_signals") for row in rows)
