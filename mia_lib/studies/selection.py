"""The paper's families of defenses with the strengths that are tried, and how one is selected: on a validation model."""

from functools import cache
from typing import Any

import pandas as pd

from mia_lib.defenses.base import DEFENSES, InputDefense, make_defense
from mia_lib.defenses.base import FAMILIES as SINGLE
from mia_lib.evaluation.baseline import BASELINE
from mia_lib.evaluation.correlation import rank_correlation
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.verdicts import BROKEN, CLAIMED, TOLERANCE
from mia_lib.studies.defended import DefenseEvaluation, judged_beside
from mia_lib.studies.pool import train_together
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.errors import UsageError
from mia_lib.support.progress import progress

GENTLE = 2  # of the strengths at which students may hear altered fragments, the weakest: they have little to learn from
FAMILIES = (*SINGLE, "combination")


def candidates(family: str) -> tuple[str, ...]:
    """The defenses of a family by name, each with its strengths, weakest first; a new defense names its family itself."""
    kinds = [(name, DEFENSES.get(name)) for name in DEFENSES.names()]
    return tuple(
        f"{name}:{strength:g}" if strength is not None else name
        for name, kind in kinds
        if kind.family == family
        for strength in kind.strengths or (None,)
    )


def candidates_of(study: ShadowStudy, family: str) -> tuple[str, ...]:
    """What is tried of a family: all its candidates; for `combination` what follows from the other families.

    Each combination changes the training in one way and the answers in the way that protects best of those that change
    answers. The ways to train: what protects best in each family that changes the training; and the distillation that leaks
    least of those that do not break the model, with students that hear altered fragments, which may win accuracy back.
    """
    if family not in FAMILIES:
        raise UsageError(f"unknown family {family!r}: choose one of {', '.join(FAMILIES)}")
    if family != "combination":
        return candidates(family)
    over = selected(study, "obfuscation")["protects"]
    under = [selected(study, name)["protects"] for name in ("regularisation", "distillation", "adversarial")]
    table = screen(study, "regularisation")
    altering_inputs = [name for name in table.index if isinstance(make_defense(name), InputDefense)]
    kind = best_of(table.loc[["none", *altering_inputs]], "auc_adaptive").partition(":")[0]
    taught = _nearest_to_chance(_whole(screen(study, "distillation")), "auc_adaptive")
    gentle = [name for name in altering_inputs if name.partition(":")[0] == kind][:GENTLE]
    under += [f"{taught}+{name}" for name in gentle]
    return tuple(f"{name}+{over}" for name in under)


@cache
def screen(study: ShadowStudy, family: str) -> pd.DataFrame:
    """Every defense of a family, and `none`, on the validation model: one row each, indexed by defense.

    Measured once for each study; what is returned is shared, so change a copy.

    Columns: test_accuracy, train_accuracy; paper and utterance, the balanced accuracy of the paper's attack without knowledge
    of the defense under those protocols; paper_adaptive and utterance_adaptive, with it; auc_adaptive, under `utterance`, of
    the strongest that knows it: that attack, the one on labels, LiRA on a few reference models and, where answers are
    changed, the one on labels that is calibrated on these; by, which; paper_n and auc_adaptive_n, the fragments that the
    attack was tried on.
    """
    names = ("none", *candidates_of(study, family))
    validation, rows = study.validation(), []
    evaluations = [DefenseEvaluation(validation, name) for name in names]
    train_together([pool for one in evaluations for pool in (one.study.pool, one.few.pool)])
    with progress(f"{family} on the validation model", len(names), "defense") as bar:
        for evaluation in evaluations:
            rows.append(_row(evaluation.screening()))
            bar.update(1, evaluation.defense)
    return pd.DataFrame(rows, index=pd.Index(names, name="defense"))


def _row(records: pd.DataFrame) -> dict[str, Any]:
    row = {
        name: records.loc[records["metric"] == name, "value"].iloc[0] for name in ("test_accuracy", "train_accuracy")
    }
    for protocol in ("paper", "utterance"):
        for adaptive in (False, True):
            part = records[(records["protocol"] == protocol) & (records["adaptive"] == adaptive)]
            part = part[part["attack"] == "top3_network"].set_index("metric").loc["balanced_accuracy"]
            row[protocol + "_adaptive" * adaptive] = part["value"]
            row |= {"paper_n": part["n"]} if protocol == "paper" else {}
    known = records[(records["protocol"] == "utterance") & records["adaptive"] & (records["metric"] == "auc")]
    known = known.set_index("attack")
    row["by"] = (known["value"] - 0.5).abs().idxmax()
    row["auc_adaptive"], row["auc_adaptive_n"] = known.loc[row["by"], ["value", "n"]]
    return row


