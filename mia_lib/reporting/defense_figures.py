"""Figures of the notebooks on defenses."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mia_lib.evaluation.changes import in_a_word
from mia_lib.evaluation.differences import compared, difference
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.reading import measure_of
from mia_lib.evaluation.verdicts import BROKEN
from mia_lib.reporting import figures, labels
from mia_lib.reporting.figures import end_of_guessing, guessing, span
from mia_lib.reporting.looks import DEFENDED, MARKS, OTHERS, PAPER, SOFT, UNDEFENDED, plt
from mia_lib.reporting.words import percent
from mia_lib.studies.selection import FAMILIES

HOLLOW = 0.08  # how far a hollow mark stands above the filled one, in rows
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
    columns = min(len(kinds), 3)
    figure, axes = plt.subplots(
        -(-len(kinds) // columns),
        columns,
        figsize=(2.8 * columns, 2.5 * -(-len(kinds) // columns)),
        sharey=True,
        squeeze=False,
    )
    looks = {
        "test accuracy": ("test_accuracy", dict(color=SOFT, marker="s", linestyle=":")),
        "attack that does not know the defense (hollow)": (
            protocol,
            dict(color=DEFENDED, marker="o", mfc=PAPER, ls="--"),
        ),
        "attack that knows it": (f"{protocol}_adaptive", dict(color=DEFENDED, marker="D")),
    }
    for axis, (kind, defenses) in zip(axes.flat, kinds.items(), strict=False):
        part = pd.concat([undefended, table.loc[defenses]])
        for label, (column, look) in looks.items():
            axis.plot(np.arange(len(part)), part[column], label=label, markersize=5, **look)
        axis.axhline(0.5, color=SOFT, linewidth=1.2, linestyle=":")
        axis.set_xticks(np.arange(len(part)), ["none", *(_strength(defense) for defense in defenses)])
        axis.set_title("\n+ ".join(kind.split("+")).replace("_", " "))
        axis.margins(x=0.15)
    for axis in axes.flat[len(kinds) :]:
        axis.set_visible(False)
    figure.supylabel("share of fragments\n(dotted: guessing)", fontsize="medium")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=min(3, 1 + columns // 2),
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
    colours, shown = {"none": UNDEFENDED}, [defense for defense in defenses if defense != "none"]
    colours |= dict(zip(shown, (DEFENDED, *OTHERS), strict=False))
    for i, defense in enumerate(defenses):
        colour = colours[defense]
        for adaptive in (False, True):
            part = table[(table["defense"] == defense) & (table["adaptive"] == adaptive)]
            y = np.array([attacks.index(a) for a in part["attack"]]) + 0.22 * (i - (len(defenses) - 1) / 2)
            y -= 0 if adaptive else HOLLOW  # a little above, where both find the same
            look: dict[str, Any] = dict(
                fmt="D" if adaptive else "o", mfc=colour if adaptive else PAPER, color=colour, capsize=3
            )
            axis.errorbar(part["value"], y, xerr=span(part), label=defense if adaptive else None, **look)
    guessing(axis, chance)
    axis.set_yticks(range(len(attacks)), [figures.name(a) for a in attacks])
    axis.invert_yaxis()
    axis.set_xlabel(f"{figures.name(metric)}, protocol {protocol} (95 % interval)")
    handles, names = axis.get_legend_handles_labels()
    hollow = plt.Line2D([], [], marker="o", mfc=PAPER, color=SOFT, linestyle="")
    axis.legend([*handles, hollow], [*names, "hollow: does not know it"], loc="upper left", bbox_to_anchor=(1.01, 1))
    figure.set_label(_strongest_behind(table, shown, metric))
    return figure


def _strongest_behind(table: pd.DataFrame, defenses: list[str], metric: str) -> str:
    """The strongest attack behind each defense, in words."""
    told = []
    for defense in defenses:
        part = table[(table["defense"] == defense) & table["adaptive"]].dropna(subset="value")
        if len(part):
            best = part.loc[part["value"].idxmax()]
            told.append(f"behind {defense}, {figures.name(best['attack'])} ({best['value']:.2f})")
    return f"The most by {figures.name(metric)}: {'; '.join(told)}" if told else ""


def _measured(point: pd.Series, axis: str) -> Measure:
    """What a point of `verdicts.points` has on an axis, `x` or `y`."""
    return Measure(point[axis], point[f"{axis}_low"], point[f"{axis}_high"], 0)


def beside(points: pd.DataFrame, one: str, other: str) -> str:
    """What two defenses of `verdicts.points` leave to the strongest attack, and of accuracy, in a sentence."""
    words = {
        "y": {"more": "leaks more", "less": "leaks less"},
        "x": {"more": "is more accurate", "less": "is less accurate"},
    }
    said = []
    for axis, what in (("y", "AUC"), ("x", "test accuracy")):
        mine, its = (_measured(points.loc[name], axis) for name in (one, other))
        gap = difference(mine, its)
        word = words[axis].get(compared(gap, 0.0), "not told apart")
        said.append(f"{what} {mine.value:.3f} beside {its.value:.3f}, difference {gap.signed()}: {word}")
    return f"`{one}` beside `{other}`: {'; '.join(said)}."


def promise(noise: np.ndarray, budgets: list[float]) -> Figure:
    """Epsilon promised against the noise multiplier, both logarithmic."""
    figure, axis = plt.subplots(figsize=(8, 3.5))
    axis.plot(noise, budgets, color=DEFENDED)
    axis.axhline(1, color=SOFT, linestyle=":")
    above: dict[str, Any] = dict(textcoords="offset points", ha="left", va="bottom", color=SOFT)
    text = "ε = 1: odds change by at most a factor of e"
    axis.annotate(text, (0, 1), (4, 3), xycoords=("axes fraction", "data"), **above)
    axis.set(xscale="log", yscale="log", xlabel="noise, in multiples of the clipping norm", ylabel="ε promised")
    return figure


def compressed_aloud(records: pd.DataFrame) -> list[str]:
    """What becomes of the strongest attack behind each compressed model, in a sentence with its accuracy; a model that names
    hardly anybody any more is called broken, as everywhere."""
    accuracy = records[records["measure"] == "test_accuracy"].set_index("defense")
    said = []
    for name, row in records[records["measure"] == "strongest_auc_change"].set_index("defense").iterrows():
        change = measure_of(row)
        broken = accuracy.loc[name, "value"] < BROKEN * accuracy.loc["none", "value"]
        told = "a broken model" if broken else in_a_word(change)
        said.append(
            f"`{name}`: {told} (AUC of the strongest attack {change.signed()}), test accuracy "
            f"{percent(accuracy.loc[name])} beside {percent(accuracy.loc['none'])}."
        )
    return said


def plane(points: pd.DataFrame, ylabel: str, chance: float, chosen: str = "") -> Figure:
    """Privacy against utility: one named point per defense (index), test accuracy x and leakage y, each with low and high;
    chosen: the one that a rule recommends, which the title tells of.

    To the right errors are drawn on a logarithmic scale, so that good models stand apart. Where guessing finds few, the
    height is logarithmic above its share.
    """
    figure, axis = plt.subplots(figsize=(7.2, 4.6))
    families = dict.fromkeys(points["family"])
    looks: dict[str, dict[str, Any]] = {
        family: dict(marker=_mark_of(family), color=_of_family(family)) for family in families
    }
    for name, point in points.iterrows():
        spans: dict[str, Any] = {
            f"{a}err": np.abs([[point[a] - point[f"{a}_low"]], [point[f"{a}_high"] - point[a]]]) for a in "xy"
        }
        look = looks[point["family"]] | dict(linestyle="", label=name)
        axis.errorbar(point["x"], point["y"], capsize=2, alpha=0.75, elinewidth=1, markersize=7, **look, **spans)
    _axes_of_plane(axis, points, chance)
    axis.set(xlabel="test accuracy (95 % interval; errors on a logarithmic scale)", ylabel=ylabel)
    figure.set_layout_engine("none")
    figure.subplots_adjust(left=0.1, right=0.98, bottom=0.1, top=0.97)
    colours = [_of_family(family) for family in points["family"]]
    labels.at_ends(axis, _ends(points, colours) | end_of_guessing(axis, chance))
    if chosen:
        mine, bare = (f"{points['y'][name]:.2g} at {100 * points['x'][name]:.1f} %" for name in (chosen, "none"))
        figure.set_label(f"Recommended by the rule: {chosen}, {mine} test accuracy; undefended {bare}")
    marks = [plt.Line2D([], [], label=family, linestyle="", **look) for family, look in looks.items()]
    figure.legend(handles=marks, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=min(4, len(marks)))
    return figure


def _ends(points: pd.DataFrame, colours: list[str]) -> dict[str, tuple[float, float, str]]:
    """Points as `labels.at_ends` names them."""
    return dict(zip(map(str, points.index), zip(points["x"], points["y"], colours, strict=True), strict=True))


def _mark_of(family: str) -> str:
    """The mark of a family, the same in every figure of every run."""
    return MARKS[("undefended", "baseline", *FAMILIES).index(family)]


def _of_family(family: str) -> str:
    """Undefended models in their colour; of defenses, the family is told by the mark alone."""
    return {"undefended": UNDEFENDED, "baseline": SOFT}.get(family, DEFENDED)


def _axes_of_plane(axis: Axes, points: pd.DataFrame, chance: float) -> None:
    """Scales, limits and marks of a plane."""
    axis.axhline(chance, color=SOFT, linestyle=":", linewidth=1.2, zorder=0)
    if chance < 0.1:
        axis.set_yscale("symlog", linthresh=chance)
        axis.set_ylim(-chance / 4, 1)
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    low, high = max(0.0, points["x_low"].min() - 0.05), points["x_high"].max()
    right = min(0.999, 1 - (1 - high) / 1.5)
    axis.set_xscale("function", functions=(_of_error, lambda x: 1 - 10.0**-x))
    axis.set_xlim(low, right)
    axis.set_xticks(_apart([tick for tick in ACCURACIES if low <= tick <= right], (low, right)))


def seeds_plane(points: pd.DataFrame, ylabel: str, chance: float) -> Figure:
    """Privacy against utility over seeds: for each defense a small point for every seed and a named one for their mean.

    points: defense, seed, test accuracy x and leakage y.
    """
    figure, axis = plt.subplots(figsize=(7.2, 4.6))
    means = points.groupby("defense", sort=False)[["x", "y"]].mean()
    colours = {name: UNDEFENDED if name == "none" else DEFENDED for name in means.index}
    marks = {name: MARKS[place % len(MARKS)] for place, name in enumerate(means.index)}
    for name, mean in means.iterrows():
        own, colour = points[points["defense"] == name], colours[name]
        for x, y in zip(own["x"], own["y"], strict=True):
            axis.plot([x, mean["x"]], [y, mean["y"]], color=colour, alpha=0.25, linewidth=0.8)
        axis.plot(own["x"], own["y"], ".", color=colour, alpha=0.5)
        axis.plot(*mean, marks[name], color=colour, markersize=8)
    axis.set(xlabel="test accuracy", ylabel=ylabel)
    labels.at_ends(axis, _ends(means, list(colours.values())) | end_of_guessing(axis, chance))
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
