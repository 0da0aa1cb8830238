"""Numbers over seeds: means, intervals that cover, and what claims come to."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from mia_lib.evaluation.across import ACROSS_COLUMNS, across, claims_across, over_seeds

RNG = np.random.default_rng(0)


def test_the_interval_by_hand():
    values, half = np.array([1.0, 2.0, 3.0]), np.array([0.3, 0.3, 0.3])
    between = student.ppf(0.975, 2) * 1.0 / math.sqrt(3)
    redrawn = over_seeds(values, values - half, values + half, redrawn=True, share=False)
    assert redrawn.value == 2.0 and redrawn.n == 3
    assert redrawn.high - 2 == pytest.approx(math.hypot(between, 0.3 / math.sqrt(3)))
    same = over_seeds(values, values - half, values + half, redrawn=False, share=False)
    assert 2 - same.low == pytest.approx(math.hypot(between, 0.3))


def test_one_seed_has_the_interval_of_its_run_and_a_number_without_one_stays_without():
    one = over_seeds(np.array([0.7]), np.array([0.6]), np.array([0.75]), redrawn=True)
    assert (one.value, one.low, one.high, one.n) == (0.7, 0.6, 0.75, 1)
    none = over_seeds(np.array([0.7, 0.8]), np.array([0.6, np.nan]), np.array([0.8, np.nan]), redrawn=True)
    assert none.value == 0.75 and math.isnan(none.low) and math.isnan(none.high)


def test_a_share_stays_between_0_and_1():
    values = np.array([0.99, 1.0, 0.7])
    found = over_seeds(values, values - 0.1, np.minimum(values + 0.1, 1), redrawn=True)
    assert 0 <= found.low < found.value < found.high <= 1


@pytest.mark.parametrize("redrawn", [True, False])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_cover_what_they_claim(redrawn, seeds):
    """Truth 0; seeds differ by 0.1; who was recorded brings 0.2, anew in each seed or the same in all."""
    covered, own = 0, 0.2
    for _ in range(2000):
        speakers = RNG.normal(0, own, seeds) if redrawn else np.repeat(RNG.normal(0, own), seeds)
        values, half = speakers + RNG.normal(0, 0.1, seeds), 1.96 * own
        found = over_seeds(values, values - half, values + half, redrawn, share=False)
        covered += found.low <= 0 <= found.high
    assert covered / 2000 > 0.94


def rows(**columns):
    about = dict(corpus="demo", profile="smoke", protocol="utterance", defense="none", attack="lira", adaptive=False)
    return pd.DataFrame([about | dict(metric="auc") | row for row in columns.pop("rows")]).assign(**columns)


def test_a_table_has_one_row_for_each_number_whatever_seeds_have_it():
    both = [dict(seed=s, value=v, low=v - 0.1, high=v + 0.1, n=9) for s, v in ((0, 0.6), (1, 0.8))]
    once = [dict(seed=1, value=2.5, low=2.0, high=3.0, n=9, metric="epsilon_lower_bound")]
    table = across(rows(rows=both + once), {"demo"})
    assert list(table.columns) == ACROSS_COLUMNS and table["seeds"].tolist() == [2, 1]
    assert table["value"].tolist() == pytest.approx([0.7, 2.5])
    assert table["high"].tolist()[1] == 3.0  # no share


def claims(*outcomes):
    about = dict(corpus="demo", profile="smoke", claim="04.floor", question="So?", direction="above", margin=0.0)
    gaps = {"holds": 0.2, "does not hold": -0.2, "undecided": 0.01}
    table = []
    for seed, word in enumerate(outcomes):
        gap = gaps[word] + 0.001 * seed
        table.append(about | dict(seed=seed, outcome=word, difference=gap, low=gap - 0.05, high=gap + 0.05))
    return pd.DataFrame(table)


def test_a_finding_says_in_how_many_seeds_it_holds_and_what_the_mean_decides():
    found = claims_across(claims("holds", "holds", "holds"), {"demo"}).iloc[0]
    assert (found["holds"], found["does_not_hold"], found["undecided"], found["outcome"]) == (3, 0, 0, "holds")
    mixed = claims_across(claims("holds", "does not hold", "undecided"), {"demo"}).iloc[0]
    assert (mixed["holds"], mixed["does_not_hold"], mixed["undecided"], mixed["outcome"]) == (1, 1, 1, "undecided")
    assert -1 <= mixed["low"] <= mixed["difference"] <= mixed["high"] <= 1


def test_a_claim_that_no_run_could_measure_is_undecided():
    table = claims("undecided", "undecided").assign(difference=np.nan, low=np.nan, high=np.nan)
    found = claims_across(table, set()).iloc[0]
    assert found["outcome"] == "undecided" and found["seeds"] == 0 and math.isnan(found["difference"])