def gap_correlation(table: pd.DataFrame) -> Measure:
    """Whether defenses that narrow the gap between training and test accuracy more also leave less to find: the rank
    correlation, over the defenses of a table of `screen`, of how far either falls below that of no defense (leaks by how far
    `auc_adaptive` lies from chance)."""
    gap, leak = table["train_accuracy"] - table["test_accuracy"], (table["auc_adaptive"] - 0.5).abs()
    tried = table.index != "none"
    return rank_correlation((gap["none"] - gap[tried]).to_numpy(), (leak["none"] - leak[tried]).to_numpy())


def _whole(table: pd.DataFrame) -> pd.DataFrame:
    """The defenses of a table of `screen` that leave a model which still does its work; all, where none does."""
    offered = table.drop(index="none")
    whole = offered[offered["test_accuracy"] >= BROKEN * table.loc["none", "test_accuracy"]]
    return offered if whole.empty else whole


def _nearest_to_chance(table: pd.DataFrame, column: str) -> str:
    return str((table[column] - 0.5).abs().idxmin())


def best_of(table: pd.DataFrame, column: str) -> str:
    """The defense with the value of `column` nearest to chance, 0.5, of those that cost at most TOLERANCE of test accuracy;
    of all that are as near, within a standard error, the most accurate.

    table: of `screen`; column: `paper` or `auc_adaptive`. Where all cost more, the one that costs least; of those alike in
    both numbers, the first of the table. The rule of one standard error: Breiman et al., Classification and Regression Trees,
    1984. It is that of an AUC at chance, n / 2 members beside n / 2 others (Mann and Whitney 1947): 1 / sqrt(3 n). A balanced
    accuracy's is about as large.
    """
    offered = table.drop(index="none")
    affordable = offered[offered["test_accuracy"] >= table.loc["none", "test_accuracy"] - TOLERANCE]
    if affordable.empty:
        return str(offered["test_accuracy"].idxmax())
    table = affordable.assign(distance=(affordable[column] - 0.5).abs())
    as_near = table[table["distance"] <= table["distance"].min() + (3 * table[f"{column}_n"].astype(float)) ** -0.5]
    return str(as_near.sort_values(["test_accuracy", "distance"], ascending=[False, True]).index[0])


def recommended(study: ShadowStudy) -> str:
    """Which of all families' defenses protects best, by the rule of `best_of` on the validation model alone: nothing of the
    models under attack has a say in it.

    A defense that is given extra recordings has to be more accurate there than a model that was trained on those alone.
    """
    tables = [screen(study, family) for family in FAMILIES if family != "privacy"]
    table = pd.concat([tables[0].loc[["none"]], *(each.loc[[best_of(each, "auc_adaptive")]] for each in tables)])
    table = table[~table.index.duplicated()]
    alone = _row(DefenseEvaluation(study.validation(), BASELINE).screening())["test_accuracy"]
    given = [name for name in table.index if make_defense(name).needs_reference]
    return best_of(
        table.drop(index=[name for name in given if table.loc[name, "test_accuracy"] <= alone]), "auc_adaptive"
    )


def alike(table: pd.DataFrame, name: str, column: str) -> list[str]:
    """The other defenses of a table of `screen` with the same value of `column` and the same test accuracy as one of them."""
    same = (table[[column, "test_accuracy"]] == table.loc[name, [column, "test_accuracy"]]).all(axis=1)
    return table.index[same].drop(name).tolist()


def evaluated(study: ShadowStudy, family: str) -> pd.DataFrame:
    """Records of the undefended models and of what `selected` finds, under every attack (`DefenseEvaluation.records`); where
    one of these is given extra recordings also of BASELINE, which is given nothing else."""
    names = dict.fromkeys(["none", *selected(study, family).values()])
    if any(make_defense(name).needs_reference for name in names):
        names[BASELINE] = None
    return judged_beside(study, names)


def selected(study: ShadowStudy, family: str) -> dict[str, str]:
    """What a family offers, by name.

    `hides`: the best against the paper's attack as the paper ran it, of the paper's own defenses where the family has one.
    `protects`: the best against the strongest attack that knows it, protocol `utterance`. `reproduces`, where the paper has a
    defense: the most accurate strength at which the paper's claim holds, whatever it costs; the nearest, if it holds at none.
    """
    table = screen(study, family)
    own = [
        name for name in table.index.drop("none") if "+" not in name and DEFENSES.get(name.partition(":")[0]).of_paper
    ]
    offer = {
        "hides": best_of(table.loc[["none", *own]] if own else table, "paper"),
        "protects": best_of(table, "auc_adaptive"),
    }
    if own:
        distance = (table.loc[own, "paper"] - 0.5).abs()
        claimed = distance[distance <= CLAIMED - 0.5]
        most_accurate = table.loc[claimed.index, "test_accuracy"].idxmax() if len(claimed) else distance.idxmin()
        offer["reproduces"] = str(most_accurate)
    return offer
