"""What the page says to do: costs of defenses from a run of the series beside the audit, never from a broken one."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from made_up import signals

from mia_lib.auditing.columns import evidence_of
from mia_lib.auditing.remedies import advice, measured_costs
from mia_lib.auditing.report import judge
from mia_lib.evaluation.records import COLUMNS


def records(defense, accuracy, auc):
    """What a run says of a judged defense, or of none."""
    rows = [
        ("", "none", False, "test_accuracy", accuracy),
        ("", "none", False, "train_seconds_ratio", 1.5),
        ("paper", "top3_network", False, "balanced_accuracy", 0.6),
        ("paper", "top3_network", False, "recall", 0.6),
        ("paper", "top3_network", False, "auc", 0.6),
        ("paper", "top3_network", True, "balanced_accuracy", 0.6),
        ("utterance", "lira_online", True, "auc", auc),
        ("utterance", "lira_online", True, "balanced_accuracy", auc),
        ("utterance", "lira_online", True, "tpr_at_fpr_1e-3_pooled", 0.02),
        ("speaker", "label_only", True, "auc", 0.8),
    ]
    table = pd.DataFrame(rows, columns=["protocol", "attack", "adaptive", "metric", "value"])
    about = dict(corpus="demo", profile="smoke", seed=3, defense=defense, n=2000)
    return table.assign(**about, low=lambda t: t["value"] - 0.01, high=lambda t: t["value"] + 0.01)[COLUMNS]


def run(folder, table, age=0):
    """Write the results of a run of the series, so many seconds old."""
    folder.mkdir()
    table.to_csv(folder / "results.csv", index=False)
    (folder / "run.json").write_text(json.dumps({"parameters": dict(corpus="demo", profile="smoke", seed=3)}))
    written = (folder / "results.csv").stat().st_mtime - age
    os.utime(folder / "results.csv", (written, written))


@pytest.fixture
def judged():
    defended = [records("dmp:2", 0.90, 0.55), records("weight_decay:0.1", 0.95, 0.97)]
    return pd.concat([*defended[::-1], records("none", 0.95, 0.98), defended[0]]).drop_duplicates()


def test_costs_are_those_of_a_run_beside_the_audit_by_what_still_leaks(tmp_path, judged):
    run(tmp_path / "demo-smoke-s3", judged)
    report = judge(evidence_of(signals(leak=3.0), "mine"), draws=20, attacks=["loss"])
    text = (report.save(tmp_path / "a") / "index.html").read_text(encoding="utf-8")
    told = text.partition('id="remedies"')[2].partition('id="method"')[0]
    assert "demo-smoke-s3" in told and "synthetic" in told and "none has been run beside this audit" not in told
    rows = [row for row in told.split("<tr>") if "lira_online" in row]
    assert ["none" in rows[0], "dmp" in rows[1], "weight" in rows[2]] == [True] * 3
    assert "leaks less" in rows[1] and "0.550" in rows[1] and "90.0 %" in rows[1] and "5.0" in rows[1]


def test_the_newest_run_that_can_be_read_and_judged_defenses_counts(tmp_path, judged):
    assert measured_costs(tmp_path) is None
    run(tmp_path / "old", judged, age=100)
    run(tmp_path / "new", judged, age=50)
    run(tmp_path / "undefended", judged[judged["defense"] == "none"], age=20)
    run(tmp_path / "half", judged[judged["protocol"] != ""], age=10)
    run(tmp_path / "broken", pd.DataFrame({"nothing": [1]}))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "results.csv").write_bytes(b'\xff"\n\x00')
    (tmp_path / "damaged" / "run.json").write_text('{"parameters": {"corpus": "demo"}}')
    assert measured_costs(tmp_path)["run"] == "new"


def test_advice_follows_from_what_was_found(tmp_path):
    arrays = signals(leak=8.0)
    clean = arrays | dict(blind=np.random.default_rng(0).standard_normal((120, 3)))
    apart = arrays | dict(blind=arrays["member"][:, None] + 0.1 * clean["blind"])
    told = {}
    for name, given in {"silent": arrays, "clean": clean, "none": signals(), "apart": apart}.items():
        report = judge(evidence_of(given, "mine"), draws=20, attacks=["loss"])
        told[name] = " ".join(advice(report.evidence, report.results, 60))
    assert "Give statistics of the sound" in told["silent"] and "statistics of the sound" not in told["clean"]
    assert "Members can be told" in told["clean"] and "does not prove that none does" in told["none"]
    assert "First compare like with like" in told["apart"] and "Members can be told" not in told["apart"]
    assert all("1,000 non-members; here are 60" in text and "reference models" in text for text in told.values())
