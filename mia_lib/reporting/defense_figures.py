"""Figures of the notebooks on defenses."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mia_lib.reporting import figures
from mia_lib.reporting.figures import MEMBER, OTHER, span

HOLLOW = 0.08  # how far a hollow mark stands above the filled one, in rows
MARKERS = "oDs^vPX*"
SPOT = 6  # pixels within which points are told apart by their label only
ACCURACIES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)  # marked on an axis


def sweep(table: pd.DataFrame, protocol: str = "utterance") -> Figure:
    """Each kind of defense on the validation model over its strengths, weakest left: balanced accuracy of the paper's attack
    without and with knowledge of the defense, and test accuracy; on the far left, without defense.

    table: of `families.validate`.
    """
    undefended = table.loc[["none"]]
    kinds: dict[str, list[str]] = {}
    for defense in table.index.drop("none"):
        kinds.setdefault("+".join(part.partition(":")[0] for part in defense.split("+")), []).append(defense)
    columns = min(len(kinds), 4)
    figure, axes = plt.subplots(
        -(-len(kinds) // columns),
        columns,
        figsize=(2.9 * columns, 2.6 * -(-len(kinds) // columns)),
        sharey=True,
        squeeze=False,
    )
    looks = {
        "test accuracy": ("test_accuracy", dict(color="grey", marker="s", linestyle=":")),
        "attack that does not know the defense": (protocol, dict(color=OTHER, marker="o")),
        "attack that knows it": (f"{protocol}_adaptive", dict(color=MEMBER, marker="D")),
    }
    for axis, (kind, defenses) in zip(axes.flat, kinds.items(), strict=False):
        part = pd.concat([undefended, table.loc[defenses]])
        for label, (column, look) in looks.items():
            axis.plot(np.arange(len(part)), part[column], label=label, markersize=5, **look)
        axis.axhline(0.5, color="grey", linewidth=0.8, linestyle="--")
        axis.set_xticks(np.arange(len(part)), ["none", *(_strength(defense) for defense in defenses)])
        axis.set_title("\n+ ".join(kind.split("+")).replace("_", " "), fontsize=10)
        axis.margins(x=0.15)
    for axis in axes.flat[len(kinds) :]:
        axis.set_visible(False)
    figure.supylabel("share of fragments", fontsize=10)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3
    )
    figure.tight_layout()
    return figure


def _strength(defense: str) -> str:
    """The number in a defense's name, or "on" where it has none; of a combination, that of the first."""
    return defense.partition("+")[0].partition(":")[2] or "on"


def judged(records: pd.DataFrame, metric: str = "auc", protocol: str = "utterance", chance: float = 0.5) -> Figure:
    """What each attack finds behind each judged defense, with 95 % intervals; hollow: it does not know the defense."""
    table = records[(records["metric"] == metric) & (records["protocol"] == protocol)]
    table = table[table["attack"] != "largest_posterior"]
    attacks, defenses = list(dict.fromkeys(table["attack"])), list(dict.fromkeys(table["defense"]))
    figure, axis = plt.subplots(figsize=(8, 1 + 0.24 * len(attacks) * (1 + len(defenses))))
    for i, (defense, colour) in enumerate(zip(defenses, sns.color_palette("colorblind"), strict=False)):
        for adaptive in (False, True):
            part = table[(table["defense"] == defense) & (table["adaptive"] == adaptive)]
            y = np.array([attacks.index(a) for a in part["attack"]]) + 0.22 * (i - (len(defenses) - 1) / 2)
            y -= 0 if adaptive else HOLLOW  # a little above, where both find the same
            look: dict[str, Any] = dict(
                fmt="D" if adaptive else "o", mfc=colour if adaptive else "white", color=colour, capsize=3
            )
            axis.errorbar(part["value"], y, xerr=span(part), label=defense if adaptive else None, **look)
    axis.axvline(chance, color="grey", linestyle=":", label="chance")
    axis.set_yticks(range(len(attacks)), [figures.name(a) for a in attacks])
    axis.invert_yaxis()
    axis.set_xlabel(f"{figures.name(metric)}, protocol {protocol} (95 % interval)")
    handles, labels = axis.get_legend_handles_labels()
    hollow = plt.Line2D([], [], marker="o", mfc="white", color="grey", linestyle="")
    axis.legend(
        [*handles, hollow], [*labels, "hollow: does not know it"], fontsize=9, loc="upper left", bbox_to_anchor=(1, 1)
    )
    return figure


