"""Figures on unlearning say in title and sentence what they show, computed from the records."""

import pandas as pd
import pytest
from evaluation.test_forgotten import WORLD, method

from mia_lib.reporting import forgetting_figures as drawn
from mia_lib.reporting.figures import plt


@pytest.fixture
def records():
    methods = [
        method("fine_tune:1", 0.95, 0.8, 0.8, 0.97),
        method("scrub:3", 0.9, cost=0.04),
        method("neg_grad:0.1", 0.9, population=0.8),
        method("sisa:2", 0.9, cost=0.06, exposed=0.04),
    ]
    return pd.concat([*WORLD, *methods], ignore_index=True)


def test_titles_and_sentences_count_what_is_drawn(records):
    figures = {make: make(records) for make in (drawn.looks, drawn.traces, drawn.payers)}
    assert figures[drawn.looks].get_label() == (
        "Of 5 variants 4 have forgotten the person by accuracy, 3 by the population attack, 3 by both"
    )
    assert figures[drawn.traces].get_label() == (
        "U-LiRA tells 3 of 3 variants that change the trained model from training again"
    )
    assert figures[drawn.payers].get_label() == (
        "Those who stay pay more than 3 points of accuracy behind 1 of 5 variants, privacy behind 1"
    )
    labels = [tick.get_text() for tick in figures[drawn.looks].axes[0].get_yticklabels()]
    assert labels == ["before anybody leaves", "retrain", "fine tune:1", "scrub:3", "neg grad:0.1", "sisa:2"]
    plt.close("all")
    assert drawn.looks_aloud(records) == (
        "Before anybody leaves, 99 % of a person's training recordings are named right. By accuracy alone one believes "
        "`retrain`, `scrub:3`, `neg_grad:0.1` and `sisa:2`; by the population attack alone, `retrain`, `scrub:3` and "
        "`sisa:2`; by both, `retrain`, `scrub:3` and `sisa:2`."
    )
    said = drawn.traces_aloud(records)
    assert said.startswith(
        "U-LiRA tells that the person was in the model behind `fine_tune:1`, `scrub:3` and `neg_grad:0.1`; of these "
        "`scrub:3` and `neg_grad:0.1` had passed at least one of the two usual tests; what it finds behind `sisa:2`, which "
        "forgets by construction, is a false alarm; "
    )
    assert "leaves an AUC of 0.600 [0.580, 0.620] by recordings" in said
    assert drawn.payers_aloud(records).startswith(
        "`scrub:3` costs those who stay perhaps more than 3 points of accuracy (4.0 [2.0, 6.0]); `sisa:2` costs those who "
        "stay more than 3 points of accuracy (6.0 [4.0, 8.0]) and exposure (LiRA's AUC +0.040 [+0.030, +0.050]); behind "
        "`retrain`, `fine_tune:1` and `neg_grad:0.1` they pay at most 3 points of accuracy, and no privacy that can be told."
    )


def test_hollow_marks_that_say_nothing_are_not_drawn(records):
    def marks(figure):
        return [bar for axis in figure.axes for bar in axis.containers if bar[0].get_markerfacecolor() == "none"]

    drawn_before = sum(len(bar[0].get_xdata()) for bar in marks(drawn.traces(records)))
    unsure = records["control"] == "unexposed"
    wide = records.assign(low=records["low"].mask(unsure, 0.0), high=records["high"].mask(unsure, 1.0))
    assert drawn_before > 0 and not marks(drawn.traces(wide))
    plt.close("all")
