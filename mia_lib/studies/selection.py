"""The paper's families of defenses with the strengths that are tried, and how one is chosen: on a validation model."""

from functools import cache

import pandas as pd

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Altering, make_defense
from mia_lib.evaluation.verdicts import TOLERANCE
from mia_lib.studies.defended import Judgement
from mia_lib.studies.pool import train_together
from mia_lib.studies.shadow import Experiment
from mia_lib.support.errors import UsageError
from mia_lib.support.progress import progress

GENTLE = 2  # of the strengths at which students may hear altered fragments, the weakest: they have little to learn from
FAMILIES = ("obfuscation", "regularisation", "distillation", "adversarial", "privacy", "combination")


def members(family: str) -> tuple[str, ...]:
    """The defenses of a family by name, each with its strengths, weakest first; a new defense names its family itself."""
    kinds = [(name, DEFENSES.get(name)) for name in DEFENSES.names()]
    return tuple(
        f"{name}:{strength:g}" if strength is not None else name
        for name, kind in kinds
        if kind.family == family
        for strength in kind.strengths or (None,)
    )


def tried(experiment: Experiment, family: str) -> tuple[str, ...]:
    """What is tried of a family: all its members. Of `combination`: what protects best in each family that changes the
    training, and what leaks least by distillation at whatever cost, its students hearing altered fragments, which may win
    accuracy back; the answers then changed by what protects best of those that change answers."""
    if family not in FAMILIES:
        raise UsageError(f"unknown family {family!r}: choose one of {', '.join(FAMILIES)}")
    if family != "combination":
        return members(family)
    over = chosen(experiment, "obfuscation")["protects"]
    under = [chosen(experiment, name)["protects"] for name in ("regularisation", "distillation", "adversarial")]
    table = validate(experiment, "regularisation")
    heard = [name for name in table.index if isinstance(make_defense(name), Altering)]
    kind = choose(table.loc[["none", *heard]], "auc_adaptive").partition(":")[0]
    taught = _nearest_to_chance(validate(experiment, "distillation").drop(index="none"), "auc_adaptive")
    gentle = [name for name in heard if name.partition(":")[0] == kind][:GENTLE]
    under += [f"{taught}+{name}" for name in gentle]
    return tuple(f"{name}+{over}" for name in under)


@cache
def validate(experiment: Experiment, family: str) -> pd.DataFrame:
    """Every defense of a family, and `none`, on the validation model: one row each, indexed by defense.

    Measured once for each experiment; what is returned is shared, so change a copy.

    Columns: test_accuracy; paper and utterance, the balanced accuracy of the paper's attack without knowledge of the
    defense under those protocols; paper_adaptive and utterance_adaptive, with it; auc_adaptive, under `utterance`, of that
    attack or, where training and answers are both changed, of the one on labels if it is further from chance; n, the
    smallest number of fragments that one of these attacks was tried on.
    """
    names = ("none", *tried(experiment, family))
    validation, rows = experiment.validation(), []
    _ = validation.groups  # drawn once, for all defenses
    judgements = [Judgement(validation, name) for name in names]
    train_together([judgement.experiment.stack for judgement in judgements])
    with progress(f"{family} on the validation model", len(names), "defense") as bar:
        for judgement in judgements:
            rows.append(_row(judgement.quick()))
            bar.update(1, judgement.defense)
    return pd.DataFrame(rows, index=pd.Index(names, name="defense"))


def _row(records: pd.DataFrame) -> dict[str, float]:
    row = {"test_accuracy": records.loc[records["metric"] == "test_accuracy", "value"].iloc[0]}
    for protocol in ("paper", "utterance"):
        for adaptive in (False, True):
            part = records[(records["protocol"] == protocol) & (records["adaptive"] == adaptive)]
            part = part[part["attack"] == "top3_network"].set_index("metric")
            row[protocol + "_adaptive" * adaptive] = part["value"]["balanced_accuracy"]
    known = records[(records["protocol"] == "utterance") & records["adaptive"] & (records["metric"] == "auc")]["value"]
    row["auc_adaptive"] = max(known, key=lambda auc: abs(auc - 0.5))
    row["n"] = records.loc[records["attack"] != "none", "n"].min()
    return row


def _nearest_to_chance(table: pd.DataFrame, column: str) -> str:
    return str((table[column] - 0.5).abs().idxmin())


def choose(table: pd.DataFrame, column: str) -> str:
    """The defense with the value of `column` nearest to chance, 0.5, of those that cost at most TOLERANCE of test accuracy;
    of all that are as near, within a standard error, the most accurate.

    table: of `validate`. Where all cost more, the one that costs least. The rule of one standard error: Breiman et al.,
    Classification and Regression Trees, 1984. It is that of an AUC at chance, n / 2 members beside n / 2 others (Mann and
    Whitney 1947): 1 / sqrt(3 n). A balanced accuracy's is about as large.
    """
    candidates = table.drop(index="none")
    affordable = candidates[candidates["test_accuracy"] >= table.loc["none", "test_accuracy"] - TOLERANCE]
    if affordable.empty:
        return str(candidates["test_accuracy"].idxmax())
    table = affordable.assign(distance=(affordable[column] - 0.5).abs())
    as_near = table[table["distance"] <= table["distance"].min() + (3 * table["n"]) ** -0.5]
    return str(as_near.sort_values(["test_accuracy", "distance"], ascending=[False, True]).index[0])


def judged(experiment: Experiment, family: str) -> pd.DataFrame:
    """Records of the undefended models and of what `chosen` finds, judged by every attack (see `Judgement.records`)."""
    names = dict.fromkeys(["none", *chosen(experiment, family).values()])
    return pd.concat([Judgement(experiment, name).records() for name in names])


def chosen(experiment: Experiment, family: str) -> dict[str, str]:
    """What a family offers: `hides`, the best against the paper's attack as the paper ran it, of the paper's own defenses
    where the family has one; `protects`, the best against the same attack that knows the defense, protocol `utterance`."""
    table = validate(experiment, family)
    own = [
        name for name in table.index.drop("none") if "+" not in name and DEFENSES.get(name.partition(":")[0]).of_paper
    ]
    return {
        "hides": choose(table.loc[["none", *own]] if own else table, "paper"),
        "protects": choose(table, "auc_adaptive"),
    }
