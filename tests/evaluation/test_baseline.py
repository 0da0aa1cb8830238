"""What extra recordings are worth, in sentences made of records."""

import pandas as pd

from mia_lib.evaluation.baseline import beside_baseline
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import Result, results_table


def judged(defense, accuracy, leak=None):
    about = dict(corpus="demo", profile="smoke", seed=0, protocol="", defense=defense, attack="none", adaptive=False)
    value = Measure(accuracy, accuracy - 0.01, accuracy + 0.01, 500)
    table = results_table(about, [Result("test_accuracy", value)])
    if leak is None:
        return table
    found = [Result("auc", Measure(v, v - 0.02, v + 0.02, 300), "reference_recordings") for v in leak]
    rows = [results_table(about | dict(protocol="utterance", attack=a, adaptive=True), [result])
            for a, result in zip(("loss", "top3_network"), found, strict=True)]  # fmt: skip
    return pd.concat([table, *rows])


def test_a_defense_that_is_no_more_accurate_than_its_extra_recordings_alone_is_told_so():
    records = pd.concat(
        [judged("none", 0.95), judged("dmp:2", 0.902, (0.74, 0.6)), judged("reference_only", 0.9, (0.8, 0.9))]
    )
    same, alone = beside_baseline(records)
    assert same == (
        "`dmp:2`: accuracy 0.902 [0.892, 0.912], not told from 0.900 [0.890, 0.910] of a model trained on its reference "
        "recordings alone (difference 0.002 [-0.012, 0.016]); its reference recordings are found with AUC "
        "0.740 [0.720, 0.760] by loss, the strongest of 2 attacks that need no reference models."
    )
    assert alone.startswith("`reference_only`: accuracy 0.900") and "AUC 0.900 [0.880, 0.920] by top3_network" in alone


def test_one_that_is_better_or_worse_is_told_so_and_without_a_baseline_nothing_is():
    records = pd.concat([judged("dmp:1", 0.95, (0.6, 0.6)), judged("dmp:5", 0.8, (0.6, 0.6)), judged("none", 0.95)])
    assert beside_baseline(records) == []
    better, worse, _ = beside_baseline(pd.concat([records, judged("reference_only", 0.9, (0.9, 0.9))]))
    assert "more accurate than 0.900" in better and "less accurate than 0.900" in worse


def test_recordings_that_are_told_the_wrong_way_round_are_told_all_the_same():
    records = pd.concat(
        [judged("none", 0.95), judged("dmp:2", 0.9, (0.2, 0.6)), judged("reference_only", 0.9, (0.5, 0.5))]
    )
    assert "AUC 0.800 [0.780, 0.820] by loss, turned round" in beside_baseline(records)[0]
