"""Whether the paper's own claim of a defense is reproduced at the paper's own conditions."""

import pandas as pd

from mia_lib.defenses import DEFENSES
from mia_lib.evaluation.differences import turned
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.published import claims
from mia_lib.evaluation.reading import measure_of, of_measure

CLAIMED = 0.53
"""Largest balanced accuracy of the paper's attack that counts as taken to chance."""
CONDITIONS = ("paper", "top3_network", False)
"""Protocol, attack, and whether it knows the defense: as the paper ran it."""


def claimed(defense: str) -> str:
    """What arXiv 1911.01888 reports of the accuracy of its attack: undefended on its two corpora, and behind its defenses."""
    if defense == "none":
        return ", ".join(f"{value:.3f} ({corpus})" for corpus, value in claims()["balanced_accuracy"].items())
    ours = "+" in defense or not DEFENSES.get(defense.partition(":")[0]).of_paper
    return "not tried" if ours else "chance"


def outcome(records: pd.DataFrame) -> str:
    """`at chance`, `above chance`, `undecided` or `empty`: the paper's attack on one defense, as the paper ran it.

    At chance: the interval of its balanced accuracy ends at CLAIMED or below, also when the answer is turned round.
    Empty: the accuracy is one half only because the learnt threshold calls nobody, or everybody, a member, while the same
    scores tell members apart (the interval of their AUC lies above one half): luck of the threshold, which protects nobody.
    """
    rate, recall, auc = (_paper_attack(records, name) for name in ("balanced_accuracy", "recall", "auc"))
    if rate is None:
        return "undecided"
    rate = turned(rate)
    if rate.high > CLAIMED:
        return "above chance" if rate.low > CLAIMED else "undecided"
    told_apart = auc is not None and auc.low > 0.5 and auc.value > CLAIMED
    return "empty" if told_apart and recall is not None and recall.value in (0, 1) else "at chance"


def reproduced(records: pd.DataFrame) -> str:
    """The outcome as a word on the claim: `reproduced`, `not reproduced`, `undecided`; `not tried` where there is none."""
    if claimed(str(records["defense"].iloc[0])) != "chance":
        return "not tried"
    words = {"at chance": "reproduced", "undecided": "undecided"}
    return words.get(outcome(records), "not reproduced")


def sentence(records: pd.DataFrame) -> str:
    """What became of the paper's claim, with the number and the interval that decide it."""
    rate, tried = _paper_attack(records, "balanced_accuracy"), reproduced(records)
    head = "the paper did not try it" if tried == "not tried" else f"the paper's claim: {tried}"
    if rate is None:
        return f"{head}; its attack was not measured at the paper's conditions"
    return f"{head}; its attack's balanced accuracy of {rate.text()} {_meaning(records, rate)}"


def _meaning(records: pd.DataFrame, rate: Measure) -> str:
    """What a balanced accuracy says, by the outcome."""
    found, side = outcome(records), " once it is turned round" if rate.value < 0.5 else ""
    if found == "empty":
        recall, auc = _paper_attack(records, "recall"), _paper_attack(records, "auc")
        assert recall is not None and auc is not None, "an empty outcome rests on both"
        who = "nobody" if recall.value == 0 else "everybody"
        return f"is a threshold that calls {who} a member, while its AUC is {auc.text()}"
    words = {"at chance": "is at chance", "above chance": f"is above chance{side}"}
    return words.get(found, f"may lie on either side of the {CLAIMED:.2f} that counts as chance{side}")


def _paper_attack(records: pd.DataFrame, measure: str) -> Measure | None:
    """A number of the paper's attack at the paper's conditions, if it was measured."""
    protocol, attack, adaptive = CONDITIONS
    rows = of_measure(records, measure)
    rows = rows[(rows["protocol"] == protocol) & (rows["attack"] == attack) & (rows["adaptive"] == adaptive)]
    if rows.empty:
        return None
    return measure_of(rows.iloc[0])
