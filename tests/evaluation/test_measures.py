"""Measurements worked out by hand: calibration gaps, clusters, controls, parts of an audit, names and the paper's claims."""

import numpy as np
import pandas as pd
import pytest

from mia_lib.evaluation import published, verdicts
from mia_lib.evaluation.audit import Audit, shuffled
from mia_lib.evaluation.calibration import BINS, calibration_error, calibration_gaps
from mia_lib.evaluation.evaluate import evaluate, thinnest, with_controls
from mia_lib.evaluation.intervals import FEW_CLUSTERS, Measure, clopper_pearson, mean_measure
from mia_lib.evaluation.rates import FPR_LEVELS, decision_rates, tpr_at_fpr
from mia_lib.evaluation.reading import pick, read_results, typed
from mia_lib.evaluation.records import CIRCUMSTANCES, COLUMNS, IDENTITY, Result, results_table
from mia_lib.support.errors import MiaError


def audit(scores, member, clusters, threshold=0.5):
    return Audit(
        np.array(scores, float), np.array(member, bool), np.array(clusters), threshold, np.arange(len(scores)) * 2
    )


def test_an_examples_calibration_gap_is_that_of_its_bin():
    confidence, correct = np.array([0.50, 0.52, 0.90, 1.00, 0.99]), np.array([1, 0, 1, 1, 0])
    gaps = calibration_gaps(confidence, correct)
    assert BINS == 15  # of width 1/15: 0.50 and 0.52 share one, 1.00 is in the last with 0.99, and 0.90 is alone
    np.testing.assert_allclose(gaps, [0.01, 0.01, 0.1, 0.495, 0.495], atol=1e-12)
    assert calibration_gaps(np.array([0.4, 0.4]), np.array([0, 1])) == pytest.approx(0.1)


def test_the_interval_of_a_calibration_error_is_that_of_what_it_is_made_of():
    """A model that always says .44 is off by its accuracy less that, and so are the ends of its interval."""
    correct = (np.random.default_rng(0).random(400) < 0.95).astype(float)
    clusters = np.repeat(np.arange(40), 10)
    found = calibration_error([np.full(400, 0.44)], [correct], [clusters], 1000, 0)
    right = mean_measure([correct], [clusters], 1000, 0)
    assert found.value == pytest.approx(right.value - 0.44) and found.n == 400
    assert [found.low, found.high] == pytest.approx([right.low - 0.44, right.high - 0.44], abs=0.01)


def test_rates_of_eight_examples_by_hand():
    one = audit([8, 7, 6, 5, 4, 3, 2, 1], [1, 1, 0, 1, 0, 1, 0, 0], list("abcdefgh"), threshold=6.0)
    rates = {name: measure.value for name, measure in evaluate([one], 20).items()}
    assert rates["auc"] == 13 / 16 and rates["recall"] == 0.5 and rates["precision"] == pytest.approx(2 / 3)
    assert rates["balanced_accuracy"] == (0.5 + 0.75) / 2
    assert [rates[name] for name in FPR_LEVELS] == [0.5] * 4 and rates["tpr_at_fpr_1e-3_pooled"] == 0.5
    assert rates["balanced_accuracy_target_threshold"] == 0.75  # as at 5, but 7 comes first
    assert rates["recall_target_threshold"] == 0.5 and rates["precision_target_threshold"] == 1.0
    assert [tpr_at_fpr(one.scores, one.member, level) for level in (0.24, 0.25, 0.5)] == [0.5, 0.75, 1.0]
    assert {f"tpr_at_fpr_{name}": float(name) for name in ("1e-1", "1e-2", "1e-3", "0")} == FPR_LEVELS


def test_intervals_at_a_seed_stay_as_they_were():
    rng = np.random.default_rng(0)
    two = [audit(rng.random(40), np.arange(40) < 20, np.arange(40).astype(str)) for _ in range(2)]
    found = evaluate(two, 150, seed=3)
    ends = [(found[name].low, found[name].high) for name in ("auc", "balanced_accuracy", "tpr_at_fpr_1e-1")]
    np.testing.assert_allclose(
        ends, [(0.2684063635, 0.6129328650), (0.3977967284, 0.5991858750), (0.0011620554, 0.1495600)], rtol=1e-5
    )
    mean = mean_measure([one.scores for one in two], [one.clusters for one in two], 150, seed=3)
    assert (mean.low, mean.high) == pytest.approx((0.4343021480, 0.5839617054), rel=1e-8)


