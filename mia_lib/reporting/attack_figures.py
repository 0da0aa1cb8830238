"""All attacks beside each other, apart by the fragments on which they were tried."""

import pandas as pd
from matplotlib.figure import Figure

from mia_lib.reporting import figures
from mia_lib.reporting.looks import OTHERS, plt


def by_audit_set(records: pd.DataFrame, metric: str, chance: float) -> Figure:
    """A metric of attacks (rows) with 95 % intervals, in the order of the records, a panel for each number of decisions n:
    only attacks of one panel were asked about the same fragments."""
    part = records[records["metric"] == metric]
    panels = [own for _, own in part.groupby("n", sort=False)]
    heights = [len(own) for own in panels]
    size = 8, 0.25 * sum(heights) + 0.8 * len(panels) + 0.4
    figure, axes = plt.subplots(len(panels), 1, figsize=size, sharex=True, squeeze=False, height_ratios=heights)
    for axis, own, colour in zip(axes.flat, panels, OTHERS, strict=False):
        axis.errorbar(own["value"], range(len(own)), xerr=figures.span(own), fmt="o", color=colour, capsize=3)
        figures.guessing(axis, chance)
        axis.set_yticks(range(len(own)), [figures.name(attack) for attack in own["attack"]])
        axis.set_ylim(len(own) - 0.4, -0.6)
        axis.set_title(f"n = {own['n'].iloc[0]:,.0f}", color=colour, loc="right")
    axes[-1, 0].set_xlabel(f"{figures.name(metric)} (95 % interval)")
    return figure
