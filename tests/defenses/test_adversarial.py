"""Training against an attacker (adversarial regularisation) and against changed features (PGD)."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from defenses.noisy_voices import alone, largest_difference, leak_and_accuracy, toy

from mia_lib.defenses.adversarial_regularisation import (
    AdversarialObjective,
    AdversarialRegularisation,
    InferenceNetwork,
    forward_frozen,
    inference_gain,
    regularised_loss,
)
from mia_lib.defenses.base import Defense, make_defense
from mia_lib.defenses.pgd import PGD, worst_neighbours
from mia_lib.models import MODELS
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.training.batch import Batch
from mia_lib.training.objective import cross_entropy
from mia_lib.training.recipe import train_defended
from mia_lib.training.train import train_job

BOTH = [AdversarialRegularisation, PGD]


def odds(h):
    return torch.logit(torch.tensor(h, dtype=torch.float64))


def test_the_inference_gain_by_hand():
    gain = inference_gain(odds([[0.8, 0.5]]), odds([[0.1, 0.6]]))
    assert gain.item() == pytest.approx((np.log(0.8) + np.log(0.5) + np.log(0.9) + np.log(0.4)) / 4)


def test_the_models_loss_by_hand_has_one_lambda_for_each_model():
    member = odds([[0.8, 0.5], [0.8, 0.5]])
    loss = regularised_loss(torch.tensor([2.0, 2.0]).double(), member, torch.tensor([0.0, 3.0]).double())
    np.testing.assert_allclose(loss, [2.0, 2 + 3 * (np.log(0.8) + np.log(0.5)) / 2])


def test_certain_inference_costs_a_finite_loss():
    sure = torch.tensor([[800.0, -800.0]], dtype=torch.float64)
    assert inference_gain(sure, sure).item() == pytest.approx(-400)


@pytest.mark.parametrize("defense", BOTH)
def test_at_strength_zero_it_is_plain_training(defense):
    job = toy()
    plain, ours = train_defended(Defense(), job), train_defended(defense(0.0), job)
    for name, value in plain.network.state_dict().items():
        torch.testing.assert_close(ours.network.state_dict()[name], value, rtol=1e-9, atol=1e-11)
    moved = train_defended(defense(0.3), job)
    assert (moved.network.hidden.weight - plain.network.hidden.weight).abs().max() > 1e-4


@pytest.mark.parametrize("defense", BOTH)
def test_a_sweep_in_one_stack_ends_where_each_strength_ends_alone(defense):
    job = toy(epochs=(1, 2, 1), learning_rate=3e-4)
    stack = train_defended(defense([0.1, 0.2, 0.05]), job)
    for k, strength in enumerate([0.1, 0.2, 0.05]):
        assert largest_difference(stack, k, train_defended(defense(strength), alone(job, k))) < 1e-6
    assert largest_difference(stack, 1, train_defended(defense(0.1), alone(job, 1))) > 1e-5


@pytest.mark.parametrize("defense", BOTH)
def test_a_killed_run_resumes_to_the_same_end(defense, tmp_path, monkeypatch):
    monkeypatch.setattr("mia_lib.training.train.CHECKPOINT_SECONDS", 0.0)
    job = toy(epochs=2)
    resuming = replace(job, checkpoint=tmp_path / "checkpoint.safetensors")

    class Killed(type(defense(1.0).objective(job))):
        def losses(self, network, features, labels, batch):
            if batch.step == 8:
                raise KeyboardInterrupt
            return super().losses(network, features, labels, batch)

    with pytest.raises(KeyboardInterrupt):
        train_job(resuming, Killed(torch.ones(len(job.train), dtype=torch.float64)))
    assert resuming.checkpoint.exists()
    whole, resumed = train_defended(defense(1.0), job), train_defended(defense(1.0), resuming)
    torch.testing.assert_close(resumed.network.hidden.weight, whole.network.hidden.weight, rtol=1e-6, atol=1e-8)


def test_regularised_models_leak_less_than_plain_ones_in_every_seed():
    job = toy((6,) * 4, n=64, epochs=15, batch_size=16, dtype=torch.float32)
    plain, _ = leak_and_accuracy(job, train_defended(Defense(), job))
    ours, accuracy = leak_and_accuracy(job, train_defended(AdversarialRegularisation(1.0), job))
    assert (ours < plain - 0.05).all() and accuracy.min() > 2 / 6


def network_and_batch():
    network = MODELS.get("paper_mfcc")(64, 8, [4, 6]).double().train()
    network.initialise([1, 2])
    network.scale.copy_(torch.tensor([[0.5], [4.0]]).expand(2, 8))
    torch.manual_seed(0)
    return network, torch.randn(2, 10, 64, 8, dtype=torch.float64), torch.randint(4, (2, 10))


def test_reference_fragments_leave_no_trace_in_the_running_statistics():
    network, x, _ = network_and_batch()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seen = forward_frozen(network, x)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    torch.testing.assert_close(seen, network(x))  # the same answers as those of a batch of members
    assert (network.norms[0].running_mean != before["norms.0.running_mean"]).any()


def test_the_inference_network_learns_to_tell_and_tells_nothing_where_there_is_nothing():
    objective = AdversarialObjective(torch.ones(1))
    job = toy((4,))
    network = MODELS.get("paper_mfcc")(64, 8, [4]).double()
    network.initialise([1])
    torch.manual_seed(0)
    labels = torch.randint(4, (1, 500))
    confident = 6.0 * torch.nn.functional.one_hot(labels, 4).double()
    for members, least, most in ((confident, 0.95, 1), (torch.zeros_like(confident), 0.4, 0.6)):
        objective.begin(job, network)
        strangers = torch.zeros_like(confident)
        for _ in range(60):
            objective._train_attacker(members, labels, strangers, labels)
        right = (objective.attacker(members, labels) > 0).double().mean() + (
            objective.attacker(strangers, labels) <= 0
        ).double().mean()
        assert least <= right / 2 <= most


def test_h_ignores_classes_that_a_model_does_not_have():
    h = InferenceNetwork([3, 5]).double()
    h.initialise([torch.Generator().manual_seed(k) for k in (1, 2)])
    own = InferenceNetwork([3]).double()
    own.initialise([torch.Generator().manual_seed(1)])
    logits = torch.randn(2, 4, 5, dtype=torch.float64)
    logits[0, :, 3:] = -torch.inf
    labels = torch.tensor([[0, 1, 2, 0], [4, 3, 2, 1]])
    torch.testing.assert_close(h(logits, labels)[:1], own(logits[:1, :, :3], labels[:1]))


def test_missing_or_foreign_reference_fragments_give_one_sentence():
    job = toy()
    with pytest.raises(MiaError, match="needs reference fragments that the model does not train on"):
        train_defended(AdversarialRegularisation(), replace(job, reference=None))
    foreign = [job.reference[0], job.reference[0], job.reference[2]]
    with pytest.raises(MiaError, match="model 1 needs reference fragments, each of one of its own speakers"):
        train_defended(AdversarialRegularisation(), replace(job, reference=foreign))


def test_the_worst_neighbours_stay_in_the_ball_of_deviations_and_raise_the_loss_of_each_model():
    network, x, labels = network_and_batch()
    radius = torch.tensor([0.1, 0.3], dtype=torch.float64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    start = 2 * torch.rand_like(x) - 1
    worst = worst_neighbours(network, x, labels, radius, start)
    moved = (worst - x).abs() / network.scale[:, None, None]
    np.testing.assert_allclose(moved.amax((1, 2, 3)), radius, rtol=1e-9)
    assert not worst.requires_grad and all(p.grad is None for p in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    drawn = x + network.scale[:, None, None] * radius[:, None, None, None] * start
    losses = [cross_entropy(network(z), labels).mean(1) for z in (x, drawn, worst)]
    assert (losses[2] > losses[0]).all() and (losses[2] > losses[1]).all()


def test_a_worst_neighbour_does_not_depend_on_the_rest_of_the_batch():
    network, x, labels = network_and_batch()
    radius, start = torch.tensor([0.1, 0.3], dtype=torch.float64), torch.zeros_like(x)
    every = worst_neighbours(network, x, labels, radius, start)
    torch.testing.assert_close(every[:, :1], worst_neighbours(network, x[:, :1], labels[:, :1], radius, start[:, :1]))


def test_models_trained_on_worst_neighbours_resist_them_in_every_seed():
    job = toy((6,) * 4, n=64, voice=1.0, epochs=10, batch_size=16, dtype=torch.float32)
    radius = torch.full((4,), 0.2)
    right = {}
    for name, defense in (("plain", Defense()), ("pgd", PGD(0.2))):
        network = train_defended(defense, job).network
        x = torch.stack([job.features[rows] for rows in job.test])
        y = torch.stack([torch.from_numpy(job.labels[k][rows]) for k, rows in enumerate(job.test)])
        worst = worst_neighbours(network, x, y, radius, torch.zeros_like(x))
        right[name] = (network(worst).argmax(-1) == y).float().mean(1)
    assert (right["pgd"] > right["plain"] + 0.1).all()


@pytest.mark.parametrize("name", ["adversarial_regularisation", "pgd"])
def test_nonsense_strengths_are_refused(name):
    for strength in (":-1", ":nan", ":inf"):
        with pytest.raises(UsageError, match=f"defense '{name}': the strength must be a number of at least 0"):
            make_defense(name + strength)
    defense = type(make_defense(name))
    with pytest.raises(UsageError, match="3 models need one strength, or one each, not 2"):
        train_defended(defense([1.0, 2.0]), toy())
    with pytest.raises(UsageError, match="strength"):
        defense([])
    assert make_defense(name).strength == defense.default and list(defense.strengths) == sorted(defense.strengths)


def test_reference_fragments_are_altered_as_the_members_are():
    seen = []

    def silence(network, features, batch):
        seen.append(batch.indices)
        return torch.zeros_like(features)

    job = replace(toy(epochs=1), alterations=(silence,))
    objective = AdversarialRegularisation(1.0).objective(job)
    train_job(job, objective)
    network = SimpleNamespace(mean=torch.zeros(3, 8, dtype=torch.float64))
    batch = Batch(torch.zeros(3, 5, dtype=torch.long), torch.zeros(3), torch.zeros(3), 0, job.seeds)
    features, _ = objective._partners(network, batch)
    assert not features.any()
    assert all(np.isin(rows, own).all() for rows, own in zip(seen[-1].numpy(), job.reference, strict=True))
