"""Training from given weights: each model begins where it is told, alone or in a stack, also after a kill."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from defenses.noisy_voices import largest_difference, toy

from mia_lib.training.objective import Objective
from mia_lib.training.train import train_job


@pytest.fixture(scope="module")
def trained():
    return train_job(toy(epochs=1), Objective())


def further(trained, **config):
    """The job of training on from trained weights."""
    job = toy(**config)
    return replace(job, start=[trained.weights(k) for k in range(3)])


def test_without_a_learning_rate_models_stay_where_they_begin(trained):
    job = further(trained, epochs=1, learning_rate=0.0)
    after = train_job(job, Objective()).network.state_dict()
    for name, tensor in trained.network.state_dict().items():
        if "running" not in name:  # statistics of batches are followed all the same
            assert torch.equal(after[name], tensor), name


def test_a_model_of_a_stack_goes_on_as_it_goes_on_alone(trained):
    job = further(trained, epochs=2)
    stack, single = train_job(job, Objective()), train_job(job.pick([2]), Objective())
    assert largest_difference(stack, 2, single) < 1e-6
    assert largest_difference(stack, 1, trained.pick([1])) > 1e-4


def test_a_killed_run_goes_on_from_its_checkpoint_and_not_from_its_start(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("mia_lib.training.train.CHECKPOINT_SECONDS", 0.0)
    job = replace(further(trained, epochs=3), checkpoint=tmp_path / "run.safetensors")
    whole = train_job(replace(job, checkpoint=None), Objective())

    class Killed(Objective):
        def losses(self, network, features, labels, batch):
            if batch.step == 14:
                raise KeyboardInterrupt
            return super().losses(network, features, labels, batch)

    with pytest.raises(KeyboardInterrupt):
        train_job(job, Killed())
    seen = []

    class Followed(Objective):
        def losses(self, network, features, labels, batch):
            seen.append(batch.step)
            return super().losses(network, features, labels, batch)

    kept = job.checkpoint.read_bytes()
    moved = [{name: tensor + 1e-3 for name, tensor in weights.items()} for weights in job.start]
    train_job(replace(job, start=moved), Followed())
    assert seen.pop(0) == 0  # not from the checkpoint of models that began elsewhere
    job.checkpoint.write_bytes(kept)
    seen.clear()
    again = train_job(job, Followed())
    assert 0 < seen[0] < 15
    assert max(largest_difference(again, k, whole.pick([k])) for k in range(3)) < 1e-9
    assert np.isfinite(again.history["loss"]).all()
