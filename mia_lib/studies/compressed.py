"""Models as they run on devices, pruned or quantised: do they hide what they were trained on, or leak it?"""

import pandas as pd

from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.records import Result
from mia_lib.evaluation.strongest import STRONGEST, change_of_strongest, strongest_of
from mia_lib.studies.defended import DefenseEvaluation
from mia_lib.studies.pool import train_together
from mia_lib.studies.reference import PROTOCOL, ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy

COMPRESSED = ("pruning:0.6", "pruning:0.9", "quantise:8", "quantise:4", "pair_balancing:16")
CONDITION = "compressed"
"""Of the records: models of the study of references that stands behind each defense, whatever else was judged."""
TRIED = ("lira_online", "rmia_online")
SIDES = {"train_accuracy": "train", "test_accuracy": "held_out"}
RATES = ("auc", "tpr_at_fpr_1e-2")


def compressed_records(study: ShadowStudy, names: tuple[str, ...] = COMPRESSED) -> pd.DataFrame:
    """Accuracies of undefended reference models and of those behind each of `names`, RATES of LiRA and RMIA whose reference
    models are compressed alike, with the AUC on a model that trained on none of the recordings; and how far the stronger of
    the two lies from the undefended."""
    evaluations = [DefenseEvaluation(study, name) for name in ("none", *names)]
    train_together([one.references.pool for one in evaluations])
    plain = evaluations[0].references
    return pd.concat([_records(one.references, plain) for one in evaluations], ignore_index=True)


def _records(references: ReferenceStudy, plain: ReferenceStudy) -> pd.DataFrame:
    draws, seed = references.settings.bootstrap, references.seed

    def tables() -> list[pd.DataFrame]:
        accuracies = [Result(name, references.accuracy(side), CONDITION) for name, side in SIDES.items()]
        found, audits = [references.table("", "none", accuracies)], {}
        for attack in TRIED:
            audits[attack] = references.audits(attack)
            rates = evaluate(audits[attack], draws, seed)
            control = evaluate(references.audits(attack, control=True), draws, seed, control=True)["auc"]
            results = [Result(name, rates[name], CONDITION) for name in RATES]
            results.append(Result("auc", control, CONDITION, control="unexposed"))
            found.append(references.table(PROTOCOL, attack, results, adaptive=True))
        results = [Result(f"{STRONGEST}_auc", strongest_of(audits, draws, seed).measure, CONDITION)]
        if references.defense != "none":
            usual = {attack: plain.audits(attack) for attack in TRIED}
            results.append(
                Result(f"{STRONGEST}_auc_change", change_of_strongest(audits, usual, draws, seed), CONDITION)
            )
        return [*found, references.table(PROTOCOL, STRONGEST, results, adaptive=True)]

    return references.kept(CONDITION, tables, TRIED, [plain])
