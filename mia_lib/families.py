"""The paper's families of defenses with the strengths that are tried, and how one is chosen: on a validation model."""

import pandas as pd

from mia_lib.errors import UsageError
from mia_lib.experiment import Experiment
from mia_lib.judgement import Judgement
from mia_lib.progress import progress

FAMILIES: dict[str, tuple[str, ...]] = {
    "obfuscation": (
        *("temperature:2", "temperature:20", "rounding:3", "rounding:1", "top_k:3", "top_k:1", "rank_reciprocal:3"),
        *("hamp_output", "memguard:0.5", "memguard:1", "label_only"),
    ),
    "regularisation": (
        *("weight_decay:0.03", "dropout:0.5", "early_stopping:0.3", "label_smoothing:0.2", "mixup:1", "relaxloss:0.1"),
        *("hamp:0.5", "spec_augment:0.4", "augmentation:0.5", "augmentation:1"),
    ),
    "distillation": ("distillation:2", "distillation:20", "dmp:2", "selena:4"),
    "adversarial": ("adversarial_regularisation:0.3", "adversarial_regularisation:1", "pgd:0.1"),
    "privacy": ("dp_sgd:inf", "dp_sgd:8"),
    "combination": ("augmentation:1+label_only",),
}
"""Family -> the defenses tried, with their strengths."""
TOLERANCE = 0.03
"""How much test accuracy a chosen defense may cost."""
CLAIMED = 0.53
"""Largest balanced accuracy of the paper's attack that counts as taken to chance."""


def validate(experiment: Experiment, family: str) -> pd.DataFrame:
    """Every defense of a family, and `none`, on the validation model: one row each, indexed by defense.

    Columns: test_accuracy; paper and utterance, the balanced accuracy of the paper's attack without knowledge of the
    defense under those protocols; paper_adaptive and utterance_adaptive, with it; auc_adaptive, under `utterance`.
    """
    if family not in FAMILIES:
        raise UsageError(f"unknown family {family!r}: choose one of {', '.join(FAMILIES)}")
    validation, rows, names = experiment.validation(), [], ("none", *FAMILIES[family])
    with progress(f"{family} on the validation model", len(names), "defense") as bar:
        for name in names:
            rows.append(_row(Judgement(validation, name).quick()))
            bar.update(1, name)
    return pd.DataFrame(rows, index=pd.Index(names, name="defense"))


def _row(records: pd.DataFrame) -> dict[str, float]:
    row = {"test_accuracy": records.loc[records["metric"] == "test_accuracy", "value"].iloc[0]}
    for protocol in ("paper", "utterance"):
        for adaptive in (False, True):
            part = records[(records["protocol"] == protocol) & (records["adaptive"] == adaptive)].set_index("metric")
            row[protocol + "_adaptive" * adaptive] = part["value"]["balanced_accuracy"]
    row["auc_adaptive"] = part["value"]["auc"]
    return row


def choose(table: pd.DataFrame, column: str) -> str:
    """The defense with the value of `column` nearest to chance, 0.5, of those that cost at most TOLERANCE of test accuracy.

    table: of `validate`. Where all cost more, the one that costs least.
    """
    candidates = table.drop(index="none")
    affordable = candidates[candidates["test_accuracy"] >= table.loc["none", "test_accuracy"] - TOLERANCE]
    if affordable.empty:
        return str(candidates["test_accuracy"].idxmax())
    return str((affordable[column] - 0.5).abs().idxmin())


def judged(experiment: Experiment, family: str) -> pd.DataFrame:
    """Records of the undefended models and of what `chosen` finds, judged by every attack (see `Judgement.records`)."""
    names = dict.fromkeys(["none", *chosen(experiment, family).values()])
    return pd.concat([Judgement(experiment, name).records() for name in names])


def strongest(records: pd.DataFrame, metric: str, protocol: str = "utterance") -> pd.Series:
    """The record with the largest value of `metric` among the attacks that know the defense, under a protocol."""
    rows = records[records["adaptive"] & (records["metric"] == metric) & (records["protocol"] == protocol)]
    return rows.iloc[int(rows["value"].to_numpy().argmax())]


def verdict(records: pd.DataFrame, undefended: pd.DataFrame) -> str:
    """What the records of one defense say of the claim that it takes the paper's attack to chance at little cost.

    Claimed: balanced accuracy of the paper's attack, as the paper ran it (protocol `paper`, shadows undefended), at most
    CLAIMED, for at most TOLERANCE of test accuracy. Then: is the strongest attack that knows the defense at chance?
    """
    rate = _value(records, "balanced_accuracy", "top3_network", "paper", adaptive=False)
    cost = _value(undefended, "test_accuracy") - _value(records, "test_accuracy")
    if rate > CLAIMED:
        return "not reproduced"
    if cost > TOLERANCE:
        return f"reproduced, at {100 * cost:.0f} points of accuracy" + _adaptive_half(records)
    return "reproduced" + _adaptive_half(records)


def _adaptive_half(records: pd.DataFrame) -> str:
    best = strongest(records, "auc")
    return (
        ", also against attackers who know it" if best["low"] <= 0.5 else "; holds only against a non-adaptive attacker"
    )


def _value(
    records: pd.DataFrame, metric: str, attack: str = "none", protocol: str = "", adaptive: bool = False
) -> float:
    rows = records[(records["metric"] == metric) & (records["attack"] == attack) & (records["protocol"] == protocol)]
    return float(rows.loc[rows["adaptive"] == adaptive, "value"].iloc[0])


def summary(records: pd.DataFrame) -> pd.DataFrame:
    """One row per defense of judged records: accuracy, the paper's attack, the strongest attacks, and a verdict in words."""
    undefended, rows = records[records["defense"] == "none"], {}
    for name, part in records.groupby("defense", sort=False):
        auc, corner = strongest(part, "auc"), strongest(part, "tpr_at_fpr_1e-3")
        rows[name] = {
            "test accuracy": _value(part, "test_accuracy"),
            "paper's attack": _value(part, "balanced_accuracy", "top3_network", "paper"),
            "the same, adaptive": _value(part, "balanced_accuracy", "top3_network", "paper", adaptive=True),
            "strongest AUC, utterance": auc["value"],
            "by": auc["attack"],
            "its TPR at 0.1 % FPR": corner["value"],
            "strongest AUC, speaker": strongest(part, "auc", "speaker")["value"],
            "training cost": _value(part, "train_seconds_ratio"),
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


def chosen(experiment: Experiment, family: str) -> dict[str, str]:
    """What a family offers: `hides`, the best against the paper's attack as the paper ran it; `protects`, the best against
    the same attack that knows the defense, under protocol `utterance`."""
    table = validate(experiment, family)
    return {"hides": choose(table, "paper"), "protects": choose(table, "auc_adaptive")}
