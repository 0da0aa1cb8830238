"""MMD with mixup, pruning, quantisation and pair balancing: each against a few lines of somebody else's arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from defenses.noisy_voices import alone, largest_difference, leak_and_accuracy, toy

from mia_lib.defenses.base import make_defense
from mia_lib.defenses.mmd_mixup import WIDTHS, class_discrepancy
from mia_lib.defenses.pair_balancing import SHARE, imbalance
from mia_lib.defenses.pruning import PRUNED_AT, relative, smallest, weight_matrices
from mia_lib.defenses.quantise import rounded
from mia_lib.support.errors import UsageError
from mia_lib.training.objective import Objective
from mia_lib.training.recipe import train_defended
from mia_lib.training.train import train_job

NEW = ("mmd_mixup", "pruning", "pair_balancing", "quantise")


def posteriors(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1]))


# Numbers by another hand


def test_the_discrepancy_is_gretton_s_of_each_class_averaged_over_classes():
    trained, others, labels = (
        posteriors(2, 5, 4),
        posteriors(2, 5, 4, seed=1),
        np.array([[0, 1, 0, 2, 0], [3, 3, 3, 3, 1]]),
    )

    def kernel(a, b):
        return np.mean([np.exp(-((a - b) ** 2).sum() / (2 * width**2)) for width in WIDTHS])

    for k in range(2):
        of_class = []
        for c in set(labels[k]):
            t, o = (x[k][labels[k] == c].numpy() for x in (trained, others))
            of_class.append(np.mean([[kernel(a, b) for b in t] for a in t]) + np.mean([[kernel(a, b) for b in o] for a in o])
                            - 2 * np.mean([[kernel(a, b) for b in o] for a in t]))  # fmt: skip
        found = class_discrepancy(trained, others, torch.from_numpy(labels))[k]
        assert float(found) == pytest.approx(np.mean(of_class), abs=1e-12)
    assert float(class_discrepancy(trained, trained, torch.from_numpy(labels)).abs().max()) < 1e-12


def test_the_imbalance_is_torch_s_divergence_of_sorted_posteriors_as_the_authors_take_it():
    logits = torch.randn(2, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    for k in range(2):
        ranked = logits[k].sort(descending=True).values
        first, second = ranked[:3].log_softmax(-1), ranked[3:6].softmax(-1)
        expected = torch.nn.functional.kl_div(first, second, reduction="batchmean")
        assert float(imbalance(logits)[k]) == pytest.approx(float(expected), abs=1e-12)


def test_classes_that_a_model_lacks_do_not_count_and_give_finite_slopes():
    logits = torch.randn(1, 4, 3, dtype=torch.float64)
    wider = torch.cat([logits, torch.full((1, 4, 2), -torch.inf)], -1).requires_grad_()
    assert imbalance(wider).item() == pytest.approx(float(imbalance(logits)), abs=1e-12)
    imbalance(wider).sum().backward()
    assert wider.grad.isfinite().all() and wider.grad[..., :3].abs().sum() > 0


def test_the_smallest_of_a_models_own_weights_are_chosen():
    magnitudes = torch.tensor([[0.5, 0.0, 3.0, 0.1], [4.0, 3.0, 2.0, 1.0]])
    own = torch.tensor([[True, False, True, True], [True] * 4])
    chosen = smallest(magnitudes, own, torch.tensor([2 / 3, 0.25]))
    assert chosen.tolist() == [[True, False, False, True], [False, False, False, True]]


def test_magnitudes_are_compared_in_units_of_their_layer_so_that_none_goes_as_a_whole():
    weight, own = torch.tensor([[[3.0, -4.0, 99.0]]]), torch.tensor([[[True, True, False]]])
    np.testing.assert_allclose(relative(weight, own)[0, 0, :2], np.array([3, 4]) / 12.5**0.5, rtol=1e-6)
    torch.testing.assert_close(relative(1000 * weight, own), relative(weight, own))
    models = train_defended(make_defense("pruning:0.6"), toy())
    for weight, own in weight_matrices(models.network).values():
        assert 0.3 < float(((weight == 0) & own).sum() / own.sum()) < 0.85


def test_int8_has_127_steps_to_the_largest_weight():
    weight = torch.tensor([[[-1.27, 0.4, 0.004, 0.006]], [[1.0, 0.4, 0.1, -0.2]]], dtype=torch.float64)
    found = rounded(weight, torch.tensor([8, 2]))
    np.testing.assert_allclose(found[0, 0], [-1.27, 0.40, 0.0, 0.01], atol=1e-12)
    np.testing.assert_allclose(found[1, 0], [1.0, 0.0, 0.0, 0.0], atol=1e-12)
    assert rounded(torch.zeros(1, 1, 3), torch.tensor([8])).tolist() == [[[0.0, 0.0, 0.0]]]


# What training makes of them


def shares(models):
    """Of each model's own weights, how many are zero."""
    pairs = weight_matrices(models.network).values()
    zero, own = (torch.cat(x, 1) for x in zip(*[((w == 0).flatten(1), o.flatten(1)) for w, o in pairs], strict=True))
    return ((zero & own).sum(1) / own.sum(1)).numpy()


