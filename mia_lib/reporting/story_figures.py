"""Figures that explain: one recording in two worlds, a network's layers, answers before and after a defense."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mia_lib.reporting.looks import MEMBER, NON_MEMBER, SOFT, plt

DOUBTS = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
"""Posteriors that are marked on an axis which opens up near 1."""
FAINT = 0.25

LEAST = 1e-7
"""Nats below which losses are drawn as this."""


def two_worlds(recording: pd.DataFrame, bystander: pd.DataFrame, pair: tuple[int, int] = (0, 1)) -> Figure:
    """How sure models are of the right speaker over the epochs of their training: of a recording that the first of a pair
    trained on and the second did not (left), and of one that neither trained on (right). Faint: other models.

    recording, bystander: tables of `Counterfactual` on one fragment each, with columns model, epoch, inside, phi.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    titles = ("a recording that one of the two trained on", "a recording that neither trained on")
    ends = ("trained on it", "did not: only this one differs"), ("trained on the left one", "did not")
    faint = [mark_line(colour, "-", alpha=FAINT + 0.1, width=1) for colour in (MEMBER, NON_MEMBER)]
    others = ("others that trained on it", "others that did not")
    for axis, table, title, names in zip(axes, (recording, bystander), titles, ends, strict=True):
        for _, line in table[~table["model"].isin(pair)].groupby("model"):
            colour = MEMBER if line["inside"].iloc[0] else NON_MEMBER
            axis.plot(line["epoch"], line["phi"], color=colour, alpha=FAINT, linewidth=1)
        for model, dashes in zip(pair, ("-", "--"), strict=True):
            line = table[table["model"] == model]
            colour = MEMBER if line["inside"].iloc[0] else NON_MEMBER
            axis.plot(line["epoch"], line["phi"], color=colour, linewidth=2.5, linestyle=dashes)
        look: dict[str, Any] = dict(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, columnspacing=1)
        axis.legend([*axis.lines[-2:], *faint], [*names, *others], **look)
        axis.set_title(title)
        axis.set(xlabel="epoch", ylabel="")
    posterior_axis(axes[0])
    axes[0].set_ylabel("posterior of the right speaker")
    return figure


def mark_line(colour: str, dashes: Any, alpha: float = 1.0, width: float = 2.5) -> Any:
    """What stands for a line in a legend."""
    return plt.Line2D([], [], color=colour, linestyle=dashes, alpha=alpha, linewidth=width)


def posterior_axis(axis: Axes) -> None:
    """Mark heights that are log-odds, in nats, by the posteriors that they stand for."""
    low, high = axis.get_ylim()
    marks = [p for p in (*(1 - p for p in DOUBTS[:0:-1]), *DOUBTS) if low <= np.log(p / (1 - p)) <= high]
    axis.set_yticks([np.log(p / (1 - p)) for p in marks], [f"{100 * p:.6g} %" for p in marks])


def network(layers: Sequence[tuple[str, str, int]]) -> Figure:
    """A network's layers from left to right, as `layers_of` lists them: what each is called and does, the shape that it
    gives, and how many weights it has. Heights grow with the number of weights."""
    figure, axis = plt.subplots(figsize=(10, 3.6))
    most = max(np.log10(1 + weights) for *_, weights in layers) or 1
    for place, (name, shape, weights) in enumerate(layers):
        height = 0.35 + 0.65 * np.log10(1 + weights) / most
        box = FancyBboxPatch(
            (place - 0.4, -height / 2), 0.8, height, boxstyle="round,pad=0,rounding_size=0.06", ec=SOFT, fc="none"
        )
        axis.add_patch(box)
        axis.text(place, 0, name.replace(", ", "\n"), ha="center", va="center")
        axis.text(place, -0.58, shape, ha="center", va="top")
        if weights:
            axis.text(place, height / 2 + 0.04, f"{weights:,}", ha="center", va="bottom", color=SOFT)
        if place:
            axis.annotate("", (place - 0.41, 0), (place - 0.59, 0), arrowprops=dict(arrowstyle="->", color=SOFT))
    axis.text(-0.5, -0.58, "shape", ha="right", va="top", color=SOFT)
    axis.text(-0.5, 0.56, "weights", ha="right", va="bottom", color=SOFT)
    axis.set(xlim=(-0.9, len(layers) - 0.5), ylim=(-0.75, 0.75))
    axis.axis("off")
    return figure


