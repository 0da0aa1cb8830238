"""What to do about what an audit found: how to know more, and what defenses cost where they were measured."""

from pathlib import Path

import pandas as pd

from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.findings import CHANCE, number
from mia_lib.corpora.base import is_synthetic, short_name
from mia_lib.defenses.base import DEFENSES
from mia_lib.evaluation.rates import FPR_LEVELS
from mia_lib.evaluation.reading import read_results
from mia_lib.evaluation.resolution import measurable
from mia_lib.evaluation.strongest import STRONGEST
from mia_lib.reporting.page import judged_defenses
from mia_lib.reporting.words import written
from mia_lib.support.files import read_json

NOTEBOOKS = {
    "obfuscation": "07_prediction_obfuscation",
    "regularisation": "08_regularisation",
    "distillation": "09_distillation",
    "adversarial": "10_adversarial_training",
    "privacy": "11_differential_privacy",
}
"""Families of defenses -> where they are measured."""
COMPARED = "12_comparison"
LEAK = "strongest AUC, utterance"
"""The column of `verdicts.summary` by which defenses are ordered."""


def advice(evidence: Evidence, results: pd.DataFrame, others: int) -> list[str]:
    """Sentences on what to do next, each because of what this audit found or could not see; others: non-members judged."""
    blind, best = number(results, "blind"), number(results, STRONGEST)
    few, said = FPR_LEVELS["tpr_at_fpr_1e-3"], []
    confounded = blind is not None and blind.low > CHANCE
    if confounded:
        said.append(
            "First compare like with like: choose non-members that were recorded as the members were, or let coins "
            "(mia-lib audit coins) draw who is trained on next time."
        )
    elif blind is None:
        said.append("Give statistics of the sound (blind), or let the recordings be heard (--model and --members).")
    if evidence.reference_answers is None and evidence.kind != "embeddings":
        said.append(
            "An attacker may train models too. With reference models (--train, or reference_logits beside saved signals) "
            "attacks run that compare each recording with itself; without them this audit is the more lenient one."
        )
    if not measurable(few, others):
        said.append(f"To see one false alarm in a thousand takes {round(1 / few):,} non-members; here are {others:,}.")
    if best is not None and best.low <= CHANCE:
        said.append("No attack that was tried tells members here, which does not prove that none does.")
    elif best is not None and confounded:
        said.append("Until then nobody knows whether what attacks find here is a leak that a defense could stop.")
    elif best is not None:
        said.append(
            "Members can be told: give out less, or train otherwise. What each way stops and costs is another measurement."
        )
    return said


def defenses_by_notebook() -> list[dict]:
    """The defenses of each notebook, by the families that they register in."""
    about = DEFENSES.describe()
    found = []
    for family, notebook in NOTEBOOKS.items():
        names = [name for name in about if DEFENSES.get(name).family == family]
        found.append(dict(notebook=notebook, family=family, names=names))
    return found


def measured_costs(outputs: Path) -> dict | None:
    """What defenses stop and cost in the newest run in a folder that judged some; None without one that can be read."""
    runs = sorted(outputs.glob("*/results.csv"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in runs:
        parameters = read_json(path.parent / "run.json", {}).get("parameters", {})
        try:
            table = judged_defenses(read_results(path)) if parameters else ()
        except (LookupError, ValueError, OSError):  # damaged, or without all that is compared
            continue
        if len(table):
            corpus = str(parameters.get("corpus", ""))
            about = dict(run=path.parent.name, corpus=short_name(corpus), synthetic=is_synthetic(corpus))
            about |= {name: parameters.get(name, "") for name in ("profile", "seed")}
            return about | {"rows": _by_leak(table)}
    return None


def _by_leak(table: pd.DataFrame) -> list[dict]:
    """Defenses as text: no defense first, then by what the strongest attack that knows them still tells."""
    order = sorted(table.index, key=lambda name: (name != "none", table.loc[name, LEAK]))
    return [
        {
            "defense": name,
            "change": table.loc[name, "change"],
            "leak": written(table.loc[name, LEAK], "score"),
            "by": table.loc[name, "by"],
            "accuracy": written(table.loc[name, "test accuracy"], "rate"),
            "cost": table.loc[name, "cost in points"],
            "time": f"{table.loc[name, 'training cost']:.2g}",
        }
        for name in order
    ]