@pytest.mark.parametrize("name, share", [("pruning:0.9", 0.9), ("pair_balancing:4", SHARE)])
def test_what_is_pruned_stays_zero_to_the_end(name, share):
    models = train_defended(make_defense(name), toy(epochs=4))
    np.testing.assert_allclose(shares(models), share, atol=1e-3)
    assert shares(train_job(toy(epochs=4), Objective())).max() == 0


def test_before_its_pruning_a_model_trains_as_without():
    half = toy(epochs=4)
    plain, pruned = train_job(half, Objective()), train_defended(make_defense("pruning:0.9"), half)
    early = plain.history.epoch <= 4 * PRUNED_AT
    assert early.any() and not early.all()
    np.testing.assert_allclose(pruned.history.loss[early], plain.history.loss[early], rtol=1e-9)
    assert (np.abs(pruned.history.loss - plain.history.loss)[~early] > 1e-6).all()


def test_a_quantised_model_is_the_trained_one_rounded():
    plain, quantised = train_job(toy(), Objective()), train_defended(make_defense("quantise:8"), toy())
    for name, (weight, _) in weight_matrices(plain.network).items():
        found = dict(quantised.network.named_parameters())[name]
        torch.testing.assert_close(found, rounded(weight, torch.full((3,), 8)))
        assert all(len(found[k].unique()) <= 255 for k in range(3))
    torch.testing.assert_close(quantised.network.output.bias, plain.network.output.bias)


@pytest.mark.parametrize("name", NEW)
def test_a_sweep_is_one_stack_and_its_models_end_where_each_ends_alone(name):
    kind = type(make_defense(name))
    defenses = [kind(strength) for strength in (kind.default, kind.strengths[-1], kind.default)]
    stack = train_defended(kind.mixed(defenses), toy())
    for k, defense in enumerate(defenses):
        assert largest_difference(stack, k, train_defended(defense, alone(toy(), k))) < 1e-6


@pytest.mark.parametrize("name", ["pruning", "mmd_mixup"])
def test_a_killed_run_ends_as_one_that_was_not(name, tmp_path, monkeypatch):
    monkeypatch.setattr("mia_lib.training.train.CHECKPOINT_SECONDS", 0.0)
    path = tmp_path / "checkpoint.safetensors"

    def killed(network, features, batch):
        if batch.step == 14:
            raise KeyboardInterrupt
        return features

    with pytest.raises(KeyboardInterrupt):
        train_defended(make_defense(name), replace(toy(), checkpoint=path, alterations=(killed,)))
    resumed = train_defended(make_defense(name), replace(toy(), checkpoint=path))
    whole = train_defended(make_defense(name), toy())
    assert max(largest_difference(resumed, k, whole.pick([k])) for k in range(3)) < 1e-9


def test_reference_recordings_of_the_same_people_shrink_what_the_loss_tells():
    job = toy(epochs=14, dtype=torch.float32)
    plain, _ = leak_and_accuracy(job, train_job(job, Objective()))
    for name in ("mmd_mixup:5", "pruning:0.9"):
        found, _ = leak_and_accuracy(job, train_defended(make_defense(name), job))
        assert found.mean() < plain.mean() - 0.02, name


def test_mmd_pulls_answers_to_both_sides_together():
    job = toy(epochs=10, dtype=torch.float32)
    gaps = []
    for strength in (0.0, 50.0):
        network = train_defended(make_defense(f"mmd_mixup:{strength}"), job).network
        p = network(job.features).softmax(-1)
        mean = [
            torch.stack([p[k, rows[k]].max(-1).values.mean() for k in range(3)]) for rows in (job.train, job.reference)
        ]
        gaps.append(float((mean[0] - mean[1]).mean()))
    assert gaps[1] < 0.7 * gaps[0]


def test_a_model_without_reference_recordings_is_refused():
    with pytest.raises(UsageError, match="'mmd_mixup' needs reference fragments"):
        train_defended(make_defense("mmd_mixup"), replace(toy(), reference=None))


@pytest.mark.parametrize("name", ["pruning:1", "quantise:1", "quantise:7.5", "pair_balancing:-1", "mmd_mixup:inf"])
def test_a_senseless_strength_of_a_neighbour_is_refused(name):
    with pytest.raises(UsageError, match=r"the strength must be a (whole )?number"):
        make_defense(name)