def answers(
    before: np.ndarray, after: dict[str, np.ndarray], titles: tuple[str, str], first: str = "no defense", most: int = 6
) -> Figure:
    """The largest posteriors of two fragments, p [2, classes], before a change (the column called `first`) and as each change
    makes them (name -> p [2, classes]); the first fragment is a member. Classes in the order of the model's own answer."""
    shown = {first: before, **after}
    figure, axes = plt.subplots(2, len(shown), figsize=(2.4 * len(shown), 4), sharex=True, sharey=True, squeeze=False)
    for row, (colour, title) in enumerate(zip((MEMBER, NON_MEMBER), titles, strict=True)):
        order = np.argsort(-before[row], kind="stable")[:most]
        for axis, (name, p) in zip(axes[row], shown.items(), strict=True):
            bars = axis.bar(np.arange(1, len(order) + 1), p[row, order], color=colour)
            axis.bar_label(bars, [f"{value:.3f}" if i == 0 else "" for i, value in enumerate(p[row, order])], padding=1)
            axis.set_title(name if row == 0 else "", parse_math=False)
            axis.set(ylim=(0, 1.18), xlim=(-0.2, most + 1), xticks=range(1, most + 1))
        axes[row, 0].set_ylabel(f"{title}\nposterior")
    figure.supxlabel("speakers, from the one that the model names", fontsize="medium")
    return figure


def losses(groups: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """For each model (name -> losses of members and of non-members, nats) both histograms, over the logarithm of the loss."""
    figure, axes = plt.subplots(
        1,
        len(groups),
        figsize=(min(4.6, 9.6 / len(groups)) * len(groups), 3.4),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    every = np.log10(np.clip(np.concatenate([np.concatenate(pair) for pair in groups.values()]), LEAST, None))
    edges = np.linspace(every.min(), every.max(), 31)
    for axis, (name, pair) in zip(axes[0], groups.items(), strict=True):
        for values, colour, label in zip(pair, (MEMBER, NON_MEMBER), ("trained on", "other recordings"), strict=True):
            weights = np.full(len(values), 1 / max(1, len(values)))
            clipped = np.log10(np.clip(values, LEAST, None))
            axis.hist(clipped, edges, weights=weights, color=colour, alpha=0.5, label=label)
            axis.axvline(np.median(clipped), color=colour, linestyle="--")
        axis.set_title(name, parse_math=False)
        axis.set_xlabel("loss (nats; dashed: median)")
        marks = np.linspace(every.min(), every.max(), 5 if len(groups) < 3 else 3)
        axis.set_xticks(marks, [_tick(mark, every.min()) for mark in marks])
    axes[0, 0].set_ylabel("share of fragments")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=2)
    return figure


def _tick(mark: float, lowest: float) -> str:
    """The loss at a place of the logarithmic axis; at its lower end also smaller ones."""
    text = f"{10**mark:.1g}"
    return f"≤ {text}" if mark == lowest == np.log10(LEAST) else text


def threshold(rehearsal: tuple[np.ndarray, np.ndarray], real: tuple[np.ndarray, np.ndarray], cut: float) -> Figure:
    """Largest posteriors of members and non-members of a shadow model (left) and of the target (right), as shares below
    each value, with the threshold that the shadow taught, on a scale that opens up near 1."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharex=True, sharey=True)
    names = ("shadow model: the attacker knows who is a member", "target: the attacker does not")
    for axis, pair, name in zip(axes, (rehearsal, real), names, strict=True):
        for values, colour, label in zip(pair, (MEMBER, NON_MEMBER), ("members", "non-members"), strict=True):
            doubt = np.sort(np.clip(1 - values, 1e-10, 1))
            share = np.arange(1, len(doubt) + 1) / len(doubt)
            axis.plot(doubt, share, color=colour, label=label, drawstyle="steps-post")
        axis.axvline(max(1 - cut, 1e-10), color=SOFT, linestyle="--", label="threshold from the shadow")
        axis.set(xscale="log", xlabel="1 − largest posterior (right: certain)", title=name)
    axes[0].set_ylabel("share at least this sure")
    axes[0].invert_xaxis()
    axes[1].legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure
