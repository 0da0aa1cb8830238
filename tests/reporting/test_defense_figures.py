"""What figures of defenses say and how they mark families follows from records and names alone."""

import pandas as pd

from mia_lib.reporting import defense_figures as drawn
from mia_lib.reporting.figures import plt
from mia_lib.studies.selection import FAMILIES


def row(defense, measure, value, low, high):
    return dict(defense=defense, measure=measure, value=value, low=low, high=high, n=100, metric=measure)


def test_a_compressed_model_that_names_hardly_anybody_is_broken_whatever_it_leaks():
    rows = [row("none", "test_accuracy", 0.9, 0.88, 0.92)]
    for defense, accuracy, change in (
        ("pruning:0.9", 0.4, -0.3),
        ("quantise:8", 0.9, 0.001),
        ("quantise:4", 0.9, -0.008),
    ):
        rows.append(row(defense, "test_accuracy", accuracy, accuracy - 0.02, accuracy + 0.02))
        rows.append(row(defense, "strongest_auc_change", change, change - 0.002, change + 0.002))
    pruned, fine, coarse = drawn.compressed_aloud(pd.DataFrame(rows))
    assert pruned.startswith("`pruning:0.9`: a broken model (AUC of the strongest attack -0.300 [")
    assert pruned.endswith("test accuracy 40.0 % [38.0, 42.0] beside 90.0 % [88.0, 92.0].")
    assert fine.startswith("`quantise:8`: leaks as much (")
    assert coarse.startswith("`quantise:4`: leaks hardly less (")


def test_a_family_has_the_same_mark_whichever_others_are_drawn():
    points = pd.DataFrame(
        dict(family=["privacy", "combination"], x=[0.5, 0.8], y=[0.6, 0.7]), index=["dp_sgd:8", "selena:6+hamp_output"]
    )
    points = points.assign(x_low=points.x, x_high=points.x, y_low=points.y, y_high=points.y)
    figure = drawn.plane(points, "AUC", 0.5)
    marks = [
        line.get_marker() for line in figure.axes[0].lines if line.get_marker() not in ("None", "", "|", "_", None)
    ]
    assert {drawn._mark_of("privacy"), drawn._mark_of("combination")} <= set(marks)
    assert len({drawn._mark_of(family) for family in ("undefended", "baseline", *FAMILIES)}) == 2 + len(FAMILIES)
    plt.close("all")
