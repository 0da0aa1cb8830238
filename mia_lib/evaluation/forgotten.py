"""Has a model forgotten a person? A verdict on each unlearning method, made of its records and of those of retraining.

What counts as found is what U-LiRA finds beyond what it finds where models were trained again without the person: of four
views, recordings and persons, with and without the person's class among the answers, the one that says most. Methods that
are exact, by construction, are not convicted: what is found behind them is a false alarm.
"""

import math
from collections.abc import Collection

import pandas as pd
from scipy.stats import t as student

from mia_lib.evaluation.claims import Pick
from mia_lib.evaluation.differences import at_least, difference
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
EXACT = "forgets by construction"
MORE, PERHAPS, TOLERATED = "more than", "perhaps more than", "at most"
POINTS = f"{100 * TOLERANCE:.0f} points of accuracy"
NOTHING = f"{TOLERATED} {POINTS}, and no privacy that can be told"
UNEXPOSED = "models that never heard the person, and are asked to forget them,"
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
    """What U-LiRA finds behind a method beyond what it finds behind retraining, or by guessing where that is more, in each
    view; the intervals hold in all views together."""
    gaps = {}
    for view, words in VIEWS.items():
        one, other = (found(records, name, *view) for name in (method, RETRAIN))
        if one is not None and other is not None:
            gap = difference(one, at_least(other, 0.5))
            people = Pick("audit_units", U_LIRA, view[0], method, condition=ALL).find(records)
            wide = together(people.value if people else math.inf)
            low, high = (gap.value + wide * (end - gap.value) for end in (gap.low, gap.high))
            gaps[words] = Measure(gap.value, low, max(min(high, 0.5), gap.value), gap.n)
    return gaps


def together(people: float) -> float:
    """How much wider than at 95 % intervals over so many people are that hold in all views together (Bonferroni)."""
    each, single = student.ppf([1 - 0.025 / len(VIEWS), 0.975], max(people - 1, 1))
    return float(each / single)


def yardstick(records: pd.DataFrame) -> str:
    """In which views retraining, behind which there is nothing to find, is told from chance, and what is made of it."""
    aucs = {words: auc for view, words in VIEWS.items() if (auc := found(records, RETRAIN, *view)) is not None}
    off = [f"{words} {auc.text()}" for words, auc in aucs.items() if beside_chance(auc) in ("above", "below")]
    told = f"Behind `{RETRAIN}`, where there is nothing to find, U-LiRA is off chance in {len(off)} of {len(aucs)} views by "
    told += f"the 95 % interval{': ' if off else ''}{'; '.join(off)}"
    return f"{told}. Differences are measured from what it finds there, and where that is less than guessing, from 0.5."


def traced(records: pd.DataFrame, method: str) -> bool:
    """Whether U-LiRA finds more behind a method, in any view, than behind retraining."""
    return any(gap.low > 0 for gap in beyond_retraining(records, method).values())


def of_the_request(records: pd.DataFrame, method: str) -> bool:
    """Whether U-LiRA, in each view in which it finds more than behind retraining, is not told to find more than in models
    that never heard the person and were asked to forget them: the request alone may be what it sees. Views in which too few
    such models say anything are left out."""
    told = [
        view for view, words in VIEWS.items() if (gap := beyond_retraining(records, method).get(words)) and gap.low > 0
    ]
    pairs = [(found(records, method, *view), found(records, method, *view, "unexposed")) for view in told]
    gaps = [difference(own, other) for own, other in pairs if own and other and not too_wide(other)]
    return bool(gaps) and all(gap.low <= 0 for gap in gaps)


def looks_gone(records: pd.DataFrame, method: str) -> bool:
    """Whether a method passes the first of the usual tests: the person is named less than half as often as before."""
    after, before = (number_of(records, name, "train_accuracy", LEAVERS) for name in (method, BEFORE))
    return after is not None and before is not None and after.high < GONE * before.value


def looks_unheard(records: pd.DataFrame, method: str) -> bool:
    """Whether a method passes the other usual test: the population attack is not told from chance."""
    attack = number_of(records, method, "auc", LEAVERS, POPULATION)
    return attack is not None and beside_chance(attack) == "at"


def accuracy_paid(records: pd.DataFrame, method: str) -> str:
    """Whether those who stay lose MORE accuracy than is tolerated, PERHAPS more, or what is TOLERATED, by the interval."""
    lost = number_of(records, method, "test_accuracy_change", OTHERS)
    if lost is None or lost.low >= -TOLERANCE:
        return TOLERATED
    return MORE if lost.high < -TOLERANCE else PERHAPS


def privacy_paid(records: pd.DataFrame, method: str) -> bool:
    """Whether the recordings of those who stay are found better than before."""
    exposed = number_of(records, method, "auc_change", OTHERS, "lira_online")
    return exposed is not None and exposed.low > 0