def test_weights_count_decisions_so_many_times():
    accepted, member = np.array([1, 0, 1, 0], bool), np.array([1, 1, 0, 0], bool)
    rates = decision_rates(accepted, member, np.array([[3.0, 1, 1, 4], [0, 1, 0, 1]]))
    np.testing.assert_allclose(rates["recall"], [0.75, 0])
    np.testing.assert_allclose(rates["precision"], [0.75, 0])
    np.testing.assert_allclose(rates["balanced_accuracy"], [(0.75 + 0.8) / 2, 0.5])


def test_the_side_with_fewer_units_counts_and_examples_of_all_targets_are_behind_it():
    few = audit(range(6), [1, 1, 1, 0, 0, 0], ["a", "a", "b", "c", "d", "e"])
    many = audit(range(6), [1, 1, 1, 0, 0, 0], list("abcdef"))
    assert few.smaller_side() == 2 and many.smaller_side() == 3
    assert thinnest([many, few]) == Measure(2, 2, 2, 12)


def test_the_part_of_an_audit_is_chosen_by_the_corpus_rows():
    whole = audit([0.1, 0.2, 0.3, 0.4], [1, 0, 1, 0], list("abcd"))  # rows 0, 2, 4, 6
    part = whole.restricted_to(np.isin(np.arange(8), [2, 3, 4]))
    assert part.scores.tolist() == [0.2, 0.3] and part.rows.tolist() == [2, 4] and part.clusters.tolist() == ["b", "c"]
    assert part.member.tolist() == [False, True] and part.threshold == 0.5
    with pytest.raises(MiaError, match="both members and non-members"):
        whole.restricted_to(np.arange(8) == 2)


def test_an_odd_number_of_units_gives_the_members_side_the_larger_half():
    member = np.arange(10) < 5
    dealt = [audit(range(10), member, list("abcdefghij")).shuffled(seed).member for seed in range(6)]
    assert {(d[:5].sum(), d[5:].sum()) for d in dealt} == {(3, 2)}
    assert len({d.tobytes() for d in dealt}) > 1
    both = shuffled([audit(range(10), member, list("abcdefghij"))] * 2, 7)
    again = [audit(range(10), member, list("abcdefghij")).shuffled(seed) for seed in (7000, 7001)]
    assert all((one.member == other.member).all() for one, other in zip(both, again, strict=True))
    assert np.flatnonzero(again[0].member).tolist() == [0, 1, 4, 5, 8]  # so that controls stay as they were


def test_a_control_stands_beside_the_attack_with_two_rates_and_the_thinnest_side_comes_last():
    one = audit([3, 2, 1, 0], [1, 1, 0, 0], list("abcd"), threshold=1.5)
    results = with_controls([one], {"shuffled": [one.shuffled(0)], "unexposed": [one]}, 20, 0)
    assert [r.metric for r in results if r.control] == [
        f"{name}_control_{control}" for control in ("shuffled", "unexposed") for name in ("auc", "balanced_accuracy")
    ]
    assert results[0].metric == "auc" and results[0].value.value == 1 and results[0].value.n == 4
    assert results[-1].metric == "audit_units" and results[-1].value.value == 2


@pytest.mark.parametrize("hits, n, low, high", [(0, 10, 0, 0.3085), (10, 10, 0.6915, 1), (5, 10, 0.1871, 0.8129)])
def test_exact_intervals_are_the_tabulated_ones(hits, n, low, high):
    assert clopper_pearson(hits, n) == pytest.approx((low, high), abs=5e-5)


def test_a_mean_over_models_weighs_each_alike_and_counts_all_examples():
    measure = mean_measure([np.ones(2), np.array([0.0, 0, 1, 1])], [np.array(["a", "b"]), np.array(list("abcd"))], 50)
    assert measure.value == 0.75 and measure.n == 6


