"""What is left of an attack for those who hold a version of the file."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mia_lib.fragments.versions import EXACT
from mia_lib.reporting import figures
from mia_lib.reporting.looks import OTHERS, SOFT, plt
from mia_lib.reporting.words import number, percent, rate_at
from mia_lib.studies.versions import HOLDING, LEFT

HELD = {
    "file": "the file itself",
    "mp3": "MP3, 48 kbit/s",
    "telephone": "telephone (GSM)",
    "microphone": "far microphone in a room",
    "close": "as it was before the room",
    "one_second": "one second of it",
    "slower": "5 % slower",
    "faster": "5 % faster",
    "talk": "somebody talks, 10 dB below",
    "all": "all of these but the file",
}


def held(condition: str) -> str:
    """The words for a version, from the condition of its records."""
    return HELD.get(condition.removeprefix(HOLDING), condition)


def _shares(records: pd.DataFrame, rate: str) -> pd.DataFrame:
    """The shares of an advantage that are known: where what the file gives an attack is barely told from guessing, a share
    of it may be anything, and its interval has no end."""
    shares = records[records["measure"] == f"{LEFT}{rate}"]
    return shares[np.isfinite(shares[["low", "high"]].astype(float)).all(axis=1)]


def shares_table(records: pd.DataFrame, rate: str) -> pd.DataFrame:
    """Which share of what each attack (columns) finds with the file it still finds with each version (rows), as text with
    95 % intervals; a dash where there is no share, or none that is known. The row of the file has what they are shares of."""
    shares, plain = _shares(records, rate), records[records["control"] == ""]
    attacks, versions = shares["attack"].unique(), plain["condition"].unique()
    whole = plain[(plain["measure"] == rate) & (plain["condition"] == HOLDING + EXACT) & plain["attack"].isin(attacks)]
    whole = whole.assign(text=[f"{figures.name(rate)} {number(row)}" for row in whole.itertuples()])
    shares = shares.assign(text=[percent(row) for row in shares.itertuples()])
    table = pd.concat([whole, shares]).pivot(index="condition", columns="attack", values="text")
    table = table.reindex([one for one in versions if one in table.index], columns=attacks)
    return table.fillna("–").rename(index=held, columns=figures.name).rename_axis(index="", columns="")


def found_table(records: pd.DataFrame, rate: str) -> pd.DataFrame:
    """A rate of each attack (columns) with each version in hand (rows), as text with 95 % intervals; a dash where an attack
    has no row for a version."""
    part = records[(records["measure"] == rate) & (records["control"] == "")]
    part = part.assign(text=[percent(row) for row in part.itertuples()])
    table = part.pivot(index="condition", columns="attack", values="text")
    table = table.reindex(part["condition"].unique(), columns=part["attack"].unique())
    return table.fillna("–").rename(index=held, columns=figures.name).rename_axis(index="", columns="")


def found_aloud(records: pd.DataFrame, attack: str, level: float) -> str:
    """How many members an attack finds at `level` false alarms with the file, and with the best and the worst single version
    in its place."""
    own = records[(records["measure"] == rate_at(level)) & (records["attack"] == attack) & (records["control"] == "")]
    own = own.set_index("condition")
    single = own.drop(index=[HOLDING + EXACT, f"{HOLDING}all"], errors="ignore")
    most, least = (single.loc[place] for place in (single["value"].idxmax(), single["value"].idxmin()))
    return (
        f"At {100 * level:g} % false alarms {figures.name(attack)} finds {percent(own.loc[HOLDING + EXACT])} of the members "
        f"with the file; without it the most is {percent(most)}, with {held(most.name)}, the least {percent(least)}, with "
        f"{held(least.name)}. Guessing finds {100 * level:g} %."
    )


def what_is_left(records: pd.DataFrame, attack: str, condition: str) -> tuple[str, str]:
    """A title and a sentence on which share of an attack's advantage, by its AUC, is left without the file: with the version
    of `condition`, at most and at least. Where the file itself gives no advantage, or hardly any, no share of it is known."""
    left = _shares(records, "auc")
    left = left[left["attack"] == attack].set_index("condition")
    name = figures.name(attack)
    if condition not in left.index:
        none = f"With the file itself {name} is not told from guessing, or too little for a share of that to be known"
        return none, f"{none}."
    share, worst, mildest = left["value"], left["value"].idxmin(), left["value"].idxmax()
    title = (
        f"Without the file {name} keeps {100 * share.min():.0f} to {100 * share.max():.0f} % of its advantage in AUC"
    )
    return title, (
        f"Of the advantage of {name} (its AUC less 0.5), {percent(left.loc[condition])} is left with {held(condition)}. "
        f"It keeps most with {held(mildest)} ({percent(left.loc[mildest])}) and least with {held(worst)} "
        f"({percent(left.loc[worst])})."
    )


def without_file(records: pd.DataFrame, rate: str, chance: float) -> Figure:
    """A rate with each version in hand (rows), a panel for each attack, with 95 % intervals; the line is the file's."""
    part = records[(records["measure"] == rate) & (records["control"] == "")]
    attacks, conditions = part["attack"].unique(), part["condition"].unique()
    size = 1.5 * len(attacks) + 2.4, 0.32 * len(conditions) + 1
    figure, axes = plt.subplots(1, len(attacks), figsize=size, sharex=True, sharey=True, squeeze=False)
    for axis, attack, colour in zip(axes.flat, attacks, OTHERS, strict=False):
        own = part[part["attack"] == attack].set_index("condition").reindex(conditions)
        places = range(len(conditions))
        axis.errorbar(own["value"], places, xerr=figures.span(own), fmt="o", color=colour, markersize=5)
        axis.axvline(own["value"].iloc[0], color=colour, linewidth=1, alpha=0.4)
        axis.axvline(chance, color=SOFT, linestyle=":", linewidth=1.2)
        axis.set_title(figures.name(attack), color=colour)
        axis.grid(False, axis="y")
    axes[0, 0].set_yticks(range(len(conditions)), [held(one) for one in conditions])
    axes[0, 0].set_ylim(len(conditions) - 0.5, -0.5)
    figure.supxlabel(f"{figures.name(rate)} (95 % interval; dotted: guessing, line: with the file)", fontsize="medium")
    return figure