def promise(noise: np.ndarray, budgets: list[float]) -> Figure:
    """Epsilon promised against the noise multiplier, both logarithmic."""
    figure, axis = plt.subplots(figsize=(8, 3.5))
    sns.lineplot(x=noise, y=budgets, ax=axis)
    axis.axhline(1, color="grey", linestyle=":", label="epsilon 1: odds change by at most a factor of e")
    axis.set(xscale="log", yscale="log", xlabel="noise, in multiples of the clipping norm", ylabel="epsilon promised")
    axis.legend(fontsize=9)
    return figure


def plane(points: pd.DataFrame, ylabel: str, chance: float) -> Figure:
    """Privacy against utility: one numbered point per defense (index), test accuracy x and leakage y, each with low and high.

    To the right errors are drawn on a logarithmic scale, so that good models stand apart. Where guessing finds few, the
    height is logarithmic above its share.
    """
    figure, axis = plt.subplots(figsize=(7.5, 6.5))
    families = list(dict.fromkeys(points["family"]))
    looks = {
        family: dict(marker=marker, color=colour, linestyle="")
        for family, marker, colour in zip(families, MARKERS, sns.color_palette("colorblind"), strict=False)
    }
    points = points.assign(number=np.arange(1, len(points) + 1).astype(str))
    for name, row in points.iterrows():
        spans: dict[str, Any] = {
            f"{a}err": np.abs([[row[a] - row[f"{a}_low"]], [row[f"{a}_high"] - row[a]]]) for a in "xy"
        }
        look = looks[row["family"]] | dict(label=f"{row['number']}  {name} ({row['family']})")
        axis.errorbar(row["x"], row["y"], capsize=2, alpha=0.9, **look, **spans)
    axis.axhline(chance, color="grey", linestyle=":")
    if chance < 0.1:
        axis.set_yscale("symlog", linthresh=chance)
        axis.set_ylim(-chance / 4, 1)
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    right = min(0.999, 1 - (1 - points["x_high"].max()) / 1.5)
    axis.set_xscale("function", functions=(_of_error, lambda x: 1 - 10.0**-x))
    axis.set_xlim(max(0.0, points["x_low"].min() - 0.05), right)
    axis.set_xticks(_apart([tick for tick in ACCURACIES if axis.get_xlim()[0] <= tick <= right], axis.get_xlim()))
    across, up = np.round(axis.transData.transform(points[["x", "y"]]) / SPOT).T
    for _, spot in points.groupby([across, up]):  # what lies on one spot shares a label
        place = spot["x"].iloc[0], spot["y"].iloc[0]
        axis.annotate(", ".join(spot["number"]), place, (5, 4), textcoords="offset points", fontsize=9)
    axis.set(xlabel="test accuracy (95 % interval)", ylabel=ylabel)
    lines, labels = [bars[0] for bars in axis.containers], [str(bars.get_label()) for bars in axis.containers]
    axis.legend(lines, labels, fontsize=9, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))
    return figure


def seeds_plane(points: pd.DataFrame, ylabel: str, chance: float) -> Figure:
    """Privacy against utility over seeds: for each defense a small point for every seed and a numbered one for their mean.

    points: defense, seed, test accuracy x and leakage y.
    """
    figure, axis = plt.subplots(figsize=(7.5, 6.5))
    names = list(dict.fromkeys(points["defense"]))
    colours = sns.color_palette("husl", len(names))
    for place, (name, colour) in enumerate(zip(names, colours, strict=True), start=1):
        own = points[points["defense"] == name]
        axis.plot(own["x"], own["y"], ".", color=colour, alpha=0.6)
        mean = own["x"].mean(), own["y"].mean()
        axis.plot(*mean, "o", color=colour, markersize=9, label=f"{place}  {name}")
        axis.annotate(str(place), mean, (6, 5), textcoords="offset points", fontsize=9)
    axis.axhline(chance, color="grey", linestyle=":")
    axis.set(xlabel="test accuracy", ylabel=ylabel)
    axis.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))
    return figure


def _apart(ticks: list[float], limits: tuple[float, float]) -> list[float]:
    """The ticks, from the right, that stand at least a twelfth of the axis apart."""
    start, end = _of_error(limits)
    kept: list[float] = []
    for tick in reversed(ticks):
        if not kept or _of_error(kept[-1]) - _of_error(tick) >= (end - start) / 12:
            kept.append(tick)
    return kept[::-1]


def _of_error(accuracy: ArrayLike) -> np.ndarray:
    return -np.log10(np.clip(1 - np.asarray(accuracy), 1e-4, None))
