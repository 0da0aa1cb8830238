"""A stack never asks for more memory than there is: its parts fit, and end where the whole would have ended."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from defenses.noisy_voices import alone, largest_difference, toy

from mia_lib.defenses.base import Defense, make_defense
from mia_lib.support.executor import VARIABLE
from mia_lib.training import parts
from mia_lib.training.parts import bytes_per_model, train_in_parts
from mia_lib.training.recipe import train_defended

PEAK = """
import re
import torch
import numpy as np
from mia_lib.training.parts import bytes_per_model
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.train import train_job
from mia_lib.training.objective import Objective

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

def job(models):
    features, labels = torch.randn(200, 94, 20), np.tile(np.arange(200) % 50, (models, 1))
    return Job(features, labels, [np.arange(200)] * models, TrainingConfig("paper_mfcc", 1), list(range(models)))

train_job(job(1), Objective())
before = peak()
train_job(job(24), Objective())
print((peak() - before) / 23 / bytes_per_model(job(1)))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks of memory are read as Linux tells them")
def test_the_formula_holds_what_training_really_takes():
    ratio = float(subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True).stdout)
    assert 0.5 < ratio < 1


def test_parts_end_where_the_whole_ends_and_keep_their_strengths(monkeypatch):
    job = toy(epochs=(1, 2, 1), learning_rate=3e-4)
    strengths = [0.1, 0.4, 0.8]
    each = bytes_per_model(job)
    monkeypatch.setattr(parts, "free_memory", lambda device: 2.5 * each / parts.SHARE)
    labels = []
    kind = type(make_defense("label_smoothing:0.2"))
    monkeypatch.setattr(
        parts, "train_defended", lambda recipe, part: labels.append(part.label) or train_defended(recipe, part)
    )
    models = train_in_parts(kind(strengths), job)
    assert len(labels) == 2 and "in 2 parts" in labels[0] and "MB for each model" in labels[0]
    for k, strength in enumerate(strengths):
        assert largest_difference(models, k, train_defended(kind(strength), alone(job, k))) < 1e-6
    assert sorted(models.history["model"].unique()) == [0, 1, 2] and models.config.epochs == (1, 2, 1)
    x = job.features[:3]
    assert torch.isneginf(models.network(x)[0, :, 4:]).all() and torch.isfinite(models.network(x)[1]).all()


def test_what_fits_is_trained_at_once_and_a_single_model_always(monkeypatch):
    calls, job = [], toy(epochs=1)

    class Counted(Defense):
        def objective(self, job):
            calls.append(len(job.train))
            return super().objective(job)

    train_in_parts(Counted(), job)
    monkeypatch.setattr(parts, "free_memory", lambda device: 0)
    train_in_parts(Counted(), job)
    assert calls == [3, 1, 1, 1]


def weights(models):
    return [tensor.numpy().tobytes() for tensor in models.network.state_dict().values()]


@pytest.mark.parametrize("name", ["none", "distillation:4", "dropout:0.5"])
def test_any_number_of_cores_gives_the_same_bits(monkeypatch, name):
    monkeypatch.setattr(parts, "PART", 1)
    job = replace(toy(epochs=1), dtype=torch.float32)
    alone = weights(train_in_parts(make_defense(name), job, 1))
    for workers in (2, 3):
        assert weights(train_in_parts(make_defense(name), job, workers)) == alone


def test_a_stack_is_cut_the_same_way_on_every_machine():
    sizes = {k: [len(part) for part in parts.cut(k, 8)] for k in (1, 8, 9, 17, 24, 40)}
    assert sizes == {1: [1], 8: [8], 9: [5, 4], 17: [5, 4, 4, 4], 24: [6] * 4, 40: [5] * 8}
    assert [len(part) for part in parts.cut(17, 8, cores=False)] == [6, 6, 5]  # as few as fit
    assert parts.cut(3, 1) == [[0], [1], [2]]


def test_no_more_parts_train_at_once_than_there_is_memory_for(monkeypatch):
    job, running, most = toy(epochs=1), [], []

    def watched(recipe, part):
        running.append(part)
        most.append(len(running))
        try:
            return train_defended(recipe, part)
        finally:
            running.remove(part)

    monkeypatch.setattr(parts, "train_defended", watched)
    monkeypatch.setattr(parts, "free_memory", lambda device: 1.5 * bytes_per_model(job) / parts.SHARE)
    train_in_parts(Defense(), job, 3)
    assert most == [1, 1, 1]


def test_every_part_has_a_checkpoint_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "PART", 2)
    given = []
    monkeypatch.setattr(
        parts, "train_defended", lambda recipe, part: given.append(part.checkpoint) or train_defended(recipe, part)
    )
    train_in_parts(Defense(), replace(toy(epochs=1), checkpoint=tmp_path / "c.safetensors"), 2)
    assert sorted(path.name for path in given) == ["c-0.safetensors", "c-1.safetensors"]


def test_a_defense_that_trains_more_models_counts_them():
    assert make_defense("selena:6").memory == 6 and make_defense("selena:4+top_k:1").memory == 4
    assert make_defense("none").memory == 1


def test_larger_batches_need_more():
    small, large = toy(batch_size=8), toy(batch_size=16)
    assert np.isfinite(bytes_per_model(small)) and bytes_per_model(large) > bytes_per_model(small)


@pytest.mark.parametrize("name", ["none", "distillation:4"])
def test_worker_processes_give_the_same_bits_as_threads(monkeypatch, name):
    monkeypatch.setattr(parts, "PART", 2)
    job = replace(toy(epochs=1), dtype=torch.float32)
    alone = weights(train_in_parts(make_defense(name), job, 1))
    monkeypatch.setenv(VARIABLE, "workers:2")
    assert weights(train_in_parts(make_defense(name), job)) == alone


def test_where_the_folder_of_checkpoints_is_not_there_a_part_goes_without(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(parts, "train_defended", lambda recipe, part: given.append(part.checkpoint))
    for folder in (tmp_path, tmp_path / "on another machine"):
        parts.train_part((Defense(), replace(toy(epochs=1), checkpoint=folder / "c")))
    assert given == [tmp_path / "c", None]


def test_models_that_take_as_many_steps_share_a_part_the_longest_first():
    assert parts.alike(np.array([10, 40, 9, 39, 8, 7, 29])) == [[1, 3], [6], [0, 2, 4], [5]]
    assert parts.alike(np.array([5, 5, 5])) == [[0, 1, 2]]


def test_models_of_different_lengths_come_back_in_their_own_order():
    job = toy(epochs=(1, 6, 2))
    models = train_in_parts(make_defense("none"), job)
    assert (
        models.config.epochs == (1, 6, 2) and models.network.classes == train_defended(Defense(), job).network.classes
    )
    for k in range(3):
        assert largest_difference(models, k, train_defended(Defense(), alone(job, k))) < 1e-6
        assert models.history.loc[models.history["model"] == k, "epoch"].max() == pytest.approx(
            job.config.epochs[k], abs=0.5
        )