def test_a_metric_is_its_measure_and_the_circumstances_in_order():
    value = Measure(0.5, 0.4, 0.6, 10)
    assert Result("auc", value).metric == "auc"
    everything = Result("auc", value, "room_rm1", enrolment=5, references=8, queries=3, control="shuffled")
    assert everything.metric == "auc_room_rm1_enrolment_5_8_references_3_queries_control_shuffled"


def test_a_table_has_all_columns_in_order_whether_there_is_a_number_or_none():
    identity = dict.fromkeys(IDENTITY, "x")
    some, none = (results_table(identity, rows) for rows in ([Result("auc", Measure(0.5, 0.4, 0.6, 10))], []))
    assert [*some.columns] == [*none.columns] == [*COLUMNS, *CIRCUMSTANCES] and (len(some), len(none)) == (1, 0)
    assert some.loc[0, ["metric", "value", "low", "high", "n", "measure"]].tolist() == ["auc", 0.5, 0.4, 0.6, 10, "auc"]


def test_a_run_without_numbers_is_an_empty_table_with_all_columns(tmp_path):
    table = read_results(tmp_path / "results.csv")
    assert len(table) == 0 and set(COLUMNS) <= set(table.columns) and "measure" in table


def test_texts_of_a_file_become_numbers_and_truth_values_and_none_stays_a_word():
    names = ("seed", "value", "low", "high", "n", "adaptive", "attack", "metric")
    rows = [
        ("3", "0.5", "0.4", "", "10", word, "none", "auc") for word in ("True", "true", "1", "1.0", "False", "0", "")
    ]
    table = typed(pd.DataFrame(rows, columns=names))
    assert table["adaptive"].tolist() == [True] * 4 + [False] * 3 and set(table["attack"]) == {"none"}
    assert table[["seed", "value", "low", "n"]].iloc[0].tolist() == [3, 0.5, 0.4, 10] and table["high"].isna().all()
    assert (table[["enrolment", "references", "queries"]] == 0).all(axis=None)


def test_empty_fields_of_a_file_are_empty_words_and_counts_of_none(tmp_path):
    columns = [*COLUMNS, "measure", "condition", "enrolment", "references", "queries", "control"]
    row = dict.fromkeys(columns, "") | dict(attack="none", metric="auc", value="0.5", measure="auc")
    pd.DataFrame([row]).to_csv(tmp_path / "results.csv", index=False)
    read = read_results(tmp_path / "results.csv").iloc[0]
    assert (read["attack"], read["protocol"], read["condition"], read["control"]) == ("none", "", "", "")
    assert (read["enrolment"], read["references"], read["queries"]) == (0, 0, 0) and not read["adaptive"]


def test_a_record_is_picked_by_corpus_and_protocol_where_they_are_given():
    measure = Measure(0.5, 0.4, 0.6, 10)
    names = dict(profile="smoke", seed=0, defense="none", attack="loss", adaptive=False)
    tables = [
        results_table(names | dict(corpus=c, protocol=p), [Result("auc", Measure(v, 0.0, 1.0, 10))])
        for c, p, v in (("x", "paper", 0.1), ("x", "speaker", 0.2), ("y", "paper", 0.3), ("y", "speaker", 0.4))
    ]
    both = pd.concat(
        [*tables, results_table(names | dict(corpus="y", protocol="paper", attack="gap"), [Result("auc", measure)])]
    )
    assert (
        pick(both, "auc", "loss", "speaker", "y").value == 0.4 and pick(both, "auc", "loss", "paper", "y").value == 0.3
    )
    assert pick(both, "auc", "loss", "speaker").value == 0.2 and pick(both, "auc", "gap") == measure


def test_the_papers_numbers_are_its_tables_and_the_limits_are_those_that_are_documented():
    table = published.claims()
    assert table.loc["LibriSpeech"].tolist() == [0.995, 0.950, 0.879, 0.859, 0.908]
    assert table.loc["VOiCES, room 1", "precision"] == 0.783
    assert (verdicts.TOLERANCE, verdicts.CLAIMED, verdicts.ENOUGH, FEW_CLUSTERS) == (0.03, 0.53, 2000, 10)
