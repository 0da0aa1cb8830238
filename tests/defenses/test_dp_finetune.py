"""Private training of the last layer on a public network: what it reads, what it is given, and what it gives out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from defenses.noisy_voices import alone, largest_difference, toy

from mia_lib.defenses.base import make_defense
from mia_lib.defenses.dp_finetune import CLIP, DPFinetune, PrivateHead
from mia_lib.models import MODELS
from mia_lib.support.errors import UsageError
from mia_lib.training.batch import Batch
from mia_lib.training.objective import cross_entropy
from mia_lib.training.public import PublicNetwork
from mia_lib.training.recipe import train_defended

INF = float("inf")


def public_network(bins=8, norm="group"):
    network = MODELS.get("paper_mfcc")(64, bins, [7], norm).double()
    network.initialise([3])
    weights = {name: tensor[0] for name, tensor in network.state_dict().items()}
    return PublicNetwork(weights, torch.linspace(0, 0.2, 512, dtype=torch.float64), 0.7)


def job(**options):
    return replace(toy(**options), public=public_network())


def head_of(own, epsilon=INF):
    """A network with the head's objective begun, its features, labels and first batch."""
    changed = DPFinetune(epsilon).changed(own)
    network = MODELS.get("paper_mfcc")(64, 8, [4, 6, 5], "group").double()
    objective = DPFinetune(epsilon).objective(changed)
    objective.begin(changed, network)
    rows = torch.from_numpy(np.stack(own.train).astype(np.int64))
    labels = torch.from_numpy(own.labels).gather(1, rows)
    return network, objective, own.features[rows], labels, Batch(rows, torch.zeros(3), torch.zeros(3), 0, (1, 2, 3))


def test_a_step_is_the_mean_of_clipped_gradients_of_single_fragments():
    network, objective, x, labels, batch = head_of(job())
    with torch.no_grad():
        network.output.weight.normal_(generator=torch.Generator().manual_seed(0))
    losses, logits = objective.backward(network, x, labels, batch)
    read = ((network.read_by_output(x) - objective.centre) / 0.7).detach()
    clipped = 0
    for k in range(3):
        weight, bias = (p[k].detach().clone().requires_grad_() for p in (network.output.weight, network.output.bias))
        total = [torch.zeros_like(weight), torch.zeros_like(bias)]
        for i in range(48):
            z = (read[k, i] @ weight + bias).masked_fill(network.absent[k], -torch.inf)
            torch.testing.assert_close(logits[k, i], z[0].detach())
            loss = cross_entropy(z[None], labels[k : k + 1, i : i + 1]).sum()
            single = torch.autograd.grad(loss, [weight, bias])
            norm = torch.sqrt(sum((g**2).sum() for g in single))
            clipped += int(norm > CLIP)
            total = [t + g * min(1.0, CLIP / norm) for t, g in zip(total, single, strict=True)]
        torch.testing.assert_close(network.output.weight.grad[k], total[0] / 48)
        torch.testing.assert_close(network.output.bias.grad[k], total[1] / 48)
    assert 0 < clipped < 3 * 48 and losses.shape == (3,)
    others = [p.grad.abs().max() for name, p in network.named_parameters() if "output" not in name]
    assert max(others) == 0


def test_the_noise_is_as_large_as_the_promise_takes():
    _, objective, *_ = head_of(job(), 8.0)
    network, strict, x, labels, batch = head_of(job(), 0.05)
    assert strict.noise.min() > objective.noise.max() > 0
    strict.backward(network, x, labels, batch)
    for k, size in enumerate((4, 6, 5)):
        drawn = network.output.weight.grad[k, :, :size]
        assert drawn.std().item() == pytest.approx(float(strict.noise[k]) * CLIP / 48, rel=0.05)
        assert network.output.weight.grad[k, :, size:].abs().sum() == 0


def test_all_but_the_last_layer_stays_public_and_what_is_given_out_is_a_plain_network():
    own = job()
    models = train_defended(DPFinetune(INF), own)
    for name, tensor in models.network.state_dict().items():
        if not name.startswith("output."):
            torch.testing.assert_close(tensor, own.public.weights[name].expand_as(tensor))
    rows = torch.from_numpy(np.stack(own.train).astype(np.int64))
    right = models.network(own.features[rows]).argmax(-1) == torch.from_numpy(own.labels).gather(1, rows)
    last = models.history.groupby("model")["train_accuracy"].last().to_numpy()
    assert np.abs(right.double().mean(1).numpy() - last).max() < 0.05 and last.min() > 0.4
    assert own.public.weights["output.weight"].shape[1] == 7  # as it was


def test_a_sweep_of_promises_in_one_stack_ends_where_each_ends_alone():
    own = job()
    stack = train_defended(DPFinetune([INF, 8.0, 1.0]), own)
    for k, strength in enumerate([INF, 8.0, 1.0]):
        assert largest_difference(stack, k, train_defended(DPFinetune(strength), alone(own, k))) < 1e-9
    assert largest_difference(stack, 1, train_defended(DPFinetune(4.0), alone(own, 1))) > 1e-5


def test_without_a_public_network_of_the_same_kind_it_is_refused_in_one_sentence():
    with pytest.raises(UsageError, match="needs a network that was trained on public speech"):
        train_defended(DPFinetune(8.0), toy())
    with pytest.raises(UsageError, match=r"public network of the same kind: its .* does not fit"):
        train_defended(DPFinetune(8.0), replace(toy(), public=public_network(bins=4)))


def test_it_is_known_by_name_and_altered_features_are_heard_anew_in_each_step():
    assert make_defense("dp_finetune:inf").strength == INF and make_defense("dp_finetune").needs_public
    assert make_defense("spec_augment:0.2+dp_finetune:8").needs_public
    own = make_defense("spec_augment:0.5+dp_finetune:8").changed(job())
    network, objective, x, labels, batch = head_of(own, 8.0)
    assert isinstance(objective, PrivateHead) and objective.altered
    objective.backward(network, x, labels, batch)
    first = objective.heard.clone()
    objective.backward(network, x + 1, labels, batch)
    assert (objective.heard - first).abs().max() > 1e-3
