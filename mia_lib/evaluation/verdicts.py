"""What the records of judged defenses say, in one table and in words."""

import pandas as pd

from mia_lib.defenses import DEFENSES
from mia_lib.evaluation.published import claims
from mia_lib.evaluation.rates import POOLED
from mia_lib.evaluation.reading import beside_chance, pick

TOLERANCE = 0.03
"""How much test accuracy a defense may cost."""
CLAIMED = 0.53
"""Largest balanced accuracy of the paper's attack that counts as taken to chance."""
ENOUGH = 2000
"""Examples, members and non-members, below which a trial cannot tell one false alarm in a thousand from none."""


def strongest(records: pd.DataFrame, metric: str, protocol: str = "utterance") -> pd.Series:
    """The record with the largest value of `metric` among the attacks that know the defense, under a protocol.

    Of rates at 0.1 % false alarms only those of attacks that were tried on ENOUGH examples count, or on the most there are.
    """
    rows = records[records["adaptive"] & (records["metric"] == metric) & (records["protocol"] == protocol)]
    if metric == POOLED:
        rows = rows[rows["n"] >= min(ENOUGH, rows["n"].max())]
    return rows.iloc[int(rows["value"].to_numpy().argmax())]


def verdict(records: pd.DataFrame, undefended: pd.DataFrame) -> str:
    """What the records of one defense say of the claim that it takes the paper's attack to chance at little cost.

    Claimed: balanced accuracy of the paper's attack, as the paper ran it (protocol `paper`, shadows undefended), at most
    CLAIMED, for at most TOLERANCE of test accuracy. Then: are all attacks that know the defense at chance? Of what
    the paper did not try nothing was claimed, so nothing is reproduced: it takes the attack to chance or does not.
    """
    claim = claimed(str(records["defense"].iloc[0])) != "not tried"
    yes, no = ("reproduced", "not reproduced") if claim else ("to chance", "not to chance")
    rate = _paper_attack(records, adaptive=False)
    cost = _test_accuracy(undefended) - _test_accuracy(records)
    if rate > CLAIMED:
        return no
    if cost > TOLERANCE:
        return f"{yes}, at {100 * cost:.0f} points of accuracy" + _adaptive_half(records)
    return yes + _adaptive_half(records)


def _paper_attack(records: pd.DataFrame, adaptive: bool) -> float:
    return pick(records, "balanced_accuracy", "top3_network", "paper", adaptive=adaptive).value


def _test_accuracy(records: pd.DataFrame) -> float:
    return pick(records, "test_accuracy", adaptive=False).value


def _adaptive_half(records: pd.DataFrame) -> str:
    """Whether it holds against those who know the defense: only if the interval of none of their AUCs excludes chance.

    An AUC below one half counts as well: whoever knows the defense can turn the answer round.
    """
    known = records[records["adaptive"] & (records["metric"] == "auc") & (records["protocol"] == "utterance")]
    if all(beside_chance(row) == "at" for row in known.itertuples()) and len(known):
        return ", also against attackers who know it"
    return "; holds only against a non-adaptive attacker"


def claimed(defense: str) -> str:
    """What arXiv 1911.01888 reports of the accuracy of its attack: undefended on its two corpora, and behind its defenses."""
    if defense == "none":
        return ", ".join(f"{value:.3f} ({corpus})" for corpus, value in claims()["balanced_accuracy"].items())
    ours = "+" in defense or not DEFENSES.get(defense.partition(":")[0]).of_paper
    return "not tried" if ours else "chance"


def summary(records: pd.DataFrame) -> pd.DataFrame:
    """One row per defense of judged records: accuracy, the paper's attack, the strongest attacks, and a verdict in words."""
    undefended, rows = records[records["defense"] == "none"], {}
    for name, part in records.groupby("defense", sort=False):
        auc, corner = strongest(part, "auc"), strongest(part, POOLED)
        rows[name] = {
            "the paper says": claimed(name),
            "test accuracy": _test_accuracy(part),
            "paper's attack": _paper_attack(part, adaptive=False),
            "the same, adaptive": _paper_attack(part, adaptive=True),
            "strongest AUC, utterance": auc["value"],
            "by": auc["attack"],
            "strongest TPR at 0.1 % FPR": corner["value"],
            "strongest AUC, speaker": strongest(part, "auc", "speaker")["value"],
            "training cost": pick(part, "train_seconds_ratio", adaptive=False).value,
            "verdict": "undefended" if name == "none" else verdict(part, undefended),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def points(records: pd.DataFrame, family_of: dict[str, str], metric: str, protocol: str = "utterance") -> pd.DataFrame:
    """One point per defense for `figures.plane`: test accuracy x, and y the strongest attack's `metric`, with intervals."""
    rows = {}
    for name, part in records.groupby("defense", sort=False):
        x, y = part[part["metric"] == "test_accuracy"].iloc[0], strongest(part, metric, protocol)
        spans = dict(x_low=x["low"], x_high=x["high"], y_low=y["low"], y_high=y["high"])
        rows[name] = dict(family=family_of[name], x=x["value"], y=y["value"], **spans)
    return pd.DataFrame.from_dict(rows, orient="index")
