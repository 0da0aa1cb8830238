"""What the records of judged defenses say, in one table and in words.

A verdict is the change of the strongest attack that knows the defense against no defense, and what it costs; apart from it
stands what became of the paper's claim. Each number is shown with the interval that decides the word beside it.
"""

import pandas as pd

from mia_lib.evaluation.baseline import BASELINE
from mia_lib.evaluation.changes import ENOUGH, Change, change, known, measured_together, strongest
from mia_lib.evaluation.differences import difference
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.rates import POOLED, POOLED_LEVEL
from mia_lib.evaluation.reading import measure_of, of_measure, pick
from mia_lib.evaluation.reproduction import CLAIMED, claimed, reproduced, sentence
from mia_lib.evaluation.resolution import measurable
from mia_lib.evaluation.strongest import STRONGEST

__all__ = ["BROKEN", "CLAIMED", "ENOUGH", "RULE", "TOLERANCE", "claimed", "points", "strongest", "summary", "verdict"]

TOLERANCE = 0.03
"""How much test accuracy a defense may cost."""
BROKEN = 0.5
"""Share of the undefended test accuracy below which a model is broken: what it does not know it cannot leak."""
RULE = (
    "The strength of each defense is chosen on the validation model: "
    f"of those that cost at most {100 * TOLERANCE:.0f} points of its test accuracy, the one behind which the attack is "
    "nearest to chance (where it is to hide, the paper's attack as the paper ran it; where it is to protect, the strongest "
    "that knows it: of the paper's, the one on labels, LiRA on a few reference models and, where answers are changed, the "
    "one on labels that is calibrated on these); of all that are as near within a standard error, the most accurate; "
    "where all cost more, the one that costs least. Of the paper's own defenses also the strength at which the paper's claim "
    "holds there, whatever it costs, the most accurate of several."
)
"""By which strengths are selected, in words for people (`studies.selection.best_of` does it)."""

WORDS = ("change", "change, thresholded", "cost in points", "claim", "evidence", "verdict")
"""Columns of `summary` in words."""


def verdict(records: pd.DataFrame, undefended: pd.DataFrame) -> str:
    """What the records of one defense say: what it changes, by which numbers, at what cost, and of the paper's claim."""
    auc = change(records, undefended)
    parts = [
        auc.text("AUC") + _out_of(auc),
        f"at {_price(records, undefended)}",
        *(f"protocol {name}: {told.word}" for name, told in _elsewhere(records, undefended).items()),
        sentence(records),
    ]
    return f"{headline(records, undefended)}: {'; '.join(parts)}"


def evidence(records: pd.DataFrame, undefended: pd.DataFrame) -> str:
    """The changes that stand beside the verdict, each with its numbers: at few false positives, at the learnt threshold, and
    of the AUC under the other protocols."""
    parts = [
        f"at 0.1 % false positives: {_corner(records, undefended)}",
        f"balanced accuracy at the learnt threshold: {_told(change(records, undefended, 'balanced_accuracy'))}",
        *(f"AUC, protocol {name}: {_told(told)}" for name, told in _elsewhere(records, undefended).items()),
    ]
    return "; ".join(parts)


def headline(records: pd.DataFrame, undefended: pd.DataFrame) -> str:
    """The change under protocol `utterance` in a word; a broken model is called so, whatever it leaks, and BASELINE, which
    heard no member, has nothing to leak of them.

    That of the AUC; where many more members are found at 0.1 % false positives it leaks more, though the AUC, which is near
    its end, may say as much.
    """
    if records["defense"].iloc[0] == BASELINE:
        return "heard no member"
    right, usual = _accuracy(records).value, _accuracy(undefended).value
    if right < BROKEN * usual:
        return f"a broken model (test accuracy {100 * right:.1f} %, undefended {100 * usual:.1f} %)"
    word = change(records, undefended).word
    if word in ("leaks as much", "leaks hardly less", "undecided") and _corner(records, undefended).startswith(
        "leaks more"
    ):
        return "leaks more"
    return word


def _accuracy(records: pd.DataFrame) -> Measure:
    """Of the attacked targets, whose rows have no protocol."""
    rows = of_measure(records, "test_accuracy")
    return pick(rows[rows["protocol"] == ""], "test_accuracy", adaptive=False)


def cost(records: pd.DataFrame, undefended: pd.DataFrame) -> Measure:
    """How much test accuracy a defense takes, with its interval: on the same fragments where both were measured together."""
    together = measured_together(records, "test_accuracy_change", "")
    if together is None:
        return difference(_accuracy(undefended), _accuracy(records))
    return Measure(-together.value, -together.high, -together.low, together.n)


def _price(records: pd.DataFrame, undefended: pd.DataFrame) -> str:
    lost = cost(records, undefended)
    right, limit = _accuracy(records), BROKEN * _accuracy(undefended).value
    broken = ", perhaps a broken model" * bool(right.low < limit <= right.value)
    over = "" if lost.value <= TOLERANCE else "above" if lost.low > TOLERANCE else "perhaps above"
    tolerated = f", {over} the {100 * TOLERANCE:.0f} that are tolerated" if over else ""
    if lost.value < 0:
        return f"a gain of {_points(Measure(-lost.value, -lost.high, -lost.low, lost.n))} points of accuracy"
    return f"a cost of {_points(lost)} points of accuracy{tolerated}{broken}"


