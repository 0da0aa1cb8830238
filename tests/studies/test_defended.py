"""Defenses are chosen on a model that is never attacked, and judged by attackers who know them and who do not."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import make_defense
from mia_lib.defenses.label_smoothing import LabelSmoothing
from mia_lib.evaluation.calibration import calibration_gaps
from mia_lib.evaluation.verdicts import TOLERANCE
from mia_lib.fragments.splits import HELD_OUT, REFERENCE, TRAIN
from mia_lib.studies import selection
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.defended import DefenseEvaluation, keeps_every_answer
from mia_lib.studies.pool import train_together
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.errors import UsageError

SMALL = dict(
    max_speakers=0, max_utterances=0, epochs=20, shadow_epochs=20, n_shadows=2, bootstrap=50, query_fragments=100
)
SMALL |= dict(defense_references=4, defense_speakers=0, repeats=2)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return ShadowStudy(Dataset("demo:24x10", "smoke", 0, "cpu", tmp_path_factory.mktemp("outputs"), settings=SMALL))


def value(records, metric, attack="top3_network", protocol="paper", adaptive=False):
    rows = records[(records["metric"] == metric) & (records["attack"] == attack) & (records["protocol"] == protocol)]
    return rows.loc[rows["adaptive"] == adaptive, "value"].iloc[0]


def test_calibration_gaps_by_hand():
    gaps = calibration_gaps(np.array([0.95, 0.99, 0.40]), np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(gaps, [0.47, 0.47, 0.40])
    assert calibration_gaps(np.array([1.0, 1.0]), np.array([1.0, 1.0])).mean() == 0


def test_a_temperature_fools_who_does_not_know_it_and_nobody_else(experiment):
    plain, defended = (
        DefenseEvaluation(experiment, "none").screening(),
        DefenseEvaluation(experiment, "temperature:20").screening(),
    )
    assert value(plain, "balanced_accuracy") > 0.85
    assert value(defended, "balanced_accuracy") < 0.6
    assert value(defended, "balanced_accuracy", adaptive=True) > 0.85
    assert set(defended["defense"]) == {"temperature:20"}
    assert keeps_every_answer(experiment, "temperature:20") and not keeps_every_answer(experiment, "mixup")


def test_full_records_hold_every_kind_of_attacker_and_controls(experiment):
    records = DefenseEvaluation(experiment, "label_only").records()
    found = set(map(tuple, records[["attack", "adaptive"]].drop_duplicates().to_numpy()))
    assert {("top3_network", False), ("top3_network", True), ("label_only", True), ("lira_online", True)} <= found
    assert value(records, "auc", "largest_posterior", "utterance") == 0.5
    changes = records[records["attack"] == "strongest"].set_index(["protocol", "metric"])
    assert changes["adaptive"].all() and len(changes) >= 12
    auc, change = (changes.loc[("utterance", f"strongest_auc{end}")] for end in ("", "_change"))
    known = records[records["adaptive"] & (records["metric"] == "auc") & (records["protocol"] == "utterance")]["value"]
    assert (
        auc["value"] == pytest.approx(np.maximum(known, 1 - known).max()) and auc["low"] <= auc["value"] <= auc["high"]
    )
    assert change["low"] <= change["value"] <= change["high"] and change["value"] < 0.02
    kept = records.loc[records["metric"] == "test_accuracy_change", ["value", "low", "high"]]
    assert kept.to_numpy().tolist() == [[0, 0, 0]]  # the named speaker stays
    assert {"calibration_error", "train_seconds_ratio", "auc_control_unexposed"} <= set(records["metric"])


def test_what_attacks_prove_is_recorded_with_a_control_and_no_upper_end(experiment):
    records = DefenseEvaluation(experiment, "none").proven().set_index(["metric", "attack"])
    bounds, controls = records.loc["epsilon_lower_bound"], records.loc["epsilon_lower_bound_control_shuffled"]
    assert set(bounds.index) == {"largest_posterior_references", "lira_online", "rmia_online"}
    assert bounds["value"].max() > 0.5 > controls["value"].max()
    assert (records["low"] == records["value"]).all() and np.isinf(records["high"]).all()
    audits = DefenseEvaluation(experiment, "none").references.audits("lira_online")
    recordings = [experiment.manifest["source"].iloc[audit.rows].nunique() for audit in audits]
    assert (bounds["n"] == sum(recordings)).all()
    assert records.loc["epsilon_one_run", "n"].isin(recordings).all()  # one model by itself


def test_the_validation_model_is_none_of_the_attacked_ones_and_needs_no_more_shadows(experiment):
    validation = experiment.validation()
    assert len(validation.splits) == 2 and validation.targets() == [0]
    target = validation.splits[0]
    assert all((target.role != experiment.splits[k].role).any() for k in experiment.targets())
    assert validation.pool.seeds[0] not in experiment.pool.seeds


def test_a_defense_that_needs_data_gets_some_that_is_neither_trained_on_nor_audited_behind_any(experiment):
    defended = experiment.defended("dmp")
    assert all((a.role == b.role).all() for a, b in zip(experiment.splits, defended.splits, strict=True))
    for before, after in zip(experiment.design.splits, defended.splits, strict=True):
        aside = after.role == REFERENCE
        assert aside.any() and (before.role[aside] == HELD_OUT).all()
        assert ((before.role == TRAIN) == (after.role == TRAIN)).all()
        assert not set(experiment.manifest["source"][aside]) & set(
            experiment.manifest["source"][after.role == HELD_OUT]
        )


def test_the_choice_is_the_nearest_to_chance_among_what_costs_little():
    table = pd.DataFrame(
        dict(test_accuracy=[0.95, 0.94, 0.95 - TOLERANCE, 0.5], paper=[1.0, 0.7, 0.45, 0.5], paper_n=300),
        index=["none", "weak", "good", "ruinous"],
    )
    assert selection.best_of(table, "paper") == "good"
    assert selection.best_of(table.drop(index=["weak", "good"]), "paper") == "ruinous"


def test_the_papers_claim_is_looked_for_at_any_cost_and_at_the_most_accurate_strength(experiment, monkeypatch):
    names = ["none", "distillation:5", "distillation:20", "distillation:50", "dmp:1"]
    table = pd.DataFrame(
        dict(
            test_accuracy=[0.95, 0.94, 0.7, 0.6, 0.5],
            paper=[0.99, 0.8, 0.52, 0.5, 0.5],
            auc_adaptive=0.9,
            paper_n=900,
            auc_adaptive_n=900,
        ),
        index=names,
    )
    monkeypatch.setattr(selection, "screen", lambda *_: table)
    offer = selection.selected(experiment, "distillation")
    assert offer == {"hides": "distillation:5", "protects": "distillation:5", "reproduces": "distillation:20"}
    table["paper"] = [0.99, 0.8, 0.6, 0.62, 0.5]  # the claim holds nowhere
    assert selection.selected(experiment, "distillation")["reproduces"] == "distillation:20"
    table.index = ["none", "pgd:1", "pgd:2", "pgd:3", "dmp:1"]
    assert "reproduces" not in selection.selected(experiment, "distillation")


def test_of_what_is_as_near_to_chance_the_most_accurate_is_chosen():
    """With 300 fragments a standard error is 1/30: .53 is as near as .50, .54 is not."""
    table = pd.DataFrame(
        dict(test_accuracy=[0.95, 0.93, 0.94, 0.945], auc_adaptive=[0.9, 0.5, 0.53, 0.54], auc_adaptive_n=300),
        index=["none", "nearest", "as_near", "further"],
    )
    assert selection.best_of(table, "auc_adaptive") == "as_near"
    assert selection.best_of(table.assign(auc_adaptive_n=30_000), "auc_adaptive") == "nearest"
    assert selection.best_of(table.assign(test_accuracy=0.95), "auc_adaptive") == "nearest"  # as accurate: the nearer
    twin = pd.concat([table, table.loc[["nearest"]].rename({"nearest": "twin"})])
    assert selection.alike(twin, "nearest", "auc_adaptive") == ["twin"]
    assert selection.alike(twin, "further", "auc_adaptive") == []


def test_every_defense_belongs_to_a_family_and_other_families_are_refused(experiment):
    names = [name for family in selection.FAMILIES for name in selection.candidates(family)]
    own = {name for name in DEFENSES.names() if DEFENSES.get(name).family}
    assert {name.partition(":")[0] for name in names} == own == set(DEFENSES.names()) - {selection.BASELINE}
    assert all(make_defense(name) for name in names) and len(names) == len(set(names))
    with pytest.raises(UsageError, match="unknown family 'hope': choose one of obfuscation"):
        selection.screen(experiment, "hope")


@pytest.mark.parametrize("beside", [("", ""), ("+spec_augment:0.1", "+spec_augment:0.2")])
def test_a_sweep_is_trained_in_one_call_and_each_strength_finds_its_models(experiment, monkeypatch, beside):
    validation, calls = experiment.validation(), []
    names = (f"label_smoothing:0.2{beside[0]}", f"label_smoothing:0.8{beside[1]}", "none")
    objective = LabelSmoothing.objective
    monkeypatch.setattr(
        LabelSmoothing, "objective", lambda self, job: calls.append(len(job.train)) or objective(self, job)
    )
    train_together([validation.defended(name).pool for name in names])
    assert calls == [4]
    sure = []
    for name in names[:2]:
        defended = validation.defended(name)
        assert defended.models.history["model"].unique().tolist() == [0, 1]
        rows = defended.splits[0].train()
        sure.append(float(softmax(defended.logits[0, rows].astype(float), axis=-1).max(-1).mean()))
    assert calls == [4] and sure[0] > sure[1] + 0.2
    train_together([validation.defended(name).pool for name in names])  # all there: nothing to do
    assert calls == [4]


def test_a_combination_is_what_protects_best_above_what_protects_best(experiment, monkeypatch):
    tables = dict(
        regularisation=dict(none=0.9, mixup=0.55, spec_augment=0.7, augmentation=0.6),
        distillation=dict(none=0.9, distillation=0.8, dmp=0.47),
    )
    monkeypatch.setattr(selection, "selected", lambda _, family: {"protects": family[:3]})
    monkeypatch.setattr(
        selection,
        "screen",
        lambda _, f: pd.DataFrame(dict(test_accuracy=0.9, auc_adaptive=tables[f], auc_adaptive_n=10_000)),
    )
    under = ("reg", "dis", "adv", "dmp+augmentation")
    assert selection.candidates_of(experiment, "combination") == tuple(f"{name}+obf" for name in under)


def test_a_combination_is_chosen_by_what_it_does_against_labels_too(experiment):
    validation = experiment.validation()
    both = DefenseEvaluation(validation, "label_smoothing:0.2+label_only").screening()
    assert set(both["attack"]) == {"none", "top3_network", "label_only", "lira_online", "label_only_calibrated"}
    known = both[(both["metric"] == "auc") & both["adaptive"] & (both["protocol"] == "utterance")].set_index("attack")[
        "value"
    ]
    row = selection._row(both)
    assert row["by"] == (known - 0.5).abs().idxmax() and row["auc_adaptive"] == known[row["by"]]
    assert known["top3_network"] == 0.5  # it sees constant posteriors


def test_a_strength_is_chosen_by_an_attack_that_no_threshold_hides_on_models_that_are_never_attacked(experiment):
    evaluation = DefenseEvaluation(experiment.validation(), "none")
    few, attacked = evaluation.few, DefenseEvaluation(experiment, "none").references
    assert few.count == 5 and not set(few.pool.seeds) & set(attacked.pool.seeds)
    coins = [np.stack([split.role for split in study.splits]) for study in (few, attacked)]
    both = (coins[0][:5] == TRAIN) | (coins[0][:5] == HELD_OUT)
    assert both.any() and 0.3 < (coins[0][:5] == coins[1][:5])[both].mean() < 0.7  # other coins
    row = selection._row(records := evaluation.screening())
    assert row["by"] == "lira_online" and row["train_accuracy"] > row["test_accuracy"]
    own = records[(records["attack"] == "lira_online") & (records["metric"] == "auc")]
    assert row["auc_adaptive_n"] == own["n"].item()  # its fragments: few for other attacks say nothing of it
    assert "label_only_calibrated" not in set(records["attack"])  # LiRA sees all that there is


def test_what_is_recommended_is_chosen_on_the_validation_model_and_beats_its_extra_recordings_alone(
    experiment, monkeypatch
):
    accuracy = {"none": 0.95, "dmp:2": 0.93, "mixup": 0.94, "label_only": 0.95}
    leak = {"none": 0.9, "dmp:2": 0.5, "mixup": 0.6, "label_only": 0.8}
    families = dict(obfuscation="label_only", regularisation="mixup", distillation="dmp:2")
    monkeypatch.setattr(selection, "FAMILIES", tuple(families))

    def screen(_, family):
        names = ["none", families[family]]
        return pd.DataFrame(
            dict(
                test_accuracy=[accuracy[n] for n in names], auc_adaptive=[leak[n] for n in names], auc_adaptive_n=10_000
            ),
            index=names,
        )

    monkeypatch.setattr(selection, "screen", screen)
    monkeypatch.setattr(DefenseEvaluation, "screening", lambda self: self.defense)
    for alone, best in ((0.90, "dmp:2"), (0.93, "mixup")):
        monkeypatch.setattr(selection, "_row", lambda _, alone=alone: {"test_accuracy": alone})
        assert selection.recommended(experiment) == best


def test_a_defense_of_answers_has_the_undefended_models_and_is_never_trained_for(experiment):
    for validation in (experiment, experiment.validation()):
        keys = validation.pool.keys
        for name in ("temperature:2", "memguard:1", "label_only"):  # the second is given reference fragments
            assert validation.defended(name).pool.keys == keys
        assert all(own != other for own, other in zip(keys, validation.defended("dmp").pool.keys, strict=True))


def test_pools_with_the_same_models_train_them_once(experiment, monkeypatch):
    calls = []
    monkeypatch.setattr("mia_lib.studies.pool._train_group", calls.append)
    others = SMALL | dict(epochs=3, shadow_epochs=3)  # whom nobody has trained yet
    fresh = ShadowStudy(
        Dataset(experiment.corpus_name, "smoke", 0, "cpu", experiment.cache.root.parent, settings=others)
    )
    pools = [fresh.validation().defended(name).pool for name in ("none", "top_k:1", "rounding:2")]
    train_together(pools)
    assert [[one for one in group if one[1]] for group in calls] == [[(pools[0], [0, 1])]]
