"""Has a model forgotten a person? A verdict on each unlearning method, made of its records and of those of retraining.

What counts as found is what U-LiRA finds beyond what it finds where models were trained again without the person: of four
views, recordings and persons, with and without the person's class among the answers, the one that says most.
"""

import math

import pandas as pd

from mia_lib.evaluation.claims import Pick
from mia_lib.evaluation.differences import difference
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.reading import beside_chance
from mia_lib.evaluation.verdicts import TOLERANCE

ALL, NO_CLASS, LEAVERS, OTHERS = "all_answers", "without_class", "of_leavers", "of_others"
U_LIRA, POPULATION, BEFORE, RETRAIN = "u_lira", "population", "none", "retrain"
VIEWS = {
    ("paper", ALL): "recordings",
    ("paper", NO_CLASS): "recordings, class removed",
    ("speaker", ALL): "persons",
    ("speaker", NO_CLASS): "persons, class removed",
}
FORGETS, HIDES, COSTLY, REMEMBERS = "forgets", "only hides", "forgets at the cost of others", "remembers"
NOTHING = f"no more accuracy than the tolerated {100 * TOLERANCE:.0f} points, and no privacy that can be told"
WIDE = 0.5
"""Width of an interval of an AUC from which on it says nothing."""
GONE = 0.5
"""Share of the accuracy on a person's training recordings below which the person looks forgotten."""
RULE = (
    "Strengths are chosen on people who are not audited: of those that cost at most "
    f"{100 * TOLERANCE:.0f} points of accuracy on those who stay, the one behind which U-LiRA finds least, on average "
    "with the person's class among the answers and without; where all cost more, the one that costs least."
)


def found(records: pd.DataFrame, method: str, protocol: str, condition: str, control: str = "") -> Measure | None:
    """The AUC of U-LiRA behind a method in one view; None where it was not measured."""
    return Pick("auc", U_LIRA, protocol, method, condition=condition, control=control).find(records)


def number_of(records: pd.DataFrame, method: str, measure: str, condition: str, attack: str = "none") -> Measure | None:
    """Another number of a method: an accuracy, a time, what another attack finds, or the exposure of those who stay."""
    return Pick(measure, attack, None, method, condition=condition).find(records)


def beyond_retraining(records: pd.DataFrame, method: str) -> dict[str, Measure]:
    """What U-LiRA finds behind a method beyond what it finds behind retraining, in each view, with its interval."""
    gaps = {}
    for view, words in VIEWS.items():
        one, other = (found(records, name, *view) for name in (method, RETRAIN))
        if one is not None and other is not None:
            gaps[words] = difference(one, other)
    return gaps


def looks_forgotten(records: pd.DataFrame, method: str) -> bool:
    """Whether one of the usual tests is passed: the person is named less than half as often as before, or the population
    attack is not told from chance."""
    after, before = (number_of(records, name, "train_accuracy", LEAVERS) for name in (method, BEFORE))
    attack = number_of(records, method, "auc", LEAVERS, POPULATION)
    fallen = after is not None and before is not None and after.high < GONE * before.value
    return fallen or (attack is not None and beside_chance(attack) == "at")


def paid_by_others(records: pd.DataFrame, method: str) -> list[str]:
    """What those who stay lose, each in a few words: accuracy beyond the tolerated, and privacy where exposure rises."""
    lost = number_of(records, method, "test_accuracy_change", OTHERS)
    exposed = number_of(records, method, "auc_change", OTHERS, "lira_online")
    paid = []
    if lost is not None and lost.value < -TOLERANCE:
        paid.append(f"{-100 * lost.value:.1f} points of accuracy")
    if exposed is not None and exposed.low > 0:
        paid.append(f"exposure (LiRA's AUC {exposed.signed()})")
    return paid


def verdict(records: pd.DataFrame, method: str) -> str:
    """`forgets`, `only hides`, `forgets at the cost of others`, or `remembers`."""
    gaps = beyond_retraining(records, method)
    if any(gap.low > 0 for gap in gaps.values()):
        return HIDES if looks_forgotten(records, method) else REMEMBERS
    return COSTLY if paid_by_others(records, method) else FORGETS


