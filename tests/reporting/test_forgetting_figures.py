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
        method("scrub:3", 0.9, cost=0.05),
        method("sisa:2", cost=0.06, exposed=0.04),
    ]
    return pd.concat([*WORLD, *methods], ignore_index=True)


def test_titles_and_sentences_count_what_is_drawn(records):
    figures = {make: make(records) for make in (drawn.looks, drawn.traces, drawn.payers)}
    assert figures[drawn.looks].get_label() == "By the usual tests 3 of 4 methods have forgotten the person"
    assert figures[drawn.traces].get_label().startswith("U-LiRA tells 2 of 4 methods from training again")
    assert figures[drawn.payers].get_label() == "Behind 2 of 4 methods those who stay pay for it"
    labels = [tick.get_text() for tick in figures[drawn.looks].axes[0].get_yticklabels()]
    assert labels == ["before anybody leaves", "retrain", "fine tune:1", "scrub:3", "sisa:2"]
    plt.close("all")
    assert drawn.looks_aloud(records) == (
        "Before anybody leaves, 99 % of a person's training recordings are named right. Who looks at nothing else believes "
        "`retrain`, `scrub:3` and `sisa:2`, and sees that `fine_tune:1` did not work."
    )
    said = drawn.traces_aloud(records)
    assert said.startswith(
        "U-LiRA tells that the person was in the model behind `fine_tune:1` and `scrub:3`; of these `scrub:3`"
    )
    assert "leaves an AUC of 0.600 [0.580, 0.620] by recordings" in said
    assert drawn.payers_aloud(records).startswith(
        "`scrub:3` costs those who stay 5.0 points of accuracy; `sisa:2` costs those who stay 6.0 points of accuracy and "
        "exposure (LiRA's AUC +0.040 [+0.030, +0.050]); behind `retrain` and `fine_tune:1` they pay "
        "no more accuracy than the tolerated 3 points, and no privacy that can be told."
    )
