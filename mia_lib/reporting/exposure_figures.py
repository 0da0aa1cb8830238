"""Figures of who is exposed: persons by attack, losses over the passes, and recordings per person."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mia_lib.evaluation.differences import difference
from mia_lib.evaluation.intervals import Measure
from mia_lib.reporting.figures import name
from mia_lib.reporting.looks import LINE, MARKS, MEMBER, NON_MEMBER, OTHERS, SOFT
from mia_lib.reporting.words import rate_at


def persons(table: pd.DataFrame, judge: str) -> Figure:
    """Share of each person's training recordings that each attack finds, mean over targets (`people.people`), persons in the
    order of the attack `judge`."""
    mean = table.pivot_table(index="speaker", columns="attack", values="found", aggfunc="mean")
    mean = mean.sort_values(judge)
    figure, axis = plt.subplots(figsize=(9, 3.6))
    for i, attack in enumerate(mean.columns):
        axis.plot(np.arange(len(mean)), 100 * mean[attack], MARKS[i], color=OTHERS[i], markersize=4, label=name(attack))
    axis.set(xlabel="persons, least to most exposed", ylabel="found of a person's recordings (%)")
    axis.legend(loc="upper left")
    first, last = mean[judge].iloc[[0, -1]]
    figure.set_label(
        f"{100 * first:.0f} % of the least and {100 * last:.0f} % of the most exposed person's recordings are found"
    )
    return figure


def traces(losses: np.ndarray, vulnerable: np.ndarray) -> Figure:
    """Loss over the passes, median and quartiles, of members [n, passes] that LiRA finds at 0.1 % false alarms, and of all
    others."""
    figure, axis = plt.subplots(figsize=(7, 3.6))
    for mask, colour, label in (
        (vulnerable, MEMBER, "found at 0.1 % false alarms"),
        (~vulnerable, NON_MEMBER, "others"),
    ):
        if not mask.any():
            continue
        low, middle, high = np.nanquantile(losses[mask], [0.25, 0.5, 0.75], axis=0)
        x = np.arange(len(middle))
        axis.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.plot(x, middle, color=colour, label=f"{label} ({int(mask.sum())} fragments)")
    axis.set(xlabel="passes over the training set", ylabel="loss in nats (median, quartiles)")
    axis.legend()
    return figure


def slope_of(records: pd.DataFrame, level: float = 0.01) -> tuple[float, float]:
    """Slope and start of the straight line that fits best, of log(TPR - FPR) over the logarithm of recordings of each
    person (Tobaben et al. 2024); a rate that is not above false alarms counts as a ten-thousandth above."""
    x, y, _, _ = _by_recordings(records, level)
    slope, start = np.polyfit(np.log(x), np.log(y), 1)
    return float(slope), float(start)


def _by_recordings(records: pd.DataFrame, level: float) -> list[np.ndarray]:
    """Recordings of each person, and TPR less FPR with its interval: [points] each."""
    rows = records[records["measure"] == rate_at(level)]
    ends = [np.clip(rows[end].to_numpy(float) - level, 1e-4, None) for end in ("value", "low", "high")]
    return [rows["condition"].str.removeprefix("recordings_").astype(float).to_numpy(), *ends]


def recordings(records: pd.DataFrame, level: float = 0.01) -> Figure:
    """How far a rate of finding members lies above false alarms against the recordings of each person, both logarithmic,
    with a straight line (`slope_of`), which ends where all are found."""
    (x, y, low, high), (slope, start) = _by_recordings(records, level), slope_of(records, level)
    along = np.geomspace(x.min(), x.max(), 100)
    figure, axis = plt.subplots(figsize=(7, 3.6))
    axis.errorbar(x, y, [y - low, high - y], fmt="o", color=MEMBER, capsize=3)
    axis.plot(along, np.minimum(np.exp(start) * along**slope, 1), color=SOFT, linestyle="--")
    axis.set(xscale="log", yscale="log")
    axis.set(xlabel="recordings of each person (logarithmic)", ylabel="members found less\nfalse alarms (logarithmic)")
    axis.set_xticks(x, [f"{value:g}" for value in x])
    axis.set_yticks(y, [f"{value:.3f}" for value in y])
    axis.minorticks_off()
    axis.grid(color=LINE)
    figure.set_label(
        f"Found, less false alarms: {100 * y[0]:.0f} % with {x[0]:g} recordings of each person, {100 * y[-1]:.0f} % with "
        f"{x[-1]:g}"
    )
    return figure


def estimate_aloud(estimate: Measure, found: Measure) -> str:
    """Whether an estimate of what an attack finds is right, by the interval of what it does find."""
    gap = difference(Measure(estimate.value, estimate.value, estimate.value, estimate.n), found)
    if gap.low <= 0 <= gap.high:
        return "The estimate lies within the interval of what LiRA finds."
    low, value, high = sorted(abs(100 * end) for end in (gap.low, gap.value, gap.high))
    side = "above" if gap.value > 0 else "below"
    return f"The estimate lies {value:.1f} points [{low:.1f}, {high:.1f}] {side} what LiRA finds."