def sentence(records: pd.DataFrame, method: str) -> str:
    """The verdict with the numbers that decide it."""
    gaps = beyond_retraining(records, method)
    aucs = {words: auc for view, words in VIEWS.items() if (auc := found(records, method, *view)) is not None}
    words, gap = max(gaps.items(), key=lambda pair: (pair[1].low > 0, pair[1].value, aucs[pair[0]].value))
    view, auc = next(view for view, name in VIEWS.items() if name == words), aucs[words]
    parts = [f"U-LiRA finds most by {words}: AUC {auc.text()}, {gap.signed()} beside retraining"]
    control = found(records, method, *view, "unexposed")
    if control is not None:
        told = "is not told" if beside_chance(control) == "at" else "is told, too"
        told = "cannot be judged" if control.high - control.low > WIDE else told
        parts.append(f"who was never in, and is asked to be forgotten, {told} ({control.text()})")
    paid = paid_by_others(records, method)
    parts.append("those who stay pay " + (" and ".join(paid) or NOTHING))
    return f"`{method}` **{verdict(records, method)}**: {'; '.join(parts)}."


def advice(records: pd.DataFrame, methods: list[str]) -> str:
    """What to use, by the verdicts: the fastest of what forgets for free, and of what forgets at others' cost."""
    shares = {m: number_of(records, m, "train_seconds_ratio", LEAVERS) for m in methods}
    times = {m: math.inf if share is None else share.value for m, share in shares.items()}
    words = {m: verdict(records, m) for m in methods}
    parts = []
    for word, cost in ((FORGETS, f"costs those who stay {NOTHING}"), (COSTLY, "costs those who stay {}")):
        fit = [m for m in methods if words[m] == word]
        if fit:
            best = min(fit, key=times.__getitem__)
            paid = " and ".join(paid_by_others(records, best))
            parts.append(
                f"`{best}` forgets in {times[best]:.2f} of the time of training again, and {cost.format(paid)}"
            )
    left = [m for m in methods if words[m] in (HIDES, REMEMBERS)]
    parts.append(f"{len(left)} of {len(methods)} methods leave a trace of who left")
    return "; ".join(parts) + "."


def table(records: pd.DataFrame) -> pd.DataFrame:
    """One row per method, in the order of the records: what it leaves, what it costs, and the verdict, as text."""
    rows = {}
    for method in records["defense"].unique():
        cells = {words: _text(found(records, method, *view)) for view, words in VIEWS.items()}
        cells["population attack"] = _text(number_of(records, method, "auc", LEAVERS, POPULATION))
        for words, measure, who in (
            ("accuracy, person", "train_accuracy", LEAVERS),
            ("accuracy, others", "test_accuracy", OTHERS),
        ):
            cells[words] = _text(number_of(records, method, measure, who))
        cells["exposure, others"] = _text(number_of(records, method, "auc", OTHERS, "lira_online"))
        share = number_of(records, method, "train_seconds_ratio", LEAVERS)
        cells["time / retraining"] = "" if share is None else f"{share.value:.2f}"
        cells["verdict"] = "" if method == BEFORE else verdict(records, method)
        rows[method] = cells
    return pd.DataFrame(rows).T


def _text(measure: Measure | None) -> str:
    return "" if measure is None else measure.text()


def chosen(screen: pd.DataFrame) -> list[str]:
    """One strength of each method by RULE, in the order of the screen.

    screen: one row per method with its strength, BEFORE among them, with the columns auc, auc_without_class and accuracy.
    """
    usual = float(screen.loc[BEFORE, "accuracy"])
    best: dict[str, tuple[tuple[bool, float], str]] = {}
    for name, row in screen.drop(index=BEFORE).iterrows():
        cost, leak = usual - row["accuracy"], (row["auc"] + row["auc_without_class"]) / 2
        rank = (cost > TOLERANCE, cost if cost > TOLERANCE else leak)
        kind = str(name).partition(":")[0]
        if rank < best.get(kind, ((True, math.inf), ""))[0]:
            best[kind] = (rank, str(name))
    return [name for _, name in best.values()]
