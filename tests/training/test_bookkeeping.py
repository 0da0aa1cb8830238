"""What a run is told at every step and what it writes down: batches, rates, histories, checkpoints, parts and wholes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from defenses.noisy_voices import toy

from mia_lib.support.errors import MiaError
from mia_lib.training import train as training
from mia_lib.training.adam import StackedAdam
from mia_lib.training.batch import Batch
from mia_lib.training.checkpoint import by_model, flat, read_checkpoint, write_checkpoint
from mia_lib.training.job import TrainingConfig, feature_statistics, joined, own_steps
from mia_lib.training.lesson import as_many_steps, teacher_seeds
from mia_lib.training.objective import Objective, batch_schedule, cross_entropy, soft_cross_entropy
from mia_lib.training.train import train_job
from mia_lib.training.trained import concatenated

SIZES = (20, 28)  # fragments of the two models; with batches of 8, 24 on the mean: three steps to an epoch of the stack


def small(epochs=(6, 4), **config):
    """A job of two models on 20 and 28 fragments: 15 and 14 steps."""
    job = toy((3, 4), n=28, epochs=epochs, **config)
    return replace(job, train=[own[:size] for own, size in zip(job.train, SIZES, strict=True)], reference=None)


class Witness(Objective):
    """Notes what it is given at each step and what comes of it."""

    draws = True

    def __init__(self):
        self.batches, self.labels, self.results, self.begun = [], [], [], 0

    def begin(self, job, network):
        self.begun += 1

    def losses(self, network, features, labels, batch):
        losses, logits = super().losses(network, features, labels, batch)
        self.batches.append(batch)
        self.labels.append(labels.clone())
        self.results.append((losses.detach().clone(), (logits.argmax(-1) == labels).double().mean(1)))
        return losses, logits


@pytest.fixture(scope="module")
def watched():
    """The job, its witness, the models, and the learning rates of every step [steps, models]."""
    witness, rates, step = Witness(), [], StackedAdam.step
    job = small(schedule="cosine", learning_rate=1e-3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StackedAdam, "step", lambda self, r: rates.append(r.clone()) or step(self, r))
        models = train_job(job, witness)
    return job, witness, models, torch.stack(rates)


def test_each_model_passes_over_its_fragments_so_many_times():
    assert own_steps(TrainingConfig(epochs=(6, 4), batch_size=8), [np.arange(n) for n in SIZES]).tolist() == [15, 14]
    assert own_steps(TrainingConfig(epochs=1, batch_size=8), [np.arange(n) for n in (8, 9)]).tolist() == [1, 2]
    assert TrainingConfig(epochs=3).epochs_of(2) == (3, 3) and TrainingConfig(epochs=[1, 2]).epochs_of(2) == (1, 2)


def test_every_step_knows_its_number_its_epoch_and_how_much_is_done(watched):
    job, witness, _, _ = watched
    assert witness.begun == 1 and [batch.step for batch in witness.batches] == list(range(15))
    for i, batch in enumerate(witness.batches):
        assert batch.epoch.tolist() == [int(i / 2.5), int(i / 3.5)] and list(batch.seeds) == list(job.seeds)
        assert batch.progress.tolist() == pytest.approx([i / 15, i / 14])
    drawn = torch.stack([batch.indices for batch in witness.batches]).numpy()
    for k, (own, seed) in enumerate(zip(job.train, job.seeds, strict=True)):
        np.testing.assert_array_equal(drawn[:, k], batch_schedule(own, 15, 8, seed))
        np.testing.assert_array_equal(torch.stack(witness.labels)[:, k], job.labels[k][drawn[:, k]])


def test_a_cosine_takes_each_models_rate_to_zero_over_its_own_steps(watched):
    rates = watched[3].numpy()
    for k, steps in enumerate((15, 14)):
        np.testing.assert_allclose(rates[:, k], 5e-4 * (1 + np.cos(np.pi * np.arange(15) / steps)), atol=1e-15)


def test_a_model_that_has_done_its_steps_stays_done_while_others_go_on():
    witness = Witness()
    train_job(small(epochs=(6, 2)), witness)
    assert [batch.progress[1].item() for batch in witness.batches] == pytest.approx([min(i / 7, 1) for i in range(15)])


def test_the_history_holds_each_epochs_mean_loss_and_accuracy(watched):
    _, witness, models, _ = watched
    history = models.history
    assert list(history.columns) == ["model", "epoch", "loss", "train_accuracy", "test_accuracy"]
    losses, accuracies = (torch.stack([result[i] for result in witness.results]).numpy() for i in (0, 1))
    for k, per_epoch in enumerate((2.5, 3.5)):
        own = history[history["model"] == k]
        recorded = np.arange(1, 6 - k)  # the second is finished within the stack's fifth epoch
        assert own["epoch"].tolist() == pytest.approx(3 * recorded / per_epoch)
        for column, values in (("loss", losses), ("train_accuracy", accuracies)):
            expected = values[:, k].reshape(5, 3).mean(1)[: len(own)]
            np.testing.assert_allclose(own[column], expected, rtol=1e-5)


def test_test_accuracy_is_measured_every_fifth_epoch_and_at_the_end_and_on_all_test_fragments():
    job = small(epochs=(10, 7))  # 25 steps each
    job = replace(job, test=[job.test[0][:5], job.test[1][:41]])  # sets of very different sizes
    models = train_job(job, Objective())
    measured = models.history[models.history["test_accuracy"].notna()]
    assert set(measured.loc[measured["model"] == 0, "epoch"]) == {15 / 2.5, 25 / 2.5}  # after five, and after the last
    for k in range(2):
        logits = models.network(job.features[job.test[k]])[k]
        right = (logits.argmax(-1).numpy() == job.labels[k, job.test[k]]).mean()
        assert models.history[models.history["model"] == k]["test_accuracy"].iloc[-1] == pytest.approx(right)


@pytest.mark.parametrize("seconds, steps", [(-1.0, [3, 6, 9, 12, 15]), (1e9, [])])
def test_checkpoints_are_written_between_epochs_and_when_it_is_time(monkeypatch, tmp_path, seconds, steps):
    written = []
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", seconds)
    monkeypatch.setattr(training, "write_checkpoint", lambda path, groups, about: written.append(about["step"]))
    train_job(replace(small(), checkpoint=tmp_path / "c.safetensors"), Objective())
    assert written == steps


def test_the_loss_that_stops_a_model_is_the_mean_over_its_own_validation_fragments(monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(training, "write_checkpoint", lambda path, groups, about: written.append(about["best"]))
    job = small(epochs=(7, 5), patience=9)  # 18 steps each
    sets = [np.arange(5), np.arange(112, 212)]  # more than are asked about at once
    models = train_job(replace(job, validation=sets, checkpoint=tmp_path / "c.safetensors"), Objective())
    for k, own in enumerate(sets):
        losses = cross_entropy(models.network(job.features[own])[k], torch.from_numpy(job.labels[k, own]))
        assert min(best[k] for best in written) == pytest.approx(float(losses.mean()), rel=1e-6)


def test_a_checkpoint_holds_groups_of_tensors_and_a_damaged_one_is_no_checkpoint(tmp_path):
    path, device = tmp_path / "c.safetensors", torch.device("cpu")
    assert read_checkpoint(None, "x", device) is None and read_checkpoint(path, "x", device) is None
    weights = {0: {"a.b": torch.ones(2)}, 3: {"a.b": torch.zeros(2)}}
    write_checkpoint(path, dict(network={"w.x": torch.arange(3)}, best=flat(weights)), dict(fingerprint="x", step=4))
    groups, about = read_checkpoint(path, "x", device)
    assert about["step"] == 4 and groups["network"]["w.x"].tolist() == [0, 1, 2]
    assert {k: own["a.b"].tolist() for k, own in by_model(groups["best"]).items()} == {0: [1, 1], 3: [0, 0]}
    assert read_checkpoint(path, "y", device) is None and sorted(tmp_path.iterdir()) == [path]
    path.write_bytes(path.read_bytes()[:20])
    assert read_checkpoint(path, "x", device) is None


@pytest.mark.parametrize("change", ["one fragment", "no label"])
def test_a_model_that_cannot_train_is_refused_by_its_number(change):
    job = small()
    if change == "one fragment":
        job = replace(job, train=[job.train[0], job.train[1][:1]])
    else:
        job.labels[1, job.train[1][5]] = -1
    with pytest.raises(MiaError, match="model 1 needs at least two training fragments"):
        train_job(job, Objective())


def test_statistics_of_features_are_each_models_own_by_hand():
    features = torch.zeros(1030, 2, 1)
    features[0], features[1029, 0], features[1029, 1] = 1.0, 3.0, 7.0  # in different parts of the sum
    mean, scale = feature_statistics(features, [np.array([0, 1029]), np.array([5, 6])])
    assert mean.tolist() == [[3.0], [0.0]]
    assert scale.flatten().tolist() == pytest.approx([6**0.5, 1e-6])


def test_batches_at_a_seed_stay_as_they_were():
    assert batch_schedule(np.arange(10, 16), 3, 4, 1).tolist() == [[12, 11, 13, 15], [10, 14, 15, 13], [10, 12, 11, 14]]
    batch = Batch(torch.zeros(2, 1), None, None, 7, [1, 2])
    drawn = batch.random("one", 3, 2)
    assert drawn.shape == (2, 3, 2) and drawn[:, 0, 0].tolist() == pytest.approx([0.735230, 0.843182], abs=1e-6)
    assert torch.equal(drawn[1], replace(batch, seeds=[2]).random("one", 3, 2)[0])
    assert not torch.equal(drawn, batch.random("two", 3, 2))
    assert not torch.equal(drawn, replace(batch, step=8).random("one", 3, 2))
    assert teacher_seeds([0, 1], 2) == [3580934124, 3367256371, 3515774434, 2338634021]


def test_soft_labels_by_hand_and_absent_classes_do_not_count():
    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]]))
    targets = torch.tensor([[[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]])
    assert soft_cross_entropy(logits, targets)[0].tolist() == pytest.approx([1.5 * np.log(2), 0.0])


def test_side_by_side_the_narrower_schedule_is_filled_up():
    one, two = np.arange(4).reshape(2, 2), np.arange(6).reshape(2, 3)
    both = training._side_by_side([one, two])
    assert both.tolist() == [[[0, 1, -1], [0, 1, 2]], [[2, 3, -1], [3, 4, 5]]]


def test_a_step_without_a_draw_counts_in_no_accuracy():
    class Half(Objective):
        def schedule(self, indices, steps, batch_size, seed):
            schedule = batch_schedule(indices, steps, batch_size, seed)
            return np.pad(schedule, ((0, 0), (0, 8)), constant_values=-1)

        def losses(self, network, features, labels, batch):
            assert (batch.indices[:, 8:] == -1).all() and (labels[:, 8:] == 0).all()
            losses, logits = super().losses(network, features[:, :8], labels[:, :8], batch)
            return losses, 100.0 * torch.nn.functional.one_hot(labels, logits.shape[-1])  # all right

    assert (train_job(small(epochs=1), Half()).history["train_accuracy"] == 1).all()


def test_other_fragments_are_given_at_least_as_many_steps_by_hand():
    job = small(epochs=(6, 4))  # 120 and 112 fragments are seen
    sets = [np.arange(n) for n in (7, 50, 0, 112)]
    assert as_many_steps(job, sets).epochs == (18, 3, 112, 1)
    assert as_many_steps(job, sets[:2], times=2).epochs == (35, 5)


def test_models_taken_apart_and_put_together_are_the_same_models(watched):
    job, _, models, _ = watched
    parts = [models.pick([0]), models.pick([1])]
    assert [part.config.epochs for part in parts] == [(6,), (4,)] and parts[1].history["model"].unique().tolist() == [0]
    assert list(parts[1].history.index) == list(range(len(parts[1].history)))
    assert list(parts[1].history.columns) == list(models.history.columns)
    assert [part.seconds for part in parts] == pytest.approx([models.seconds / 2] * 2, abs=0.001)
    again = concatenated(parts)
    assert again.network.classes == models.network.classes and again.config == models.config
    assert again.seconds == pytest.approx(models.seconds, abs=0.002) and not again.network.training
    for name, value in models.network.state_dict().items():
        part = again.network.state_dict()[name]
        torch.testing.assert_close(part[0], value[0])  # with zeros for the class that the first model does not have
        torch.testing.assert_close(part[1], value[1])
    both = models.history.sort_values(["model", "epoch"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(again.history, both)
    x, swapped = job.features[:4], models.pick([1, 0])
    assert torch.equal(concatenated([models]).network(x), models.network(x))
    torch.testing.assert_close(swapped.network(x)[0], models.network(x)[1])


def test_jobs_are_joined_and_picked_field_by_field():
    job = replace(small(), reference=None)
    one, other = job.pick([0]), job.pick([1])
    assert (one.config.epochs, other.config.epochs) == ((6,), (4,)) and one.seeds == [20] and other.seeds == [21]
    assert one.reference is None and other.test[0] is job.test[1] and np.array_equal(other.labels, job.labels[1:])
    both = joined([one, other])
    assert both.config == job.config and both.seeds == job.seeds and both.reference is None
    assert np.array_equal(both.labels, job.labels)
    assert all(a is b for a, b in zip(both.train + both.test, [*job.train, *job.test], strict=True))


def test_the_papers_way_of_training_is_the_default():
    assert TrainingConfig() == TrainingConfig("paper_mfcc", 50, 32, 1e-3, "constant", 0, "batch")
