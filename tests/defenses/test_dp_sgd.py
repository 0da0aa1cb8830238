"""Private training: single fragments' gradients, clipping, noise and draws are what the accountant assumes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from defenses.noisy_voices import alone, largest_difference, leak_and_accuracy, toy

from mia_lib.defenses.accounting import epsilon
from mia_lib.defenses.base import Defense, make_defense
from mia_lib.defenses.dp_sgd import (
    DPSGD,
    PrivateObjective,
    clipped_gradients,
    gaussian,
    poisson_schedule,
    sampling_rate,
)
from mia_lib.models import MODELS
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.training.batch import Batch
from mia_lib.training.objective import cross_entropy
from mia_lib.training.recipe import train_defended
from mia_lib.training.train import feature_statistics, train_job
from mia_lib.training.trained import TrainedModels

INF = float("inf")


def network_and_batch(model="paper_mfcc", bins=8, frames=64):
    network = MODELS.get(model)(frames, bins, [4, 6], "group").double()
    network.initialise([1, 2])
    torch.manual_seed(0)
    return network, torch.randn(2, 5, frames, bins, dtype=torch.float64), torch.randint(4, (2, 5))


@pytest.mark.parametrize(
    "model, bins, frames",
    [("paper_mfcc", 8, 64), ("paper_stft", 150, 8), ("xvector", 8, 20), ("head", 9, 1), ("head_mlp", 9, 1)],
)
def test_clipped_sums_equal_a_loop_over_models_and_fragments(model, bins, frames):
    network, x, labels = network_and_batch(model, bins, frames)
    drawn = torch.tensor([[True] * 5, [True, True, True, False, False]])
    singles, expected = {}, {name: torch.zeros_like(p) for name, p in network.named_parameters()}
    for k in range(2):
        for i in range(5):
            network.zero_grad()
            cross_entropy(network(x[:, i : i + 1])[k : k + 1], labels[k : k + 1, i : i + 1]).sum().backward()
            singles[k, i] = {name: p.grad[k].clone() for name, p in network.named_parameters()}
    norms = {key: torch.sqrt(sum((g**2).sum() for g in single.values())) for key, single in singles.items()}
    clip = float(np.median(list(norms.values())))  # half of them are clipped
    for (k, i), single in singles.items():
        for name, g in single.items():
            expected[name][k] += drawn[k, i] * g * min(1.0, clip / norms[k, i])
    sums, logits = clipped_gradients(network, x, labels, clip, drawn)
    torch.testing.assert_close(logits, network(x))
    for name, value in sums.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model, bins, frames", [("paper_mfcc", 8, 64), ("xvector", 8, 20), ("head_mlp", 9, 1)])
def test_the_mean_gradient_over_the_copies_of_a_fragment_is_clipped_once(model, bins, frames):
    """Clipping each copy's own gradient, or the sum of all, would give other numbers."""
    network, first, labels = network_and_batch(model, bins, frames)
    x = torch.stack([first, first + torch.randn_like(first), first.flip(2)], 2).flatten(1, 2)  # three copies of each
    drawn = torch.tensor([[True] * 5, [True, True, True, False, False]])
    expected, norms = {name: torch.zeros_like(p) for name, p in network.named_parameters()}, []
    for clip in (1e9, 0.5):
        expected = {name: torch.zeros_like(value) for name, value in expected.items()}
        for k in range(2):
            for i in range(5):
                network.zero_grad()
                own = network(x[:, 3 * i : 3 * i + 3])[k : k + 1]
                cross_entropy(own, labels[k : k + 1, i : i + 1].expand(1, 3)).mean().backward()
                norm = torch.sqrt(sum((p.grad[k] ** 2).sum() for p in network.parameters()))
                norms.append(norm)
                for name, p in network.named_parameters():
                    expected[name][k] += drawn[k, i] * p.grad[k] * min(1.0, clip / norm)
        sums, logits = clipped_gradients(network, x, labels, clip, drawn, 3)
        torch.testing.assert_close(logits, network(first))
        for name, value in sums.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-8, atol=1e-11)
    assert max(norms) > 0.5


def batch(indices, seeds=(1, 2), step=0):
    return Batch(indices, torch.zeros(2), torch.zeros(2), step, seeds)


def begun(network, targets, clip, **config):
    job = toy((4, 6), norm="group", **config)
    objective = PrivateObjective(np.asarray(targets), clip)
    objective.begin(job, network)
    return objective


def test_without_noise_or_clipping_it_is_the_average_gradient_of_the_batch():
    network, x, labels = network_and_batch()
    objective = begun(network, INF, 1e9, batch_size=5)
    losses, logits = objective.backward(network, x, labels, batch(torch.zeros(2, 5, dtype=torch.int64)))
    ours = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    plain, _ = super(PrivateObjective, objective).backward(network, x, labels, batch(torch.zeros(2, 5)))
    torch.testing.assert_close(losses, plain)
    torch.testing.assert_close(logits, network(x))
    for name, p in network.named_parameters():
        torch.testing.assert_close(ours[name], p.grad)