def paid_by_others(records: pd.DataFrame, method: str) -> list[str]:
    """What those who stay pay, each in a few words: accuracy that is, or may be, beyond the tolerated, and privacy."""
    lost = number_of(records, method, "test_accuracy_change", OTHERS)
    exposed = number_of(records, method, "auc_change", OTHERS, "lira_online")
    paid = []
    if lost is not None and (word := accuracy_paid(records, method)) != TOLERATED:
        points = [100 * end + 0.0 for end in (-lost.value, -lost.high, -lost.low)]
        paid.append("{} {} ({:.1f} [{:.1f}, {:.1f}])".format(word, POINTS, *points))
    if exposed is not None and privacy_paid(records, method):
        paid.append(f"exposure (LiRA's AUC {exposed.signed()})")
    return paid


def verdict(records: pd.DataFrame, method: str, exact: Collection[str] = ()) -> str:
    """`forgets`, `only hides`, `forgets at the cost of others`, `remembers`, or of the `exact` methods, that they forget by
    construction."""
    if method in exact:
        return EXACT
    if traced(records, method):
        return HIDES if looks_gone(records, method) or looks_unheard(records, method) else REMEMBERS
    costly = accuracy_paid(records, method) == MORE or privacy_paid(records, method)
    return COSTLY if costly else FORGETS


def sentence(records: pd.DataFrame, method: str, exact: Collection[str] = ()) -> str:
    """The verdict with the numbers that decide it."""
    gaps = beyond_retraining(records, method)
    aucs = {words: auc for view, words in VIEWS.items() if (auc := found(records, method, *view)) is not None}
    words, gap = max(gaps.items(), key=lambda pair: (pair[1].low > 0, pair[1].value, aucs[pair[0]].value))
    view, auc = next(view for view, name in VIEWS.items() if name == words), aucs[words]
    beside = "" if method == RETRAIN else f", {gap.signed()} beside retraining"
    parts = [f"U-LiRA finds most by {words}: AUC {auc.text()}{beside}"]
    if method in exact and traced(records, method):
        parts[0] += ", a false alarm"
    control = found(records, method, *view, "unexposed")
    if control is not None:
        parts.append(f"{UNEXPOSED} {_told_of(control)} ({control.text()})")
    parts.append("those who stay pay " + (" and ".join(paid_by_others(records, method)) or NOTHING))
    return f"`{method}` **{verdict(records, method, exact)}**: {'; '.join(parts)}."


def _told_of(control: Measure) -> str:
    """What is told of models that were asked to forget whom they never heard."""
    if too_wide(control):
        return "cannot be judged"
    told = dict(above="are told, too", below="look less like ones that unlearned than those that were not asked")
    return told.get(beside_chance(control), "are not told")


def too_wide(auc: Measure) -> bool:
    """Whether the interval of an AUC is so wide that it says nothing."""
    return auc.high - auc.low > WIDE


def advice(records: pd.DataFrame, methods: list[str], exact: Collection[str] = ()) -> str:
    """What to use, by the verdicts: the fastest of what forgets for free, and of what forgets at others' cost; then what it
    costs to train but a part again, how many leave a trace of those that are not exact, and how small a trace can be told."""
    inexact = [m for m in methods if m not in exact]
    words = {m: verdict(records, m) for m in inexact}
    fit = [[m for m in inexact if words[m] == word] for word in (FORGETS, COSTLY)]
    best = [min(some, key=lambda m: _time(records, m)) for some in fit if some]
    parts = [] if best else ["Only training again, all of it or a shard, forgets"]
    for name in (*best, *(m for m in methods if m in exact and m != RETRAIN)):
        cost = " and ".join(paid_by_others(records, name)) or NOTHING
        parts.append(
            f"`{name}` forgets in about {_time(records, name):.1f} of the time of training again, and costs those who stay "
            f"{cost}"
        )
    left = [m for m in inexact if words[m] in (HIDES, REMEMBERS)]
    parts.append(
        f"{len(left)} of {len(inexact)} variants that change the trained model leave a trace of who left, or of the request"
    )
    return "; ".join(parts) + "." + _smallest_trace(records)


def _smallest_trace(records: pd.DataFrame) -> str:
    """How small a trace can be told, by how far intervals reach where there is nothing to find."""
    aucs = [auc for view in VIEWS if (auc := found(records, RETRAIN, *view)) is not None]
    reach = max((max(auc.high - 0.5, 0.5 - auc.low) for auc in aucs), default=None)
    if reach is None:
        return ""
    return (
        f" Behind `{RETRAIN}`, where there is nothing to find, intervals reach {reach:.2f} from 0.5: less is not told."
    )


def _time(records: pd.DataFrame, method: str) -> float:
    """The time of a method as a share of that of training again."""
    share = number_of(records, method, "train_seconds_ratio", LEAVERS)
    return math.inf if share is None else share.value


def table(records: pd.DataFrame, exact: Collection[str] = ()) -> pd.DataFrame:
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
        cells["verdict"] = "" if method == BEFORE else verdict(records, method, exact)
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
