"""Audits from Python: a classifier of somebody else's making, arrays, tables and files; and a scorer for scikit-learn."""

import argparse
import inspect
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from made_up import save, signals
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from voices import bands, folder

from mia_lib import audit, audit_signals, tpr_at_fpr
from mia_lib.auditing.command import add_options
from mia_lib.support.errors import MiaError, UsageError


@pytest.fixture(scope="module")
def classifier():
    """A classifier that remembers what it was trained on, and both sides of its data."""
    x, y = make_classification(600, 12, n_informative=6, n_classes=4, class_sep=0.8, random_state=0)
    y = np.array(["ann", "bob", "cid", "dee"])[y]
    model = RandomForestClassifier(30, random_state=0).fit(x[:300], y[:300])
    return model, (x[:300], y[:300]), (x[300:], y[300:])


def test_a_scikit_learn_classifier_is_audited_in_one_call(classifier):
    model, (x, y), (other_x, other_y) = classifier
    report = audit(model, x, other_x, labels=(y, other_y), draws=100)
    assert report.check("auc > 0.6") and report.check("gap.auc < 0.95") and not report.check("auc < 0.6")
    assert {"value", "low", "high"} <= set(report.results.columns)
    assert (
        set(report.people["speaker"]) == {"class 0", "class 1", "class 2", "class 3"} and len(report.recordings) == 600
    )
    assert report.about["audited"]["kind"] == "posteriors"


def test_a_classifier_that_saw_neither_side_is_at_chance(classifier):
    _, (x, y), (other_x, other_y) = classifier
    fresh = make_classification(300, 12, n_informative=6, n_classes=4, class_sep=0.8, random_state=1)
    model = LogisticRegression(max_iter=500).fit(fresh[0][:50] + 5, fresh[1][:50])
    numbers = {name: i for i, name in enumerate(np.unique(y))}
    labels = [np.array([numbers[name] for name in side]) for side in (y, other_y)]
    report = audit(model.predict_log_proba, x, other_x, labels=labels, draws=100)
    assert not report.check("auc > 0.5") and not report.check("auc < 0.5")


def test_the_same_answers_give_the_same_report_from_arrays_a_table_and_a_file(tmp_path):
    arrays = signals(leak=3.0)
    some = dict(draws=20, attacks=["loss", "shokri"])
    table = pd.DataFrame({name: arrays[name] for name in ("label", "member", "speaker", "recording")})
    table = table.assign(**{f"logits_{c}": column for c, column in enumerate(arrays["logits"].T)})
    found = [audit_signals(one, name="a.npz", **some) for one in (arrays, table, save(tmp_path / "a.npz", arrays))]
    for other in found[1:]:
        pd.testing.assert_frame_equal(found[0].results, other.results)
    folder = found[0].save(tmp_path / "report")
    assert (folder / "audit.json").is_file() and len(pd.read_csv(folder / "recordings.csv")) == 120


def test_an_unexposed_model_is_a_control(classifier):
    model, (x, y), (other_x, other_y) = classifier
    control = RandomForestClassifier(30, random_state=1).fit(other_x[1::2], other_y[1::2])
    half = other_x[0::2], other_y[0::2]
    report = audit(model, x, half[0], labels=(y, half[1]), control_model=control, draws=50, attacks=["loss"])
    unexposed = report.results[(report.results["control"] == "unexposed") & (report.results["measure"] == "auc")]
    assert len(unexposed) == 1 and unexposed["low"].iloc[0] < 0.6


COMMAND_ONLY = {"help", "debug", "task", "to", "run_id", "fail_if"}
OTHER_NAMES = {"no_audio": "audio", "workers": "executor", "ray": "executor"}


def test_what_the_command_can_be_asked_python_can_be_asked_too():
    command = argparse.ArgumentParser()
    add_options(command)
    asked = {action.dest for action in command._actions} - COMMAND_ONLY
    in_python = {*inspect.signature(audit).parameters, *inspect.signature(audit_signals).parameters}
    assert {OTHER_NAMES.get(name, name) for name in asked} <= in_python


def test_recordings_are_heard_from_python_as_by_the_command(tmp_path, monkeypatch):
    inside, outside = folder(tmp_path / "in", range(4), range(3)), folder(tmp_path / "out", range(4), range(3, 6))
    for broken in ("0.wav", "1.wav"):
        (inside / "s0" / broken).write_bytes(b"RIFF")
    classes = [f"s{i}" for i in range(4)]
    monkeypatch.chdir(tmp_path)
    asked = dict(classes=[*classes, "a", "b", "c", "d"], gives="logits", draws=20, attacks=["loss"])
    with pytest.raises(MiaError, match="more than the 5% that --max-bad allows"):
        audit(bands, inside, outside, seconds=0.6, **asked)
    report = audit(bands, inside, outside, max_bad=0.2, seconds=0.6, copies=0, **asked)
    assert len(set(report.evidence.unit)) == 22 and len(report.about["lost"]) == 2
    trained = audit(None, outside, train="recipes:forest", models=3, seconds=0.5, outputs=tmp_path, executor="here",
                    draws=20, attacks=["lira_online"])  # fmt: skip
    assert trained.about["audited"]["references"] == 3 and trained.about["audited"]["coins"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(seconds=1.0), "seconds is about recordings, and members are arrays here"),
        (dict(train="recipes:forest"), "train is about recordings"),
    ],
)
def test_options_for_recordings_are_refused_beside_arrays(classifier, options, says):
    model, (x, y), (other_x, other_y) = classifier
    with pytest.raises(UsageError, match=says):
        audit(model, x, other_x, labels=(y, other_y), **options)


def test_what_does_not_go_together_is_refused(tmp_path):
    with pytest.raises(UsageError, match="say which recordings"):
        audit(bands)
    with pytest.raises(UsageError, match="--control-model goes with --model alone"):
        audit(None, tmp_path, train="recipes:forest", control_model=bands)


def test_what_is_no_signals_or_lacks_labels_is_refused(classifier):
    model, (x, _), (other_x, _) = classifier
    with pytest.raises(UsageError, match=r"labels=\(of members, of non-members\)"):
        audit(model, x, other_x)
    with pytest.raises(UsageError, match="signals must be a file, a table, named arrays or evidence, not int"):
        audit_signals(3)
    with pytest.raises(UsageError, match="at least 2 draws"):
        audit_signals(signals(), draws=1)


def test_the_scorer_counts_members_found_at_few_false_positives():
    member = np.repeat([0, 1], 100)
    x = np.concatenate([np.arange(100), np.arange(100) + 50.0])[:, None]
    model = LogisticRegression().fit(x, member)
    assert tpr_at_fpr(0.01)(model, x, member) == pytest.approx(0.51)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, scoring=tpr_at_fpr(0.1), cv=2).fit(x, member)
    assert 0 <= search.best_score_ <= 1
    with pytest.raises(UsageError, match="lies between 0 and 1"):
        tpr_at_fpr(2)


def test_importing_the_module_loads_nothing_slow():
    code = "import sys, mia_lib; sys.exit(bool({'torch', 'pandas', 'numpy', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with pytest.raises(ImportError):
        from mia_lib import nonsense  # noqa: F401