def test_what_fills_up_a_batch_changes_nothing():
    network, x, labels = network_and_batch()
    objective = begun(network, [INF, 8.0], 1.0)
    indices = torch.tensor([[3, 1, 2, -1, -1], [5, -1, -1, -1, -1]])
    losses, logits = objective.backward(network, x, labels, batch(indices))
    first = {name: p.grad.clone() for name, p in network.named_parameters()}
    assert logits.shape == (2, 5, 6)
    x[0, 3:], x[1, 1:] = 100.0, torch.nan
    again, _ = objective.backward(network, x, labels, batch(indices))
    torch.testing.assert_close(again, losses)
    for name, p in network.named_parameters():
        torch.testing.assert_close(p.grad, first[name])


def test_the_noise_has_the_promised_scale_and_is_each_models_own():
    network, x, labels = network_and_batch()
    objective = begun(network, [2.0, 8.0], 0.5)
    nothing = batch(torch.full((2, 5), -1))
    objective.backward(network, x, labels, nothing)
    for k, size in enumerate((4, 6)):
        values = torch.cat([p.grad[k][..., :size].flatten() if "output" in name else p.grad[k].flatten()
                            for name, p in network.named_parameters()])  # fmt: skip
        promised = float(objective.noise[k]) * 0.5 / 8  # batch_size 8
        assert len(values) > 20_000 and values.std().item() == pytest.approx(promised, rel=0.02)
        assert abs(values.mean().item()) < 4 * promised / len(values) ** 0.5
    assert objective.noise[0] > objective.noise[1] > 0
    one, other = network.hidden.weight.grad.flatten(1)
    assert abs(torch.corrcoef(torch.stack([one, other]))[0, 1]) < 0.03
    objective.backward(network, x, labels, batch(torch.full((2, 5), -1), step=1))
    assert abs(torch.corrcoef(torch.stack([one, network.hidden.weight.grad[0].flatten()]))[0, 1]) < 0.03
    assert network.output.weight.grad[0, :, 4:].abs().max() == 0


def test_no_noise_is_drawn_for_a_model_without_any():
    network, *_ = network_and_batch()
    noise = gaussian(network, torch.tensor([0.0, 1.0]), [torch.Generator().manual_seed(k) for k in range(2)])
    assert all(value[0].abs().max() == 0 for value in noise.values()) and noise["hidden.weight"][1].std() > 0.9


