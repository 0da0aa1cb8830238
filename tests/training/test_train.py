"""Each of K stacked models ends where it would have ended alone; runs resume; finished models stay finished."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from defenses.noisy_voices import toy
from safetensors import safe_open

from mia_lib.models import MODELS
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.training.adam import StackedAdam
from mia_lib.training.checkpoint import by_model, read_checkpoint, write_checkpoint
from mia_lib.training.job import Job, TrainingConfig, joined
from mia_lib.training.objective import Objective, batch_schedule, cross_entropy
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


def test_a_checkpoint_with_a_flipped_bit_is_not_gone_on_from(tmp_path):
    path, device = tmp_path / "c.safetensors", torch.device("cpu")
    write_checkpoint(path, {"network": {"weight": torch.arange(200.0), "count": torch.tensor(3)}}, {"fingerprint": "a"})
    groups, about = read_checkpoint(path, "a", device)
    assert (
        groups["network"]["count"] == 3 and about == {"fingerprint": "a"} and read_checkpoint(path, "b", device) is None
    )
    content = bytearray(path.read_bytes())
    content[-400] ^= 4
    path.write_bytes(content)
    assert read_checkpoint(path, "a", device) is None


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


def test_early_stopping_ends_a_model_early_and_needs_validation_of_every_model():
    features, labels, train = data()
    config = TrainingConfig(epochs=30, batch_size=8, patience=2)
    with pytest.raises(UsageError, match="validation"):
        train_models(features, labels, train, config, [1, 2, 3])
    rest = [np.setdiff1d(np.arange(80), index) for index in train]
    with pytest.raises(UsageError, match="validation fragments; model 1 has none"):
        lacking = [rest[0], rest[1][:0], rest[2]]
        train_models(features, labels, train, config, [1, 2, 3], validation=lacking)
    models = train_models(features.float(), labels, train, config, [1, 2, 3], validation=rest)
    assert models.history.groupby("model")["epoch"].max().max() < 29


EPOCHS = 12


def loss_of(models, k, job):
    """Mean loss of model k on its validation fragments."""
    own = job.validation[k]
    logits = models.network(job.features[own])[k : k + 1]
    return float(cross_entropy(logits, torch.from_numpy(job.labels[k, own])[None]).mean())


@pytest.fixture(scope="module")
def epochs():
    """A job whose validation loss falls and then rises, the models after each of its epochs, and the losses [models, epochs].

    A third of the validation labels are wrong: the surer a model grows of its speakers, the more these cost.
    """
    job = toy((4, 6), voice=0.8)
    labels = job.labels.copy()
    for row, own, classes in zip(labels, job.reference, (4, 6), strict=True):
        row[own[::3]] = (row[own[::3]] + 1) % classes
    job = replace(job, labels=labels, validation=job.reference, test=None, reference=None)
    after = [train_job(replace(job, config=replace(job.config, epochs=e)), Objective()) for e in range(1, EPOCHS + 1)]
    losses = [[loss_of(m, k, job) for m in after] for k in range(len(job.train))]
    return job, after, np.array(losses)


@pytest.mark.parametrize("patience, stopped", [(2, True), (EPOCHS, False)])
def test_a_model_ends_with_its_best_weights_whether_it_stops_early_or_on_time(epochs, patience, stopped):
    job, after, losses = epochs
    best = losses.argmin(1)
    assert (best > 0).all() and (best < EPOCHS - 3).all()  # neither the first nor the last, whatever the patience
    models = train_job(replace(job, config=replace(job.config, epochs=EPOCHS, patience=patience)), Objective())
    assert ((models.history.groupby("model")["epoch"].max() < EPOCHS) == stopped).all()
    for k, e in enumerate(best):
        for name, value in models.network.state_dict().items():
            torch.testing.assert_close(value[k], after[e].network.state_dict()[name][k], rtol=1e-9, atol=1e-11)


def test_a_resumed_run_knows_the_best_weights_and_which_models_are_finished(epochs, tmp_path, monkeypatch):
    monkeypatch.setattr("mia_lib.training.train.CHECKPOINT_SECONDS", 0.0)
    config = replace(epochs[0].config, epochs=EPOCHS, patience=2)
    job = replace(epochs[0], config=config, checkpoint=tmp_path / "checkpoint.safetensors")

    class Killed(Objective):
        def losses(self, network, features, labels, batch):
            if batch.step == 40:  # the first model ended after step 30
                raise KeyboardInterrupt
            return super().losses(network, features, labels, batch)

    with pytest.raises(KeyboardInterrupt):
        train_job(job, Killed())
    with safe_open(job.checkpoint, "pt") as file:
        fingerprint = json.loads(file.metadata()["about"])["fingerprint"]
    groups, about = read_checkpoint(job.checkpoint, fingerprint, torch.device("cpu"))
    assert set(by_model(groups["finished"])) == {0} and set(by_model(groups["best"])) == {1} and about["step"] == 36
    assert read_checkpoint(job.checkpoint, "of another run", torch.device("cpu")) is None
    resumed, whole = train_job(job, Objective()), train_job(replace(job, checkpoint=None), Objective())
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, rtol=1e-9, atol=1e-11)


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