def _points(lost: Measure) -> str:
    value, low, high = (round(100 * one, 1) + 0.0 for one in (lost.value, lost.low, lost.high))  # 0.0, never -0.0
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _told(told: Change) -> str:
    return f"{told.word} ({told.text()})"


def _out_of(told: Change) -> str:
    if told.new is None or told.old is None:
        return ""
    counts = sorted({told.old.out_of, told.new.out_of})
    return f" (each the largest of {' or '.join(map(str, counts))} attacks, so optimistic)"


def _corner(records: pd.DataFrame, undefended: pd.DataFrame) -> str:
    """The change at 0.1 % false positives, if both audit sets hold enough non-members."""
    told = change(records, undefended, POOLED)
    sizes = [side.measure.n // 2 for side in (told.new, told.old) if side is not None]
    coarse = [others for others in sizes if not measurable(POOLED_LEVEL, others)]
    return f"not measurable below 1 in {min(coarse)}" if coarse else _told(told)


def _elsewhere(records: pd.DataFrame, undefended: pd.DataFrame) -> dict[str, Change]:
    """The change of the AUC under the other protocols, where attacks that know the defense were tried."""
    told = {protocol: change(records, undefended, protocol=protocol) for protocol in ("speaker", "paper")}
    return {name: one for name, one in told.items() if one.new is not None}


def summary(records: pd.DataFrame) -> pd.DataFrame:
    """One row per defense of judged records: accuracy, the paper's attack, the strongest attacks, and verdicts in words.

    The strongest are the largest of several (`out of` counts the AUCs) and so optimistic. `non-members` counts those behind
    the rate at 0.1 % FPR. `ends` has the interval of each number by its column.
    """
    undefended, rows = records[records["defense"] == "none"], {}
    for name, part in records.groupby("defense", sort=False):
        measured = numbers(part)
        rows[name] = {
            "the paper says": claimed(name),
            **{column: measure.value for column, measure in measured.items()},
            "ends": {column: (measure.low, measure.high) for column, measure in measured.items()},
            "by": strongest(part, "auc")["attack"],
            "out of": len(known(part, "auc")),
            "training cost": pick(part, "train_seconds_ratio", adaptive=False).value,
            "non-members": int(strongest(part, POOLED)["n"]) // 2,
            **_words(part, undefended, name == "none"),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def numbers(records: pd.DataFrame) -> dict[str, Measure]:
    """The numbers of one defense, by column of `summary`: of the strongest with the interval that knows that attacks were
    picked, where they were measured together."""
    return {
        "test accuracy": _accuracy(records),
        "paper's attack": _paper_attack(records, adaptive=False),
        "the same, adaptive": _paper_attack(records, adaptive=True),
        "strongest AUC, utterance": _strongest(records, "auc", "utterance"),
        "strongest TPR at 0.1 % FPR": _strongest(records, POOLED, "utterance"),
        "strongest AUC, speaker": _strongest(records, "auc", "speaker"),
    }


def _strongest(records: pd.DataFrame, metric: str, protocol: str) -> Measure:
    together = measured_together(records, f"{STRONGEST}_{metric}", protocol)
    return measure_of(strongest(records, metric, protocol)) if together is None else together


def _words(records: pd.DataFrame, undefended: pd.DataFrame, bare: bool) -> dict[str, str]:
    """WORDS: the change threshold-free and at the learnt threshold, the cost, the paper's claim, and all in a sentence."""
    if bare:
        return {name: "undefended" for name in WORDS}
    return {
        "change": headline(records, undefended).partition(" (")[0],
        "change, thresholded": change(records, undefended, "balanced_accuracy").word,
        "cost in points": _points(cost(records, undefended)),
        "claim": reproduced(records),
        "evidence": evidence(records, undefended),
        "verdict": verdict(records, undefended),
    }


def _paper_attack(records: pd.DataFrame, adaptive: bool) -> Measure:
    return pick(records, "balanced_accuracy", "top3_network", "paper", adaptive=adaptive)


def points(records: pd.DataFrame, family_of: dict[str, str], metric: str, protocol: str = "utterance") -> pd.DataFrame:
    """One point per defense for `figures.plane`: test accuracy x, and y the strongest attack's `metric`, with intervals, and
    n, how many fragments that rests on."""
    rows = {}
    for name, part in records.groupby("defense", sort=False):
        x, y = _accuracy(part), _strongest(part, metric, protocol)
        spans = dict(x_low=x.low, x_high=x.high, y_low=y.low, y_high=y.high)
        rows[name] = dict(family=family_of[name], x=x.value, y=y.value, n=y.n, **spans)
    return pd.DataFrame.from_dict(rows, orient="index")
