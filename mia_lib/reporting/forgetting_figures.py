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
    MORE,
    NOTHING,
    OTHERS,
    POINTS,
    POPULATION,
    VIEWS,
    WIDE,
    accuracy_paid,
    found,
    looks_gone,
    looks_unheard,
    number_of,
    of_the_request,
    paid_by_others,
    privacy_paid,
    too_wide,
    traced,
)
from mia_lib.evaluation.intervals import Measure
from mia_lib.reporting import looks as house
from mia_lib.reporting.looks import CONTROL, MEMBER, NON_MEMBER, plt
from mia_lib.unlearning import make_method

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
    gone, unheard, both = map(len, _believed(records))
    figure.set_label(
        f"Of {len(order) - 1} variants {gone} have forgotten the person by accuracy, {unheard} by the population attack, "
        f"{both} by both"
    )
    return figure


def _believed(records: pd.DataFrame) -> tuple[list[str], list[str], list[str]]:
    """The methods that pass the first of the usual tests, those that pass the other, and those that pass both."""
    gone, unheard = (
        [name for name in methods_of(records) if test(records, name)] for test in (looks_gone, looks_unheard)
    )
    return gone, unheard, [name for name in gone if name in unheard]


def looks_aloud(records: pd.DataFrame) -> str:
    """The picture of `looks` in a sentence."""
    before = number_of(records, BEFORE, "train_accuracy", LEAVERS)
    assert before is not None, "the models as they are were measured"
    gone, unheard, both = map(_listed, _believed(records))
    return (
        f"Before anybody leaves, {100 * before.value:.0f} % of a person's training recordings are named right. By accuracy "
        f"alone one believes {gone}; by the population attack alone, {unheard}; by both, {both}."
    )


def traces(records: pd.DataFrame) -> Figure:
    """What U-LiRA finds behind each method in its views, beside models that were asked to forget whom they never knew."""
    order = [BEFORE, *methods_of(records)]
    figure, axes = plt.subplots(1, 2, figsize=(10, 1.6 + 0.46 * len(order)), sharey=True, sharex=True)
    for axis, condition in zip(axes, dict.fromkeys(kind for _, kind in VIEWS), strict=True):
        views = [view for view in VIEWS if view[1] == condition]
        for view, colour, shift in zip(views, house.OTHERS, (-0.24, 0.06), strict=False):
            label = VIEWS[view].partition(",")[0]
            own = _named(order, [found(records, name, *view) for name in order])
            _dots(axis, order, own, shift, fmt="o", color=colour, label=label)
            control = _named(order, [found(records, name, *view, "unexposed") for name in order])
            control = {name: auc for name, auc in control.items() if not too_wide(auc)}
            _dots(axis, order, control, shift + 0.13, fmt="o", color=colour, mfc="none", alpha=0.6)
        axis.axvline(0.5, color=CONTROL, linestyle=":")
        axis.set(xlabel="AUC of U-LiRA (0.5: nobody can tell)")
        axis.set_title("every class answers" if condition == ALL else "the person's class is taken out")
    _names(axes[0], order)
    handles, labels = axes[0].get_legend_handles_labels()
    hollow = plt.Line2D([], [], marker="o", mfc="none", color=CONTROL, linestyle="")
    labels = [*labels, f"hollow: never in, and asked to be forgotten (interval up to {WIDE:g})"]
    figure.legend([*handles, hollow], labels, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3)
    told, inexact = _told(records), _inexact(records)
    figure.set_label(
        f"U-LiRA tells {len(told)} of {len(inexact)} variants that change the trained model from training again"
    )
    return figure


def _inexact(records: pd.DataFrame) -> list[str]:
    """The methods that do not forget by construction."""
    return [name for name in methods_of(records) if not make_method(name).exact]


def _told(records: pd.DataFrame) -> list[str]:
    """Of these, the ones behind which U-LiRA finds more than behind training again."""
    return [name for name in _inexact(records) if traced(records, name)]


def traces_aloud(records: pd.DataFrame) -> str:
    """The picture of `traces` in a sentence."""
    told = _told(records)
    hidden = [name for name in told if looks_gone(records, name) or looks_unheard(records, name)]
    alarms = [name for name in methods_of(records) if name not in _inexact(records) and traced(records, name)]
    asked = [name for name in told if of_the_request(records, name)]
    voices = [name for name in told if name not in asked]
    parts = [
        f"U-LiRA tells that the person was in the model behind {_listed(voices)}" if voices else "U-LiRA tells nobody"
    ]
    if asked:
        parts.append(
            f"behind {_listed(asked)} it tells models that were asked to forget, and is not shown to find more where they "
            "had heard the person: what is seen there may be the request, not the voice"
        )
    if hidden:
        parts.append(f"of these {_listed(hidden)} had passed at least one of the two usual tests")
    if alarms:
        parts.append(f"what it finds behind {_listed(alarms)}, which forgets by construction, is a false alarm")
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
    paying = [name for name in order if accuracy_paid(records, name) == MORE]
    found_better = [name for name in order if privacy_paid(records, name)]
    figure.set_label(
        f"Those who stay pay more than {POINTS} behind {len(paying)} of {len(order)} variants, privacy behind "
        f"{len(found_better)}"
    )
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
    if not names:
        return "none"
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f" and {quoted[-1]}"
