"""What the report calls a measure and the circumstances of a number, how it writes them, and in which order."""

import re

import pandas as pd

from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.rates import POOLED_LEVEL
from mia_lib.evaluation.resolution import measurable
from mia_lib.reporting import figures
from mia_lib.reporting.words import between, unmeasurable, worded, written

MEASURES = {
    "auc": ("AUC", "score"),
    "tpr_at_fpr_1e-2": ("Members found at 1 % false positives", "rate"),
    "tpr_at_fpr_1e-3": ("Members found at 0.1 % false positives", "rate"),
    "tpr_at_fpr_1e-3_pooled": ("Members found at 0.1 % false positives, one threshold for all targets", "rate"),
    "tpr_at_fpr_0": ("Members found without a false positive", "rate"),
    "balanced_accuracy": ("Balanced accuracy", "rate"),
    "precision": ("Precision", "rate"),
    "recall": ("Recall", "rate"),
    "balanced_accuracy_target_threshold": ("Balanced accuracy, threshold chosen on the target", "rate"),
    "precision_target_threshold": ("Precision, threshold chosen on the target", "rate"),
    "recall_target_threshold": ("Recall, threshold chosen on the target", "rate"),
    "person_fpr_median": ("False positives of a person at 1 % of all: median", "rate"),
    "person_fpr_worst": ("False positives of a person at 1 % of all: worst", "rate"),
    "audit_units": ("Speakers on the smaller side", "plain"),
    "audit_nonmembers": ("Non-members of the target with the fewest", "plain"),
    "test_accuracy": ("Test accuracy", "rate"),
    "train_accuracy": ("Training accuracy", "rate"),
    "train_seconds": ("Training time", "seconds"),
}
"""Measure -> how the report calls it, and the kind of its numbers, in the order in which it shows them."""
KINDS = {"tpr_at_fpr_1e-1": "rate"}
"""Kinds of the measures that the report calls by their own names; those that are nowhere named are plain numbers."""
CONTROLS = {"shuffled": "membership shuffled", "unexposed": "model that saw none of the data"}


def kind(measure: str) -> str:
    """How numbers of a measure are written (see `words.written`)."""
    return MEASURES[measure][1] if measure in MEASURES else KINDS.get(measure, "plain")


def label(row: dict) -> str:
    """What the report calls a number, by its typed columns: `AUC, 5 recordings of each person, membership shuffled`."""
    known, own = MEASURES.get(row["measure"], ("", ""))[0], row["measure"].replace("_", " ")
    control = CONTROLS.get(row["control"], row["control"].replace("_", " "))
    return ", ".join([known or own, *circumstances(row), *[control] * bool(control)])


def circumstances(row: dict | pd.Series) -> list[str]:
    """Under which circumstances a number was measured, in words, without the control."""
    parts = [
        row["condition"].replace("_", " "),
        _counted(row["enrolment"], "recording of each person", "recordings of each person"),
        _counted(row["references"], "reference model", "reference models"),
        _counted(row["queries"], "query", "queries"),
    ]
    return [part for part in parts if part]


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `words.rates_table` with names for people: of metrics above it, of attacks beside it."""
    columns = {}
    for metric in map(str, table.columns):
        measure, _, control = metric.partition("_control_")
        known = MEASURES.get(measure, (measure.replace("_", " "),))[0]
        columns[metric] = ", ".join([known, *[CONTROLS.get(control, control)] * bool(control)])
    attacks = table.index.get_level_values("attack").unique() if "attack" in table.index.names else ()
    return (
        table.rename(columns=columns)
        .rename(index={name: figures.name(name) for name in attacks})
        .rename_axis(columns="")
    )


SCREENED = {
    "test_accuracy": "test accuracy",
    "paper": "paper's attack, protocol paper",
    "paper_adaptive": "the same, knowing the defense",
    "utterance": "paper's attack, protocol utterance",
    "utterance_adaptive": "the same, knowing it",
    "auc_adaptive": "AUC of the strongest that knows it",
    "by": "which is",
}
"""Columns of `studies.selection.screen` that people are shown, and what these are called."""


def screened(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `studies.selection.screen` for people: shares in percent, attacks by their names."""
    shown = table[list(SCREENED)].assign(by=[figures.name(attack) for attack in table["by"]])
    for column in SCREENED:
        if column != "by":
            kind = "score" if column == "auc_adaptive" else "rate"
            shown[column] = [written(value, kind) for value in table[column]]
    return shown.rename(columns=SCREENED)


