"""A recipe describes and training carries it out; neither side reaches for the other's insides."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from defenses.noisy_voices import toy

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import make_defense
from mia_lib.support.errors import UsageError
from mia_lib.support.source import closure
from mia_lib.training.job import required
from mia_lib.training.lesson import Lesson
from mia_lib.training.objective import Objective
from mia_lib.training.recipe import train_defended

CARRIES_OUT = {f"mia_lib.training.{name}" for name in ("train", "parts", "teaching", "recipe", "checkpoint")}


def imports(module):
    ours, _ = closure(frozenset({module}))
    return ours


@pytest.mark.parametrize("name", DEFENSES.names())
def test_no_defense_imports_what_carries_it_out(name):
    assert not CARRIES_OUT & imports(DEFENSES.get(name).__module__)


def test_training_imports_no_defense():
    modules = imports("mia_lib.training.parts")
    assert modules >= CARRIES_OUT and not any(module.startswith("mia_lib.defenses") for module in modules)


def test_any_description_is_carried_out():
    class Fewer:
        memory = 1.0

        def part(self, models):
            return self

        def changed(self, job):
            return replace(job, config=replace(job.config, epochs=1))

        def objective(self, job):
            assert job.config.epochs == 1  # told of the job as it is trained
            return Objective()

        def lesson(self, job):
            return None

        def finished(self, models):
            return replace(models, seconds=-1.0)

    trained = train_defended(Fewer(), toy(epochs=3))
    assert trained.config.epochs == 1 and trained.seconds == -1.0


def test_a_combination_alters_in_the_order_of_its_name_and_then_changes_what_its_one_way_changes():
    job = replace(toy(), augmented=torch.zeros(1, *toy().features.shape))
    names = "early_stopping:0.5+augmentation:0.5+top_k:1+spec_augment:0.2"
    changed = make_defense(names).changed(job)
    assert [alteration.func.__name__ for alteration in changed.alterations] == ["replaced", "mask"]
    assert changed.config.epochs == (2, 2, 2) and changed.train is job.train
    assert make_defense("spec_augment:0.2+dp_sgd").changed(job).config.norm == "group"
    lesson = make_defense("spec_augment:0.2+dmp").lesson(make_defense("spec_augment:0.2").changed(job))
    assert isinstance(lesson, Lesson) and lesson.students.train is job.reference
    assert lesson.teachers.alterations == lesson.students.alterations != ()
    assert make_defense("spec_augment:0.2+mixup").lesson(job) is None


@pytest.mark.parametrize("name", ["dp_sgd", "dmp", "adversarial_regularisation", "dmp+spec_augment"])
def test_a_model_without_reference_fragments_is_refused_by_its_number(name):
    job = toy(epochs=1)
    lacking = [job.reference[0], job.reference[1][:0], job.reference[2]]
    with pytest.raises(UsageError, match=r"needs reference fragments.*; model 1 has none$"):
        train_defended(make_defense(name), replace(job, reference=lacking))
    with pytest.raises(UsageError, match="needs reference fragments"):
        train_defended(make_defense(name), replace(job, reference=None))


def test_fragments_that_every_model_has_are_given_back():
    sets = [np.arange(2), np.arange(1)]
    assert required(sets, "something") is sets
