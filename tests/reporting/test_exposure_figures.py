"""Figures of who is exposed, and what they say, follow from the records."""

import math

import pandas as pd
import pytest

from mia_lib.evaluation.intervals import Measure
from mia_lib.reporting import exposure_figures as drawn
from mia_lib.reporting.figures import plt


def test_the_line_over_recordings_never_says_that_more_than_all_are_found():
    rows = [(3, 0.99, float("nan")), (6, 0.9, 0.7), (12, 0.4, 0.3)]
    records = pd.DataFrame(
        [
            dict(measure="tpr_at_fpr_1e-2", condition=f"recordings_{n:.1f}", value=v, low=low, high=v)
            for n, v, low in rows
        ]
    )
    figure = drawn.recordings(records)
    line = next(line for line in figure.axes[0].lines if line.get_linestyle() == "--").get_ydata()
    assert line.max() == 1 and line.min() < 0.5
    assert figure.get_label() == "Found, less false alarms: 98 % with 3 recordings of each person, 39 % with 12"
    plt.close("all")


def test_the_slope_is_that_of_a_power_law_above_false_alarms():
    rows = [dict(measure="tpr_at_fpr_1e-2", condition=f"recordings_{n}", value=0.01 + 0.8 / n) for n in (2, 4, 8)]
    slope, start = drawn.slope_of(pd.DataFrame(rows).assign(low=0.0, high=1.0))
    assert slope == pytest.approx(-1) and math.exp(start) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (0.7, "The estimate lies 30.0 points [20.0, 35.0] above what LiRA finds."),
        (0.3, "The estimate lies 10.0 points [5.0, 20.0] below what LiRA finds."),
        (0.45, "The estimate lies within the interval of what LiRA finds."),
    ],
)
def test_an_estimate_is_set_beside_the_interval_of_what_is_found(value, says):
    assert drawn.estimate_aloud(Measure(value, value, value, 9), Measure(0.4, 0.35, 0.5, 9)) == says
