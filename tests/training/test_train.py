"""Each of K stacked models ends where it would have ended alone; runs resume; finished models stay finished."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mia_lib.models import MODELS
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.training.adam import StackedAdam
from mia_lib.training.job import Job, TrainingConfig, joined
from mia_lib.training.objective import Objective, batch_schedule
from mia_lib.training.train import train_job, train_models

SIZES, CLASSES = (40, 55, 47), (4, 6, 5)


def data(bins=8, frames=70, n=80):
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.standard_normal((n, frames, bins)) * 3 + 1)
    labels = np.stack([np.arange(n) % c for c in CLASSES])
    train = [rng.permutation(n)[:size] for size in SIZES]
    return features, labels, train


def run(k, config, **options):
    features, labels, train = data()
    seeds = [11, 12, 13]
    pick = slice(None) if k is None else slice(k, k + 1)
    return train_models(features, labels[pick], train[pick], config, seeds[pick], dtype=torch.float64, **options)


@pytest.mark.parametrize("model", MODELS.names())
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_each_stacked_model_ends_where_it_ends_alone(model, schedule):
    bins, frames = (150, 8) if model == "paper_stft" else (8, 70)
    features, labels, train = data(bins, frames)
    config = TrainingConfig(model, epochs=(2, 3, 4), batch_size=8, schedule=schedule, learning_rate=3e-4)
    stack = train_models(features, labels, train, config, [1, 2, 3], dtype=torch.float64)
    for k in range(3):
        own = TrainingConfig(model, config.epochs[k], 8, schedule=schedule, learning_rate=3e-4)
        alone = train_models(features, labels[k : k + 1], train[k : k + 1], own, [k + 1], dtype=torch.float64)
        for name, value in alone.network.state_dict().items():
            together = stack.network.state_dict()[name][k : k + 1]
            if value.shape != together.shape:  # the last layer, padded to the largest number of classes
                together = together[..., : value.shape[-1]]
            torch.testing.assert_close(together, value, rtol=1e-5, atol=1e-6)


def test_models_of_one_stack_differ():
    weights = run(None, TrainingConfig(epochs=1, batch_size=8)).network.hidden.weight
    assert (weights[0] - weights[1]).abs().max() > 0.01


def test_a_model_never_answers_a_class_that_it_does_not_have():
    models = run(None, TrainingConfig(epochs=1, batch_size=8))
    logits = models.network(data()[0][:5])
    assert torch.isneginf(logits[0, :, 4:]).all() and torch.isfinite(logits[1]).all()


def test_batches_have_one_size_and_pass_through_all_fragments():
    schedule = batch_schedule(np.arange(10), 5, 4, seed=3)
    assert schedule.shape == (5, 4) and sorted(schedule.ravel()[:10]) == list(range(10))


def test_a_killed_run_resumes_to_the_same_end(tmp_path, monkeypatch):
    monkeypatch.setattr("mia_lib.training.train.CHECKPOINT_SECONDS", 0.0)
    config, path = TrainingConfig(epochs=4, batch_size=8), tmp_path / "checkpoint.safetensors"

    class Killed(Objective):
        def losses(self, network, features, labels, batch):
            if batch.step == 15:
                raise KeyboardInterrupt
            return super().losses(network, features, labels, batch)

    with pytest.raises(KeyboardInterrupt):
        run(None, config, checkpoint=path, objective=Killed())
    assert path.exists()
    whole, resumed = run(None, config), run(None, config, checkpoint=path)
    torch.testing.assert_close(resumed.network.hidden.weight, whole.network.hidden.weight, rtol=1e-6, atol=1e-8)
    assert len(resumed.history) == len(whole.history)


def test_early_stopping_keeps_the_best_weights_and_needs_validation():
    features, labels, train = data()
    config = TrainingConfig(epochs=30, batch_size=8, patience=2)
    with pytest.raises(UsageError, match="validation"):
        train_models(features, labels, train, config, [1, 2, 3])
    rest = [np.setdiff1d(np.arange(80), index) for index in train]
    models = train_models(features.float(), labels, train, config, [1, 2, 3], validation=rest)
    assert models.history.groupby("model")["epoch"].max().max() < 29


def test_adam_equals_torchs():
    torch.manual_seed(0)
    start = torch.randn(2, 3, 4, dtype=torch.float64)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    adam, reference = StackedAdam([ours]), torch.optim.Adam([theirs], lr=1e-2)
    for _ in range(20):
        for p in (ours, theirs):
            p.grad = None
            (p**3).sum().backward()
        adam.step(torch.full((2,), 1e-2, dtype=torch.float64))
        reference.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_saved_models_answer_the_same(tmp_path):
    models = run(None, TrainingConfig(epochs=(1, 1, 2), batch_size=8))
    models.save(tmp_path)
    x = data()[0][:4]
    torch.testing.assert_close(type(models).load(tmp_path).network(x), models.network(x))


def test_a_loss_that_is_not_finite_stops_with_one_sentence():
    features, labels, train = data()
    features[train[1][0]] = float("nan")
    with pytest.raises(MiaError, match="not finite"):
        train_models(features, labels, train, TrainingConfig(epochs=1, batch_size=8), [1, 2, 3], dtype=torch.float64)


def test_joined_jobs_end_as_each_would_alone_and_come_apart_again(tmp_path):
    features, labels, train = data()
    config = TrainingConfig(epochs=(2, 1), batch_size=8, learning_rate=3e-4)
    jobs = [
        Job(features, labels[:2], train[:2], config, [1, 2], dtype=torch.float64),
        Job(features, labels[2:], train[2:], replace(config, epochs=3), [3], dtype=torch.float64),
    ]
    together = train_job(joined(jobs), Objective())
    for job, models in zip(jobs, ((0, 1), (2,)), strict=True):
        part, alone = together.pick(models), train_job(job, Objective())
        part.save(tmp_path)
        part = type(part).load(tmp_path)
        assert part.network.classes == alone.network.classes
        torch.testing.assert_close(part.network(features[:5]), alone.network(features[:5]), rtol=1e-5, atol=1e-5)
        assert part.history["model"].unique().tolist() == list(range(len(models)))
        last = [history.groupby("model")["loss"].last() for history in (part.history, alone.history)]
        np.testing.assert_allclose(*last, rtol=0.2)  # epochs of a stack are counted by its mean size