def test_the_noise_belongs_to_the_promise():
    job = toy((4, 6), epochs=7, norm="group")
    network = MODELS.get("paper_mfcc")(64, 8, [4, 6], "group").double()
    objective = PrivateObjective(np.array(3.0), 1.0)
    objective.begin(job, network)
    spent = epsilon(8 / 48, float(objective.noise[0]), 7 * 48 // 8, 1 / 96)
    assert 0.98 * 3 < spent <= 3


def draws(indices, steps, rate, seeds):
    """Which of n fragments are in each step, bool [seeds, steps, n]."""
    taken = np.zeros((len(seeds), steps, len(indices)), dtype=bool)
    place = {fragment: i for i, fragment in enumerate(indices)}
    for s, seed in enumerate(seeds):
        schedule = poisson_schedule(indices, steps, rate, seed)
        assert schedule.dtype == np.int32 and (schedule >= 0).any(0).all()  # as wide as the largest draw, no wider
        for step, row in enumerate(schedule):
            known = row[row >= 0]
            assert (row[len(known) :] == -1).all() and len(set(known)) == len(known)
            taken[s, step, [place[f] for f in known]] = True
    return taken


def test_each_fragment_is_in_each_step_with_the_same_chance_independently():
    rate = 0.15
    taken = draws(np.arange(100, 120), 50, rate, range(200)).astype(float)
    for axes, trials in (((0, 1), 10_000), ((0, 2), 4000)):  # by fragment, by step
        deviation = (rate * (1 - rate) / trials) ** 0.5
        assert np.abs(taken.mean(axes) - rate).max() < 4.5 * deviation
    assert abs(taken.mean() - rate) < 4.5 * (rate * (1 - rate) / taken.size) ** 0.5
    sizes = taken.sum(2)
    assert sizes.var() == pytest.approx(20 * rate * (1 - rate), rel=0.05)  # binomial: not 0 as for fixed batches
    for shifted in (np.roll(taken, 1, axis=2), np.roll(taken, 1, axis=1)):  # the neighbour, and the step before
        assert abs(np.corrcoef(taken[:, 1:].ravel(), shifted[:, 1:].ravel())[0, 1]) < 4.5 / taken.size**0.5


def test_a_longer_schedule_begins_as_the_shorter_one():
    short, long = (poisson_schedule(np.arange(30), steps, 0.2, 5) for steps in (10, 100))
    width = min(short.shape[1], long.shape[1])
    np.testing.assert_array_equal(np.sort(short, 1)[:, -width:], np.sort(long[:10], 1)[:, -width:])


def test_all_fragments_are_in_every_step_where_there_are_no_more_than_a_batch():
    assert sampling_rate(32, 10) == 1 and sampling_rate(8, 32) == 0.25
    np.testing.assert_array_equal(poisson_schedule(np.arange(3), 4, 1.0, 0), np.tile(np.arange(3), (4, 1)))


def test_a_sweep_in_one_stack_ends_where_each_strength_ends_alone():
    job = toy(epochs=(1, 2, 1), learning_rate=3e-4)
    stack = train_defended(DPSGD([INF, 8.0, 1.0]), job)
    for k, strength in enumerate([INF, 8.0, 1.0]):
        assert largest_difference(stack, k, train_defended(DPSGD(strength), alone(job, k))) < 1e-6
    assert largest_difference(stack, 1, train_defended(DPSGD(4.0), alone(job, 1))) > 1e-5


def test_a_killed_run_resumes_to_the_same_end(tmp_path, monkeypatch):
    monkeypatch.setattr("mia_lib.training.train.CHECKPOINT_SECONDS", 0.0)
    job = toy(epochs=2)
    resuming = replace(job, checkpoint=tmp_path / "checkpoint.safetensors")

    class Killed(PrivateObjective):
        def backward(self, network, features, labels, batch):
            if batch.step == 8:
                raise KeyboardInterrupt
            return super().backward(network, features, labels, batch)

    with pytest.raises(KeyboardInterrupt):
        train_job(replace(resuming, config=replace(job.config, norm="group")), Killed(np.array(8.0), 1.0))
    assert resuming.checkpoint.exists()
    whole, resumed = train_defended(DPSGD(8.0), job), train_defended(DPSGD(8.0), resuming)
    torch.testing.assert_close(resumed.network.hidden.weight, whole.network.hidden.weight, rtol=1e-6, atol=1e-8)


def test_noise_hides_the_members_in_every_seed_and_clipping_alone_does_not(tmp_path):
    job = toy((6,) * 3, n=48, epochs=15, batch_size=16, dtype=torch.float32)
    clipped = train_defended(DPSGD(INF), job)
    open_, accuracy = leak_and_accuracy(job, clipped)
    hidden, _ = leak_and_accuracy(job, train_defended(DPSGD(1.0), job))
    assert open_.min() > 0.75 and accuracy.min() > 2 / 6
    assert (hidden < open_ - 0.2).all() and hidden.mean() < 0.62
    clipped.save(tmp_path)
    torch.testing.assert_close(
        TrainedModels.load(tmp_path).network(job.features[:3]), clipped.network(job.features[:3])
    )


def test_members_do_not_reach_the_normalisation_and_reference_fragments_do():
    job = toy(epochs=1)
    models = train_defended(DPSGD(8.0), job)
    mean, scale = feature_statistics(job.features, job.reference)
    torch.testing.assert_close(models.network.mean, mean)
    torch.testing.assert_close(models.network.scale, scale)
    assert (models.network.mean - train_defended(Defense(), job).network.mean).abs().max() > 0.01


def test_the_history_counts_only_what_was_drawn():
    job = toy((4,), n=48, epochs=6, voice=3.0)
    history = train_defended(DPSGD(INF), job).history
    assert history["train_accuracy"].max() == 1.0


def test_networks_that_mix_fragments_and_jobs_without_reference_are_refused_in_one_sentence():
    job = toy(epochs=1)
    with pytest.raises(UsageError, match="needs a network that mixes no fragments"):
        train_job(job, PrivateObjective(np.array(8.0), 1.0))
    with pytest.raises(MiaError, match="dp_sgd needs reference fragments"):
        train_defended(DPSGD(8.0), replace(job, reference=None))


def test_nonsense_strengths_are_refused():
    for strength in ("0", "-1", "nan", "-inf"):
        with pytest.raises(UsageError, match=r"defense 'dp_sgd': the strength must be a number of at least 0\.01"):
            make_defense(f"dp_sgd:{strength}")
    with pytest.raises(UsageError, match="3 models need one strength, or one each, not 2"):
        train_defended(DPSGD([1.0, 2.0]), toy())
    with pytest.raises(UsageError, match="clipping norm"):
        DPSGD(1.0, clip=0.0)
    assert make_defense("dp_sgd:inf").strength == INF and make_defense("dp_sgd").strength == DPSGD.default
    assert list(DPSGD.strengths) == sorted(DPSGD.strengths, reverse=True)  # weakest first: the largest epsilon