CORNER = "strongest TPR at 0.1 % FPR"
JUDGED = {
    "the paper says": ("the paper says", ""),
    "test accuracy": ("test accuracy", "rate"),
    "paper's attack": ("paper's attack, protocol paper", "rate"),
    "the same, adaptive": ("the same, knowing the defense", "rate"),
    "strongest AUC, utterance": ("strongest AUC, utterance", "score"),
    "by": ("which is", ""),
    CORNER: ("found at 0.1 % false positives", "rate"),
    "strongest AUC, speaker": ("strongest AUC, speaker", "score"),
    "change": ("verdict", ""),
    "cost in points": ("points of accuracy lost", ""),
    "claim": ("the paper's claim", ""),
}
"""Columns of `verdicts.summary` that fit into a page -> what people call them, and the kind of their numbers."""
BESIDE = ("the paper says", "by", "strongest AUC, speaker", "cost in points", "claim")
"""Those of them that `judged` leaves out unless they are asked for."""


def judged(summary: pd.DataFrame, columns: list[str] | None = None) -> pd.DataFrame:
    """A table of `verdicts.summary` for people, no wider than a page: what is said at length in sentences stays out of it.

    columns: which, of those in JUDGED. A rate that too few non-members can carry is not shown as if it could.
    """
    columns = columns or [column for column in JUDGED if column not in BESIDE]
    shown = summary[columns].astype(object)
    for column in columns:
        kind = JUDGED[column][1]
        if kind:
            pairs = zip(summary[column], (ends[column] for ends in summary["ends"]), strict=True)
            shown[column] = [worded(Measure(value, low, high, 0), kind) for value, (low, high) in pairs]
        if column == "by":
            shown[column] = [figures.name(attack) for attack in summary[column]]
        if column == CORNER:
            coarse = [unmeasurable(n) if not measurable(POOLED_LEVEL, n) else "" for n in summary["non-members"]]
            shown[column] = [text or rate for text, rate in zip(coarse, shown[column], strict=True)]
        if column == "the paper says":
            shown[column] = [in_percent(text) for text in summary[column]]
    return shown.rename(columns={column: JUDGED[column][0] for column in columns})


def in_percent(text: str) -> str:
    """A text with its shares in percent, as all others are: `87.9 % (LibriSpeech)` in place of `0.879 (LibriSpeech)`."""
    return re.sub(r"\b[01]\.\d+", lambda share: written(float(share[0]), "rate"), text)


def spoken(sentence: str) -> str:
    """A sentence in which attacks have their names for people: `LiRA, online` in place of `lira_online`.

    Names in backticks are those of defenses, and stay.
    """
    return re.sub(
        r"`[^`]*`|\b[a-z0-9]+(?:_[a-z0-9]+)+\b", lambda m: m[0] if m[0][0] == "`" else figures.name(m[0]), sentence
    )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}" if count else ""


def rank(row: dict) -> tuple:
    """Where a number stands: plain measures first, in their order, then those under conditions; by controls in theirs."""
    further = bool(row["condition"] or row["enrolment"] or row["references"] or row["queries"])
    measures, controls = list(MEASURES), ["", *CONTROLS]
    place = measures.index(row["measure"]) if row["measure"] in measures and not further else len(measures)
    control = controls.index(row["control"]) if row["control"] in controls else len(controls)
    return place, control, row["metric"]


def cell(row: dict) -> dict:
    """A number as text: its rank, its label, its value, its 95 % interval if it has one, and n.

    A rate that too few non-members can carry (`too_coarse`, how many there are) is not shown as if it could.
    """
    what, coarse = kind(row["measure"]), row.get("too_coarse", 0)
    known = what != "seconds" and row["low"] == row["low"] and row["high"] == row["high"]  # NaN differs from itself
    return {
        "rank": rank(row),
        "label": label(row),
        "value": unmeasurable(coarse) if coarse else written(row["value"], what),
        "interval": between(row["low"], row["high"], what) if known and not coarse else "",
        "coarse": bool(coarse),
        "n": "" if row["n"] != row["n"] else f"{int(row['n']):,}",
    }
