"""Defenses that were judged, for a page: the plane of privacy and utility, and a table with all numbers and intervals."""

import math

import pandas as pd

from mia_lib.defenses.base import defense_kinds
from mia_lib.evaluation import verdicts
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.rates import POOLED_LEVEL
from mia_lib.evaluation.resolution import measurable
from mia_lib.reporting import figures
from mia_lib.reporting.defense_figures import plane
from mia_lib.reporting.embed import drawing
from mia_lib.reporting.looks import as_svg, plt, style
from mia_lib.reporting.measures import CORNER, in_percent, spoken
from mia_lib.reporting.words import between, unmeasurable, written
from mia_lib.support.errors import MiaError

COLUMNS = {
    "test accuracy": "rate",
    "paper's attack": "rate",
    "the same, adaptive": "rate",
    "strongest AUC, utterance": "score",
    CORNER: "rate",
    "strongest AUC, speaker": "score",
}
"""Columns of the table of defenses -> the kind of their numbers."""


def judged_defenses(records: pd.DataFrame) -> pd.DataFrame:
    """Numbers and verdicts of the defenses that were judged, and of no defense (`verdicts.summary`); empty where none was."""
    judged = _judged(records)
    return pd.DataFrame() if judged.empty else verdicts.summary(judged)


def _judged(records: pd.DataFrame) -> pd.DataFrame:
    """All records of the defenses that attacks were tried on that know them, and of no defense; none where there are none."""
    tried = records["adaptive"] & (records["attack"] == "lira_online") & (records["metric"] == "auc")
    names = set(records[tried]["defense"])
    return records[records["defense"].isin(names if names - {"none"} else set())]


def family_of(name: str) -> str:
    """The family of a defense by its name; several together are a combination."""
    known = {"none": "undefended", "reference_only": "baseline"}
    if name in known or "+" in name:
        return known.get(name, "combination")
    try:
        return defense_kinds(name)[0].family
    except MiaError:  # of another version
        return "other"


def plane_of(records: pd.DataFrame) -> str:
    """The plane of privacy and utility as a drawing for a page; empty where no defense was judged."""
    judged = _judged(records)
    if judged.empty:
        return ""
    points = verdicts.points(judged, {name: family_of(name) for name in judged["defense"].unique()}, "auc")
    style()
    figure = plane(points, "AUC of the strongest attack that knows the defense", 0.5)
    svg = as_svg(figure)
    plt.close(figure)
    return drawing(svg, "Every judged defense by its test accuracy and the AUC of the strongest attack that knows it")


def defense_table(records: pd.DataFrame) -> list[dict]:
    """One row per judged defense of a corpus, no defense first: numbers with intervals as text, and what is computed from
    them: its change in a word, its cost, its verdict."""
    table, judged, lines = judged_defenses(records), _judged(records), []
    for name, row in sorted(table.iterrows(), key=lambda pair: pair[0] != "none"):
        about = {"defense": name, "claim": in_percent(row["the paper says"]), "by": figures.name(row["by"])}
        about |= {"change": row["change"], "cost": row["cost in points"], "family": family_of(str(name))}
        measured = verdicts.numbers(judged[judged["defense"] == name])
        about |= {column: _cell(measured[column], kind) for column, kind in COLUMNS.items()}
        if not measurable(POOLED_LEVEL, row["non-members"]):
            about[CORNER] = {"value": unmeasurable(row["non-members"]), "interval": "", "coarse": True}
        lines.append(about | {key: spoken(row[key]) for key in ("verdict", "evidence")})
    return lines


def _cell(measure: Measure, kind: str) -> dict:
    """A number as text, with its interval where it has one."""
    interval = "" if math.isnan(measure.low) else between(measure.low, measure.high, kind)
    return {"value": written(measure.value, kind), "interval": interval, "coarse": False}
