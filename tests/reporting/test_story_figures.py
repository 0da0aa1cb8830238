"""Figures that explain show what they are given."""

import numpy as np
import pandas as pd
import pytest

from mia_lib.reporting import story_figures
from mia_lib.reporting.looks import MEMBER, NON_MEMBER, plt


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def looks(inside):
    rows = [
        dict(model=m, epoch=e, inside=inside(m), phi=float(m + e)) for m in range(4) for e in range(3)
    ]  # models 0 and 1 are the pair
    return pd.DataFrame(rows)


def test_who_trained_on_the_recording_has_the_members_colour_on_the_left_and_nobody_on_the_right():
    figure = story_figures.two_worlds(looks(lambda m: m in (0, 2)), looks(lambda m: m == 2))
    left, right = ([(line.get_color(), line.get_linewidth() > 2) for line in axis.lines] for axis in figure.axes)
    assert left == [(MEMBER, False), (NON_MEMBER, False), (MEMBER, True), (NON_MEMBER, True)]
    assert right[2:] == [(NON_MEMBER, True)] * 2
    legends = [[line.get_color() for line in axis.get_legend().get_lines()[:2]] for axis in figure.axes]
    assert legends == [[MEMBER, NON_MEMBER], [NON_MEMBER, NON_MEMBER]]
    assert figure.axes[0].lines[2].get_ydata().tolist() == [0, 1, 2]


def test_heights_of_log_odds_are_marked_by_their_posteriors():
    figure = story_figures.two_worlds(looks(lambda m: m == 0), looks(lambda m: False))
    marks = dict(
        zip((t.get_text() for t in figure.axes[0].get_yticklabels()), figure.axes[0].get_yticks(), strict=True)
    )
    assert marks["50 %"] == 0 and marks["90 %"] == pytest.approx(np.log(9)) and "10 %" not in marks


def test_answers_stand_in_the_order_of_the_models_own():
    before = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
    figure = story_figures.answers(before, {"reversed": before[:, ::-1]}, ("one", "other"))
    heights = [[bar.get_height() for bar in axis.patches] for axis in figure.axes]
    assert heights == [[0.7, 0.2, 0.1], [0.7, 0.1, 0.2], [0.5, 0.3, 0.2], [0.3, 0.5, 0.2]]


def test_losses_stand_as_shares_with_their_medians_also_where_they_are_zero():
    figure = story_figures.losses({"none": (np.array([0.0, 1e-3, 1e-2]), np.array([0.1, 1.0]))})
    (axis,) = figure.axes
    medians = sorted(10 ** float(line.get_xdata()[0]) for line in axis.lines)
    assert medians == pytest.approx([1e-3, 10**-0.5])
    assert sum(bar.get_height() for bar in axis.patches) == pytest.approx(2)


def test_a_threshold_is_drawn_where_it_was_learnt_and_where_it_is_applied():
    sides = (np.array([0.99, 0.999]), np.array([0.5, 0.9]))
    figure = story_figures.threshold(sides, sides, 0.95)
    assert all(axis.lines[-1].get_xdata()[0] == pytest.approx(0.05) for axis in figure.axes)


def test_a_network_is_drawn_with_all_its_layers():
    figure = story_figures.network([("input", "94 × 20", 0), ("linear", "30", 1234)])
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"input", "linear", "94 × 20", "30", "1,234"} <= texts
