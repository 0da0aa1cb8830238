"""Pruned and quantised models: asked as undefended ones are, by attackers whose models are compressed alike."""

import numpy as np
import pytest

from mia_lib.signals.statistics import statistics
from mia_lib.studies.compressed import CONDITION, TRIED, compressed_records
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.losses import losses_behind
from mia_lib.studies.shadow import ShadowStudy

SETTINGS = dict(epochs=6, shadow_epochs=6, repeats=1, bootstrap=30, max_speakers=0, max_utterances=0, n_shadows=2)
SETTINGS |= dict(defense_references=3, defense_speakers=6)
NAMES = ("quantise:8", "quantise:2")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    return ShadowStudy(Dataset("demo:10x8", "smoke", 0, "cpu", outputs, settings=SETTINGS))


@pytest.fixture(scope="module")
def records(study):
    return compressed_records(study, NAMES)


def of(records, defense, measure, attack="none"):
    table = records[(records.defense == defense) & (records.measure == measure) & (records.attack == attack)]
    return table[table.control == ""].iloc[0]


def test_eight_bits_change_next_to_nothing_and_two_bits_break_the_model(records):
    plain, eight, two = (of(records, name, "train_accuracy").value for name in ("none", *NAMES))
    assert abs(eight - plain) < 0.05 and two < plain - 0.2
    change = of(records, "quantise:8", "strongest_auc_change", "strongest")
    assert abs(change.value) < 0.05 and change.low <= change.value <= change.high
    assert not ((records.defense == "none") & (records.measure == "strongest_auc_change")).any()


def test_the_change_is_that_of_the_stronger_of_two_attacks_that_know_it(records):
    best = {name: max(of(records, name, "auc", attack).value for attack in TRIED) for name in ("none", "quantise:2")}
    change = of(records, "quantise:2", "strongest_auc_change", "strongest")
    assert change.value == pytest.approx(best["quantise:2"] - best["none"], abs=1e-9)
    attacked = records[records.attack != "none"]
    assert attacked.adaptive.all() and (records.condition == CONDITION).all()


def test_each_is_asked_of_a_model_that_heard_nothing_as_well(records):
    control = records[records.control == "unexposed"]
    assert len(control) == 3 * len(TRIED) and ((control.value - 0.5).abs() < 0.3).all()


def test_losses_are_those_of_the_validation_model_s_two_sides(study):
    heaps = losses_behind(study, ["none", "quantise:2"])
    members, others = heaps["none"]
    validation = study.validation()
    target = validation.targets()[0]
    loss = statistics(validation.logits[[target]], validation.labels[[target]]).loss[0]
    for values, rows in ((members, validation.splits[target].train()), (others, validation.splits[target].held_out())):
        assert len(values) > 5 and np.isin(np.round(values, 9), np.round(loss[rows], 9)).all()
    assert np.median(members) < np.median(others) and np.abs(heaps["quantise:2"][0] - members).max() > 0.01
