"""Figures of the notebook on unlearning, and what each of them says, both made of the records."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mia_lib.evaluation.claims import Pick
from mia_lib.evaluation.forgotten import (
    ALL,
    BEFORE,
    LEAVERS,
    NOTHING,
    OTHERS,
    POPULATION,
    VIEWS,
    beyond_retraining,
    found,
    looks_forgotten,
    number_of,
    paid_by_others,
)
from mia_lib.evaluation.intervals import Measure
from mia_lib.reporting import looks as house
from mia_lib.reporting.looks import CONTROL, MEMBER, NON_MEMBER, plt

Named = dict[str, Measure]
"""Numbers of methods by name, in the order in which they are drawn."""


def methods_of(records: pd.DataFrame) -> list[str]:
    """The methods of some records, without the models as they are."""
    return [name for name in records["defense"].unique() if name != BEFORE]


def _named(names: list[str], numbers: list[Measure | None]) -> Named:
    return {name: number for name, number in zip(names, numbers, strict=True) if number is not None}


def _dots(axis: Axes, order: list[str], values: Named, shift: float = 0.0, **look) -> None:
    """Values with their 95 % intervals beside the names on the left."""
    if not values:
        return
    y = np.array([order.index(name) for name in values]) + shift
    middle = np.array([number.value for number in values.values()])
    ends = np.array([[m.value - m.low, m.high - m.value] for m in values.values()]).T.clip(0)
    axis.errorbar(middle, y, xerr=ends, capsize=3, linestyle="", **look)


def _names(axis: Axes, order: list[str]) -> None:
    words = {BEFORE: "before anybody leaves"}
    axis.set_yticks(range(len(order)), [words.get(name, name.replace("_", " ")) for name in order])
    axis.set_ylim(len(order) - 0.4, -0.6)


def looks(records: pd.DataFrame) -> Figure:
    """What papers on unlearning report: how often the person is named on training recordings, and the population attack.
    Its label, as that of the others, is what it shows in a sentence."""
    order = [BEFORE, *methods_of(records)]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 1.4 + 0.36 * len(order)), sharey=True)
    right_share = [number_of(records, name, "train_accuracy", LEAVERS) for name in order]
    attack = [number_of(records, name, "auc", LEAVERS, POPULATION) for name in order]
    _dots(left, order, _named(order, right_share), fmt="o", color=MEMBER)
    _dots(right, order, _named(order, attack), fmt="o", color=NON_MEMBER)
    right.axvline(0.5, color=CONTROL, linestyle=":", label="guessing")
    _names(left, order)
    left.set(xlim=(-0.03, 1.03), xlabel="share of training recordings named right")
    right.set(xlabel="AUC of the population attack")
    passed = [name for name in methods_of(records) if looks_forgotten(records, name)]
    figure.set_label(f"By the usual tests {len(passed)} of {len(order) - 1} methods have forgotten the person")
    return figure


def looks_aloud(records: pd.DataFrame) -> str:
    """The picture of `looks` in a sentence."""
    passed = [name for name in methods_of(records) if looks_forgotten(records, name)]
    failed = [name for name in methods_of(records) if name not in passed]
    before = number_of(records, BEFORE, "train_accuracy", LEAVERS)
    assert before is not None, "the models as they are were measured"
    told = f"Before anybody leaves, {100 * before.value:.0f} % of a person's training recordings are named right. "
    told += f"Who looks at nothing else believes {_listed(passed)}" if passed else "No method passes the usual tests"
    return told + (f", and sees that {_listed(failed)} did not work." if failed else ".")


def traces(records: pd.DataFrame) -> Figure:
    """What U-LiRA finds behind each method in its views, beside models that were asked to forget whom they never knew."""
    order = [BEFORE, *methods_of(records)]
    figure, axes = plt.subplots(1, 2, figsize=(10, 1.6 + 0.46 * len(order)), sharey=True, sharex=True)
    for axis, condition in zip(axes, dict.fromkeys(kind for _, kind in VIEWS), strict=True):
        views = [view for view in VIEWS if view[1] == condition]
        for view, colour, shift in zip(views, house.OTHERS, (-0.14, 0.14), strict=False):
            label = VIEWS[view].partition(",")[0]
            own = _named(order, [found(records, name, *view) for name in order])
            _dots(axis, order, own, shift, fmt="o", color=colour, label=label)
            control = _named(order, [found(records, name, *view, "unexposed") for name in order])
            _dots(axis, order, control, shift, fmt="o", color=colour, mfc="none", alpha=0.6)
        axis.axvline(0.5, color=CONTROL, linestyle=":")
        axis.set(xlabel="AUC of U-LiRA (0.5: nobody can tell)")
        axis.set_title("every class answers" if condition == ALL else "the person's class is taken out")
    _names(axes[0], order)
    handles, labels = axes[0].get_legend_handles_labels()
    hollow = plt.Line2D([], [], marker="o", mfc="none", color=CONTROL, linestyle="")
    handles, labels = [*handles, hollow], [*labels, "hollow: never in the model, and asked to be forgotten"]
    figure.legend(handles, labels, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3)
    told = [name for name in methods_of(records) if _told(records, name)]
    figure.set_label(f"U-LiRA tells {len(told)} of {len(order) - 1} methods from training again without the person")
    return figure


def _told(records: pd.DataFrame, method: str) -> bool:
    return any(gap.low > 0 for gap in beyond_retraining(records, method).values())


def traces_aloud(records: pd.DataFrame) -> str:
    """The picture of `traces` in a sentence."""
    told = [name for name in methods_of(records) if _told(records, name)]
    hidden = [name for name in told if looks_forgotten(records, name)]
    parts = [f"U-LiRA tells that the person was in the model behind {_listed(told)}" if told else "U-LiRA tells nobody"]
    if hidden:
        parts.append(f"of these {_listed(hidden)} had passed at least one of the two usual tests")
    removed = found(records, BEFORE, "paper", list(VIEWS)[1][1])
    if removed is not None:
        parts.append(
            f"to take the person's class out of the answers of a model that is otherwise left as it is leaves an AUC of "
            f"{removed.text()} by recordings"
        )
    return "; ".join(parts) + "."


def payers(records: pd.DataFrame) -> Figure:
    """What those who stay pay: accuracy, and how much better LiRA finds their recordings than before."""
    order = methods_of(records)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 1.4 + 0.36 * len(order)), sharey=True)
    lost = [number_of(records, name, "test_accuracy_change", OTHERS) for name in order]
    points = [None if m is None else Measure(100 * m.value, 100 * m.low, 100 * m.high, m.n) for m in lost]
    _dots(left, order, _named(order, points), fmt="o", color=NON_MEMBER)
    exposed = [number_of(records, name, "auc_change", OTHERS, "lira_online") for name in order]
    _dots(right, order, _named(order, exposed), fmt="o", color=MEMBER)
    for axis in (left, right):
        axis.axvline(0, color=CONTROL, linestyle=":")
    _names(left, order)
    left.set(xlabel="change of accuracy on those who stay (points)")
    right.set(xlabel="change of LiRA's AUC on their recordings")
    paying = [name for name in order if paid_by_others(records, name)]
    figure.set_label(f"Behind {len(paying)} of {len(order)} methods those who stay pay for it")
    return figure


def payers_aloud(records: pd.DataFrame) -> str:
    """The picture of `payers` in a sentence."""
    paid = {name: paid_by_others(records, name) for name in methods_of(records)}
    parts = [f"`{name}` costs those who stay {' and '.join(own)}" for name, own in paid.items() if own]
    free = [name for name, own in paid.items() if not own]
    if free:
        parts.append(f"behind {_listed(free)} they pay {NOTHING}")
    usual = Pick("auc", "lira_online", None, BEFORE, condition=OTHERS).find(records)
    before = (
        "" if usual is None else f" Before anybody leaves, LiRA finds their recordings with an AUC of {usual.text()}."
    )
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." + before


def _listed(names: list[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f" and {quoted[-1]}"
