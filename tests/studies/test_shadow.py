"""End to end on small demo corpora: what the paper's attack finds, and that it finds nothing where there is nothing.

The bounds come from five seeds of these very experiments, which hold two fifths of the held-out recordings back for the
defender: AUC of the exposed targets .977 ± .025 (utterance), from .992 (paper); of the unexposed ones, on all held-out
recordings of eight seeds, .50 ± .04 (utterance), .49 ± .14 (speaker, paper); mean ± standard deviation.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.rates import POOLED
from mia_lib.evaluation.records import CIRCUMSTANCES, COLUMNS
from mia_lib.fragments.perturbations import PERTURBATIONS
from mia_lib.fragments.splits import HELD_OUT, TRAIN, UNSEEN
from mia_lib.signals.signals import Signals
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.shadow import PAPER_ATTACKS, ShadowStudy
from mia_lib.support.device import choose_device
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.training.job import TrainingConfig
from mia_lib.training.train import feature_statistics, train_models

SEEDS = range(5)
SMALL = dict(max_speakers=0, max_utterances=0, epochs=20, shadow_epochs=20, n_shadows=2, bootstrap=100)


def small(seed, outputs, **settings):
    return ShadowStudy(Dataset("demo:24x10", "smoke", seed, "cpu", outputs, settings=SMALL | settings))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def experiments(outputs):
    """One small experiment per seed, each with a corpus of its own."""
    return [small(seed, outputs) for seed in SEEDS]


def aucs(experiments, attack, protocol, control=False):
    return np.array([evaluate(e.audits(attack, protocol, control), 20)["auc"].value for e in experiments])


@pytest.mark.parametrize("attack", ["top3_network", "largest_posterior"])
@pytest.mark.parametrize("protocol, least", [("utterance", 0.88), ("paper", 0.98)])
def test_the_papers_attacks_find_members_of_every_seed(experiments, attack, protocol, least):
    assert aucs(experiments, attack, protocol).min() > least


@pytest.mark.parametrize("attack", ["top3_network", "largest_posterior"])
@pytest.mark.parametrize("protocol, width", [("utterance", 0.07), ("speaker", 0.18), ("paper", 0.18)])
def test_a_target_that_never_saw_the_audit_set_leaves_the_attack_at_chance(experiments, attack, protocol, width):
    assert aucs(experiments, attack, protocol, control=True).mean() == pytest.approx(0.5, abs=width)


@pytest.mark.parametrize("attack", ["label_only", "modified_entropy", "shokri", "top3_network"])
@pytest.mark.parametrize("protocol", ["speaker", "paper"])
def test_no_attack_knows_beforehand_who_is_a_stranger(experiments, outputs, monkeypatch, attack, protocol):
    """Answers drawn at random tell nothing, so whoever finds members among them has been told."""

    def at_random(experiment, needs):
        rows, rng = experiment.fragments_for(needs), np.random.default_rng(experiment.seed)
        labels = experiment.labels[:, rows]
        shape = (len(PERTURBATIONS), *labels.shape, experiment.logits.shape[2])
        copies = rng.standard_normal(shape) if needs else None
        return Signals(rng.standard_normal(shape[1:]), labels, np.full(labels.shape, -1, np.int8), copies=copies)

    monkeypatch.setattr(ShadowStudy, "_answers_with", at_random)
    fresh = [small(experiment.seed, outputs) for experiment in experiments]
    assert aucs(fresh, attack, protocol).mean() == pytest.approx(0.5, abs=0.1)


def test_only_protocols_about_recordings_name_speakers(experiments):
    for protocol, named in (("utterance", True), ("speaker", False), ("paper", False)):
        signals = experiments[0].signals(0, protocol, needs=("copies",))
        assert (signals.labels[signals.audited()[0]] >= 0).all() == named
        assert (signals.labels >= 0).any() == named


def test_the_gap_between_train_and_test_is_real_and_the_model_is_honest(experiments):
    for experiment in experiments:
        assert experiment.accuracy("train").value > 0.99 > experiment.accuracy("held_out").value > 0.8


def test_thresholds_come_from_the_shadows_alone(experiments, outputs):
    blind = small(0, outputs)
    logits = np.array(experiments[0].logits)
    logits[0] = np.random.default_rng(0).standard_normal(logits[0].shape) + np.where(np.isinf(logits[0]), -np.inf, 0)
    blind.released.__dict__["logits"] = logits
    for attack in PAPER_ATTACKS:
        assert blind.audits(attack, "paper")[0].threshold == experiments[0].audits(attack, "paper")[0].threshold


def test_nothing_but_training_fragments_reaches_a_model(experiments):
    features, splits, labels = experiments[0].features, experiments[0].splits, experiments[0].labels
    altered = features.clone()
    untouched = ~np.isin(splits[0].role, TRAIN)
    altered[untouched] = 1000.0
    config = TrainingConfig("paper_mfcc", epochs=1, batch_size=16)
    first, second = (
        train_models(x, labels[:1], [splits[0].train()], config, [1], test=[splits[0].held_out()]).network.state_dict()
        for x in (features, altered)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_statistics_of_normalisation_are_those_of_the_training_fragments():
    features = torch.arange(24.0).reshape(4, 3, 2)
    mean, scale = feature_statistics(features, [np.array([0, 2])])
    expected = features[[0, 2]].reshape(-1, 2)
    torch.testing.assert_close(mean[0], expected.mean(0).double())
    torch.testing.assert_close(scale[0], expected.std(0, correction=0).double())


def test_records_are_tidy_and_hold_every_attack_protocol_and_control(experiments):
    records = experiments[0].records()
    assert list(records.columns) == [*COLUMNS, *CIRCUMSTANCES]
    shown = records[records["low"].notna()]
    assert (shown["low"] <= shown["high"]).all()
    assert set(records["measure"][records["low"].isna()]) <= {
        "tpr_at_fpr_1e-2",
        "tpr_at_fpr_1e-3",
        POOLED,
        "tpr_at_fpr_0",
        "person_fpr_median",
        "person_fpr_worst",
    }
    attacked = records[records["attack"] != "none"]
    assert len(attacked[["attack", "protocol"]].drop_duplicates()) == 3 * len(PAPER_ATTACKS) + 1
    assert {"auc", "precision", "recall", "tpr_at_fpr_1e-3", "precision_target_threshold"} <= set(attacked["metric"])
    assert {"auc_control_shuffled", "balanced_accuracy_control_unexposed"} <= set(attacked["metric"])
    assert not records.duplicated(["protocol", "attack", "metric"]).any()


def test_a_second_run_reads_every_stage_from_the_cache_and_gives_the_same_numbers(experiments, outputs):
    again = small(0, outputs)
    pd.testing.assert_frame_equal(again.records(), experiments[0].records())
    assert {t["stage"] for t in again.cache.timings} == {"fragments", "features-mfcc", "models", "logits", "records"}
    assert all(t["cached"] for t in again.cache.timings)


def test_called_members_are_split_by_the_part_that_fragments_played(experiments):
    shares = experiments[0].accepted("largest_posterior", "paper")
    roles = experiments[0].splits[0].role
    assert [shares[r].n for r in ("train", "held_out", "unseen")] == [
        int((roles == code).sum()) for code in (TRAIN, HELD_OUT, UNSEEN)
    ]
    assert shares["train"].value > shares["unseen"].value


def test_results_by_condition_cover_each_value(experiments):
    table = experiments[0].by_condition("gender", "largest_posterior", "utterance")
    genders = set(experiments[0].manifest["gender"].astype(str))
    assert {f"test_accuracy_gender_{g}" for g in genders} <= set(table["metric"])


def test_a_device_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(MiaError, match="no such CUDA device"):
        choose_device("cuda")
    with pytest.raises(UsageError, match="unknown device"):
        choose_device("abacus")


def test_the_controls_model_is_no_teacher_of_the_attack_on_it(experiments):
    study = experiments[0]
    assert study.teachers(0, control=False) == (1, 2) and study.teachers(0, control=True) == (1,)
    exposed, control = (study.audits("largest_posterior", "paper", control)[0] for control in (False, True))
    np.testing.assert_array_equal(exposed.rows, control.rows)
    trained = set(study.manifest["speaker"].iloc[study.splits[study.shadows].train()].astype(str))
    assert not trained & set(study.manifest["speaker"].iloc[control.rows].astype(str))
