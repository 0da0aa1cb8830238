"""What a run found on one corpus, in a few sentences, each made of records."""

from collections.abc import Iterable, Sequence

import pandas as pd

from mia_lib.corpora.base import is_synthetic, short_name
from mia_lib.evaluation.controls import place, together
from mia_lib.evaluation.differences import turned
from mia_lib.evaluation.intervals import FEW_CLUSTERS
from mia_lib.evaluation.reading import measure_of
from mia_lib.fragments.splits import PROTOCOLS
from mia_lib.reporting import figures
from mia_lib.reporting.measures import cell, circumstances
from mia_lib.reporting.words import verdict

SURPRISING = 0.05
"""Probability by luck below which the number of controls outside their chance is called more, or fewer, than luck."""
PERSONS = ("person_fpr_median", "person_fpr_worst")
_AUDIT = ["defense", "attack", "adaptive", "enrolment", "references", "queries"]
"""What tells one attack on the page from another, under one protocol."""


def position(protocol: str) -> int:
    """Protocols are shown in the order in which the project introduces them."""
    return (*PROTOCOLS, protocol).index(protocol)


def attack_name(row) -> str:
    """An attack by its name for people, on what it was fitted, and what it attacks if that is defended."""
    fitted = ", on reference models" if row["attack"].endswith("_references") else ""
    defended = "" if row["defense"] in ("none", "") else f" against {row['defense']}"
    adaptive = " (adaptive)" if row["adaptive"] else ""
    return f"{figures.name(row['attack'])}{fitted}{defended}{adaptive}"


def strongest_attack(protocol: str, rows: pd.DataFrame) -> dict | None:
    """The attack with the largest AUC of all on the page under one protocol, whatever it is told of a person or may ask.

    Its name, its AUC (turned round where its whole interval lies below one half), what that interval says, how many members
    it finds, and out of how many it was picked. None where no attack has an AUC.
    """
    aucs = rows[(rows["measure"] == "auc") & (rows["condition"] == "")]
    if aucs.empty:
        return None
    reversed_ = aucs["high"] < 0.5
    place = int(aucs["value"].where(~reversed_, 1 - aucs["value"]).to_numpy().argmax())
    best, turn_round = aucs.iloc[place], bool(reversed_.iloc[place])
    same = rows[(rows[[*_AUDIT, "condition"]] == best[[*_AUDIT, "condition"]]).all(axis=1)]
    found = [cell(row) for row in same[same["measure"] == "tpr_at_fpr_1e-2"].to_dict("records")]
    auc = measure_of(best)
    auc = turned(auc) if turn_round else auc
    ends = {name: getattr(auc, name) for name in ("value", "low", "high")}
    turn = ["turned round"] if turn_round else []
    return {
        "protocol": protocol,
        "attack": ", ".join([attack_name(best), *circumstances(best), *turn]),
        "auc": cell(best.to_dict() | ends),
        "verdict": verdict(auc),
        "found": found[0] if found else None,
        "out_of": len(aucs.drop_duplicates(_AUDIT)),
    }


def one_target(targets: int) -> list[str]:
    """A sentence if a single model was attacked: it cannot tell how far another would be from it."""
    alone = (
        "One target was attacked: every interval holds for that very model, and another, trained anew, may lie outside."
    )
    return [alone] if targets == 1 else []


def few_clusters(attacks: pd.DataFrame) -> list[str]:
    """A sentence if some audit set holds too few speakers for its intervals to be trusted."""
    counts = attacks[attacks["measure"] == "audit_units"].groupby("protocol")["value"].min()
    few = sorted(counts[counts < FEW_CLUSTERS].index, key=position)
    if not few:
        return []
    thin = ", ".join(f"{protocol} ({int(counts[protocol])})" for protocol in few)
    return [
        f"Too few to trust the intervals of protocol {thin}: "
        f"they are drawn from fewer than {FEW_CLUSTERS} speakers on one side."
    ]


def summary(
    name: str, utility: pd.DataFrame, strongest: list[dict], controls: Iterable[str], few: Sequence[str] = ()
) -> list[str]:
    """The findings on one corpus in a few sentences; controls: where each negative control lies beside its chance; few: what
    limits the intervals."""
    sentences = [*_accuracy(name, utility), *_strongest(strongest), *luck_of(controls), *few]
    if is_synthetic(name):
        sentences.append("The voices are synthetic.")
    return sentences or ["Nothing was measured on this corpus alone."]


def _accuracy(name: str, utility: pd.DataFrame) -> list[str]:
    """How well the attacked targets do their work; models that only serve an attack have a protocol and stay out."""
    targets = utility[utility["protocol"] == ""]
    measured = {row["metric"]: cell(row) for row in targets.to_dict("records")}
    if "test_accuracy" not in measured:
        return []
    trained = f" ({measured['train_accuracy']['value']} in training)" if "train_accuracy" in measured else ""
    right, interval = measured["test_accuracy"]["value"], measured["test_accuracy"]["interval"]
    return [f"On {short_name(name)}, the model names the speaker of {right} {interval} of test fragments{trained}."]


def _strongest(strongest: list[dict]) -> list[str]:
    if not strongest:
        return []
    found = "; ".join(
        f"{_told(row['auc'])} under protocol {row['protocol']} ({row['attack']}{_out_of(row)}), {row['verdict']}"
        for row in strongest
    )
    sentences = [f"The strongest attack has AUC {found}."]
    if any(row["out_of"] > 1 for row in strongest):
        sentences.append("The largest of several, picked on the data that reports it, is optimistic.")
    return sentences


def _out_of(row: dict) -> str:
    return f", the largest of {row['out_of']}" if row["out_of"] > 1 else ""


def luck_of(controls: Iterable[str], of: str = "negative controls") -> list[str]:
    """How many controls are outside their chance, beside the number that luck alone would put there; none: no sentence."""
    luck = together(controls)
    if not luck.n:
        return []
    said, surprise = "lies outside its" if luck.outside == 1 else "lie outside their", ""
    if luck.so_many < SURPRISING:
        surprise = ": more than luck alone explains, were each a model of its own; those of one model share its luck"
    elif luck.so_few < SURPRISING:
        surprise = (
            ": fewer than luck would put there, so these intervals are wider than 95 %, or the controls hang together"
        )
    return [
        f"{luck.outside} of {luck.n} {of} {said} chance, where about {luck.expected:.1f} are expected by luck"
        f"{surprise}."
    ]


def luck_in(records: pd.DataFrame, of: str = "negative controls") -> str:
    """The sentence of `luck_of` on records of controls, each beside the chance of its measure; empty without any interval."""
    return " ".join(luck_of((place(row) for row in records.to_dict("records")), of))


def exposed(attacks: pd.DataFrame) -> list[str]:
    """Sentences on how unevenly persons are found, by the attack on recordings that finds most; none where it was not
    measured."""
    known = attacks[(attacks["protocol"] == "utterance") & (attacks["condition"] == "")]
    rates = {name: known[known["measure"] == name].set_index("attack") for name in ("auc", *PERSONS)}
    if any(table.empty for table in rates.values()):
        return []
    best = rates["auc"]["value"].idxmax()
    if not all(best in table.index for table in rates.values()):
        return []
    usual, worst = (
        cell(rates[name].loc[[best]].reset_index().iloc[0].to_dict() | {"too_coarse": 0}) for name in PERSONS
    )
    return [
        f"Where {figures.name(best)} calls one non-member in a hundred a member by mistake, the recordings of half of the "
        f"persons are mistaken at most {_told(usual)} of the time, and those of the worst placed person {_told(worst)}: a "
        "false accusation does not strike everybody alike."
    ]


def _told(shown: dict) -> str:
    return f"{shown['value']} {shown['interval']}".strip()
