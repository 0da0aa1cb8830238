"""Regularisation: losses by hand, no effect at strength 0, a real effect above, and models that stay independent."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mia_lib.corpora.audio import SAMPLE_RATE
from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Combined, make_defense
from mia_lib.defenses.hamp import ALPHA, hamp_loss, soft_labels, top_target
from mia_lib.defenses.label_smoothing import LabelSmoothingObjective
from mia_lib.defenses.mixup import MixupObjective, larger_shares
from mia_lib.defenses.relaxloss import RelaxLossObjective, flattened_targets, relaxed_loss
from mia_lib.defenses.spec_augment import mask, runs
from mia_lib.defenses.weight_decay import WeightDecayObjective
from mia_lib.fragments.augmentation import AlteredAudio, add_noise, amplify, reverberate, shift
from mia_lib.models import MODELS
from mia_lib.models.layers import Dropout
from mia_lib.support.errors import UsageError
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.objective import Objective, cross_entropy, soft_cross_entropy
from mia_lib.training.recipe import train_defended
from mia_lib.training.train import train_job

IDLE = dict.fromkeys(("weight_decay", "dropout", "label_smoothing", "mixup", "augmentation", "spec_augment",
                      "relaxloss", "hamp"), 0.0) | {"early_stopping": 1.0}  # fmt: skip
NAMES = sorted(IDLE)
RANDOM = ("dropout", "mixup", "augmentation", "spec_augment")
PROBABILITIES = torch.tensor([[[0.5, 0.25, 0.25, 0.0], [0.1, 0.8, 0.1, 0.0]]], dtype=torch.float64)
LOGITS, LABELS = PROBABILITIES.log(), torch.tensor([[0, 2]])  # one model of three classes beside one of four


def job(seeds=(11, 12, 13), pick=slice(None), epochs=2, n=48, noise=1.0, model="paper_mfcc", **options):
    """Three small models; fragments are a pattern of their class under noise, and altered copies have other noise."""
    rng = np.random.default_rng(0)
    classes = (4, 6, 5)[pick]
    speaker = np.arange(n) % 12
    pattern = rng.standard_normal((12, 1, 8)) + rng.standard_normal((12, 70, 8)) / 3
    features, *augmented = (pattern[speaker] + noise * rng.standard_normal((n, 70, 8)) for _ in range(3))
    labels = np.stack([speaker % c for c in classes])
    train = [rng.permutation(n)[: n // 2] for _ in range(3)][pick]
    rest = [np.setdiff1d(np.arange(n), index) for index in train]
    config = TrainingConfig(model, epochs, 8, schedule="cosine")
    augmented = torch.from_numpy(np.stack(augmented))
    common = dict(test=rest, augmented=augmented, dtype=torch.float64)
    return Job(torch.from_numpy(features), labels, train, config, list(seeds)[pick], **common | options)


class Spy(SimpleNamespace):
    """A network that keeps what it is asked and answers the first frame of each fragment."""

    def __call__(self, features):
        self.seen = [*getattr(self, "seen", []), features]
        return features[:, :, 0]


def same(one, other, **tolerance):
    for name, value in one.network.state_dict().items():
        torch.testing.assert_close(other.network.state_dict()[name], value, **tolerance or dict(rtol=0, atol=0))


def batch(models=1, size=2, epoch=0):
    return Batch(
        torch.zeros(models, size, dtype=torch.long), torch.full((models,), epoch), torch.zeros(models), 3, [5] * models
    )


# Losses by hand


def test_weight_decay_adds_its_coefficient_times_each_parameter_to_the_gradient():
    network = MODELS.get("paper_mfcc")(70, 8, [3, 3]).double()
    network.initialise([1, 2])
    x, y = torch.randn(2, 4, 70, 8, dtype=torch.float64), torch.tensor([[0, 1, 2, 0]] * 2)
    gradients = []
    for objective in (Objective(), WeightDecayObjective(torch.tensor([0.5, 0.0], dtype=torch.float64))):
        network.zero_grad()
        objective.backward(network, x, y, batch(2, 4))
        gradients.append({name: p.grad.clone() for name, p in network.named_parameters()})
    plain, decayed = gradients
    for name, p in network.named_parameters():
        torch.testing.assert_close(decayed[name][0], plain[name][0] + 0.5 * p[0].detach())
        torch.testing.assert_close(decayed[name][1], plain[name][1])


def test_label_smoothing_by_hand_counts_only_classes_that_a_model_has():
    objective = LabelSmoothingObjective(torch.tensor([0.3], dtype=torch.float64))
    losses, _ = objective.losses(lambda _: LOGITS, None, LABELS, batch())
    own = (math.log(2) + math.log(10)) / 2
    every = (math.log(2) + 2 * math.log(4)) / 3, (2 * math.log(10) - math.log(0.8)) / 3
    assert losses.item() == pytest.approx(0.7 * own + 0.3 * sum(every) / 2)


def test_relaxloss_by_hand():
    loss, alpha = (math.log(2) + math.log(10)) / 2, torch.tensor([9.0, 1.0], dtype=torch.float64)
    logits, labels = LOGITS.expand(2, -1, -1), LABELS.expand(2, -1)
    even, odd = torch.zeros(2, dtype=torch.bool), torch.ones(2, dtype=torch.bool)
    np.testing.assert_allclose(relaxed_loss(logits, labels, alpha, even), [9 - loss, loss - 1])
    targets = torch.tensor([[[0.5, 0.25, 0.25, 0], [0.45, 0.45, 0.1, 0]]], dtype=torch.float64)
    torch.testing.assert_close(flattened_targets(LOGITS, LABELS), targets)
    first = 0.5 * math.log(2) + 0.5 * math.log(4)
    second = -0.45 * math.log(0.1) - 0.45 * math.log(0.8) - 0.1 * math.log(0.1)
    np.testing.assert_allclose(relaxed_loss(logits, labels, alpha, odd), [(first + second) / 2, loss])


@pytest.mark.parametrize("epoch, odd", [(0, False), (1, True), (2, False)])
def test_relaxloss_starts_with_an_even_epoch(epoch, odd):
    alpha = torch.tensor([9.0], dtype=torch.float64)
    losses, _ = RelaxLossObjective(alpha).losses(lambda _: LOGITS, None, LABELS, batch(epoch=epoch))
    assert losses.item() == relaxed_loss(LOGITS, LABELS, alpha, torch.tensor([odd])).item()


def test_relaxlosss_epochs_are_those_of_each_model():
    job_of = job(seeds=(1,), pick=slice(0, 1), epochs=4)
    objective, seen = make_defense("relaxloss:9").objective(job_of), []
    losses = objective.losses
    objective.losses = lambda *args: (seen.append((args[3].step, args[3].epoch.item())), losses(*args))[1]
    train_job(job_of, objective)
    assert seen == [(step, step // 3) for step in range(12)]  # 24 fragments, batches of 8


def test_hamp_by_hand():
    assert top_target(0.0, 5) == 1 and top_target(1.0, 5) == pytest.approx(0.2)
    p = top_target(0.6, 3)
    assert -p * math.log(p) - (1 - p) * math.log((1 - p) / 2) == pytest.approx(0.6 * math.log(3), abs=1e-12)
    targets = soft_labels(LABELS, torch.tensor([0.6], dtype=torch.float64), torch.isfinite(LOGITS))
    torch.testing.assert_close(targets, torch.tensor([[[0.6, 0.2, 0.2, 0], [0.2, 0.2, 0.6, 0]]], dtype=torch.float64))
    t, q = np.array([0.6, 0.2, 0.2, 0.2, 0.2, 0.6]), np.array([0.5, 0.25, 0.25, 0.1, 0.8, 0.1])
    divergence = (t * np.log(t / q)).sum()
    entropy = 0.5 * math.log(2) + 0.5 * math.log(4) + 0.2 * math.log(10) - 0.8 * math.log(0.8)
    loss = hamp_loss(LOGITS, targets, torch.tensor([0.4], dtype=torch.float64))
    assert loss.item() == pytest.approx(divergence / 2 - 0.4 * entropy / 2)


def test_hamps_labels_and_weight_follow_each_models_number_of_classes():
    objective = make_defense("hamp:0.5").objective(job())
    objective.begin(job(), SimpleNamespace(classes=[4, 6, 5]))
    np.testing.assert_allclose(objective.weight, ALPHA * np.array([4, 6, 5]))
    np.testing.assert_allclose(objective.top, [top_target(0.5, c) for c in (4, 6, 5)])


def test_gradients_are_finite_where_classes_are_absent():
    present = LOGITS[..., :3].clone().requires_grad_()
    padded = torch.cat([present, torch.full((1, 2, 1), -torch.inf)], -1)
    one = torch.ones(1, dtype=torch.float64)
    for loss in (
        hamp_loss(padded, soft_labels(LABELS, 0.6 * one, torch.isfinite(padded)), one),
        relaxed_loss(padded, LABELS, 9 * one, torch.tensor([True])),
        soft_cross_entropy(padded, torch.ones_like(padded)).mean(1),
    ):
        (gradient,) = torch.autograd.grad(loss.sum(), present, retain_graph=True)
        assert torch.isfinite(gradient).all() and gradient.abs().max() > 0


def test_mixups_shares_follow_the_beta_distribution():
    u = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    one = larger_shares(torch.ones(99, dtype=torch.float64), u)  # Beta(1, 1) is uniform
    torch.testing.assert_close(one, torch.maximum(u, 1 - u))
    half = larger_shares(torch.full((99,), 0.5, dtype=torch.float64), u)  # the arcsine distribution
    quantile = torch.sin(math.pi * u / 2) ** 2
    torch.testing.assert_close(half, torch.maximum(quantile, 1 - quantile))
    assert (larger_shares(torch.zeros(99), u) == 1).all()


def test_mixup_blends_pairs_and_their_labels_in_the_same_shares():
    features = torch.eye(6, dtype=torch.float64).view(1, 6, 6, 1)  # fragment i is the unit vector i, of class i
    labels, logits = torch.arange(6)[None], []
    objective = MixupObjective(torch.ones(1, dtype=torch.float64))
    losses, _ = objective.losses(lambda x: logits.append(5 * x[..., 0]) or logits[0], features, labels, batch(size=6))
    blend = logits[0][0] / 5
    torch.testing.assert_close(blend.sum(1), torch.ones(6, dtype=torch.float64))
    assert (blend.diagonal() >= 0.5).all() and (blend > 0).sum() > 6
    assert losses.item() == pytest.approx(soft_cross_entropy(5 * blend, blend).mean().item(), rel=1e-6)


def test_masked_runs_are_as_wide_as_they_may_be_and_fit():
    width, place = torch.tensor([[0.0, 0.999, 0.999, 0.5]]), torch.tensor([[0.3, 0.0, 0.999, 0.5]])
    masks = runs(width, place, torch.tensor([0.4]), 10)[0]
    assert masks.sum(1).tolist() == [0, 4, 4, 2]
    assert masks[1].nonzero().ravel().tolist() == [0, 1, 2, 3] and masks[2].nonzero().ravel().tolist() == [6, 7, 8, 9]


def test_spec_augment_puts_the_models_mean_where_it_masks():
    network = SimpleNamespace(mean=torch.tensor([[7.0, 8.0, 9.0]]))
    given = mask(network, torch.zeros(1, 50, 20, 3), batch(1, 50), torch.tensor([1.0]))
    changed = given != 0
    assert 0.2 < changed.double().mean() < 0.95
    assert torch.equal(given, changed * network.mean)


# Dropout


def test_dropout_keeps_the_mean_drops_its_share_and_does_nothing_unless_it_is_told_to():
    layer, x = Dropout(2, 400), torch.ones(2, 50, 400)
    layer.rate.copy_(torch.tensor([0.0, 0.75]))
    assert torch.equal(layer(x), x)
    layer.draws = torch.rand(2, 50, 400, generator=torch.Generator().manual_seed(0))
    y = layer(x)
    assert torch.equal(y[0], x[0]) and y[1].unique().tolist() == [0, 4]
    assert (y[1] == 0).double().mean() == pytest.approx(0.75, abs=0.02)
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("model, bins", [("paper_mfcc", 8), ("paper_stft", 150), ("xvector", 8)])
def test_every_network_drops_only_while_it_trains_and_saves_nothing_of_it(model, bins):
    frames = 8 if model == "paper_stft" else 70
    network = MODELS.get(model)(frames, bins, [3])
    network.initialise([1])
    layers = [m for m in network.modules() if isinstance(m, Dropout)]
    assert len(layers) == 2 and not [name for name in network.state_dict() if "drop" in name]
    x = torch.randn(1, 4, frames, bins)
    before = network.train()(x)
    for layer in layers:
        layer.rate.fill_(0.5)
        layer.draws = torch.rand(1, 4, layer.width)
    assert (network(x) - before).abs().max() > 1e-3
    answer = network.eval()(x)
    for layer in layers:
        layer.rate.zero_()
    assert torch.equal(network(x), answer)


def test_dropout_is_over_when_training_is():
    models = train_defended(make_defense("dropout:0.7"), job(epochs=1))
    x = job().features[:5]
    assert torch.equal(models.network(x), models.network(x)) and not models.network.training
    assert torch.equal(models.network.train()(x), models.network(x))  # no draws are left behind either


# What is altered, once, in the audio


def test_perturbations_by_hand():
    waves = torch.tensor([[1.0, 2, 3, 4], [1, 2, 3, 4]]) / 8
    torch.testing.assert_close(shift(waves, torch.tensor([1, -1])) * 8, torch.tensor([[4.0, 1, 2, 3], [2, 3, 4, 1]]))
    torch.testing.assert_close(amplify(waves, torch.tensor([20.0, -20.0]))[:, 0], torch.tensor([1.0, 0.0125]))
    noise = torch.tensor([[1.0, -1, 1, -1]] * 2)
    added = add_noise(waves, torch.tensor([0.0, 20.0]), noise) - waves
    torch.testing.assert_close(added.norm(dim=1), waves.norm(dim=1) * torch.tensor([1.0, 0.1]))


def test_reverberation_is_a_decaying_tail_after_the_direct_sound_and_keeps_the_energy():
    click = torch.zeros(2, 8000)
    click[:, 100] = 1.0
    noise = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    wet = reverberate(click, torch.tensor([0.1, 0.2]), noise)
    torch.testing.assert_close(wet.norm(dim=1), click.norm(dim=1))
    assert wet[:, :100].abs().max() < 1e-6 and (wet[:, 100] > 0.6).all()
    early, late = (wet[:, a : a + 800].norm(dim=1) for a in (101, 901))
    torch.testing.assert_close(20 * torch.log10(late / early), torch.tensor([-30.0, -15.0]), atol=1.5, rtol=0)


def test_altered_copies_differ_from_each_other_and_repeat():
    audio = (3000 * np.random.default_rng(0).standard_normal((5, 8000))).astype(np.int16)
    copies = AlteredAudio(audio, 2, 7, SAMPLE_RATE)
    first = copies[0:10]
    assert len(copies) == 10 and first.shape == (10, 8000) and np.isfinite(first).all()
    assert np.array_equal(first, copies[0:10])
    assert not np.array_equal(first, AlteredAudio(audio, 2, 8, SAMPLE_RATE)[0:10])
    for i in range(5):
        assert np.abs(first[i] - audio[i]).max() > 100 and np.abs(first[i] - first[5 + i]).max() > 100


def test_augmentation_trains_on_the_copies_of_the_right_fragments():
    features = torch.zeros(10, 2, 3, dtype=torch.float64)
    augmented = (torch.arange(10.0)[:, None, None] + 100 * torch.tensor([1, 2, 3]).view(3, 1, 1, 1)).expand(3, 10, 2, 3)
    one = replace(job(pick=slice(0, 1)), augmented=augmented)
    (alteration,) = make_defense("augmentation:0.5").changed(one).alterations
    indices = torch.arange(400)[None] % 10
    step = Batch(indices, torch.zeros(1), torch.zeros(1), 3, [5])
    values = alteration(None, features[indices], step)[0, :, 0, 0]
    copies = values > 0
    assert copies.double().mean() == pytest.approx(0.5, abs=0.08)
    assert (values[copies] % 100 == indices[0][copies]).all()
    assert (values[copies] // 100).unique().tolist() == [1, 2, 3]


def test_augmentation_without_copies_is_refused():
    with pytest.raises(UsageError, match="altered copies"):
        train_defended(make_defense("augmentation"), job(augmented=None))


# What holds for all of them


@pytest.fixture(scope="module")
def plain():
    return train_job(job(), Objective())


@pytest.mark.parametrize("name", NAMES)
def test_the_idle_strength_is_plain_training(name, plain):
    same(plain, train_defended(DEFENSES.get(name)(IDLE[name]), job()))


@pytest.mark.parametrize("name", NAMES)
def test_a_sweep_trained_as_one_stack_ends_where_each_ends_alone(name):
    defense = DEFENSES.get(name)
    ends_where_each_ends_alone([defense(s) for s in (IDLE[name], defense.default, defense.strengths[-1])])


@pytest.mark.parametrize(
    "names",
    [
        ("spec_augment:0.2+mixup:1", "spec_augment:0.6+mixup:4", "spec_augment:0.2+mixup:4"),
        ("label_smoothing:0.1+spec_augment:0.4",) * 3,
        ("distillation:2+spec_augment:0.2", "distillation:2+spec_augment:0.4", "distillation:5+spec_augment:0.6"),
    ],
)
def test_a_sweep_of_a_combination_trained_as_one_stack_ends_where_each_ends_alone(names):
    ends_where_each_ends_alone([make_defense(name) for name in names])


def ends_where_each_ends_alone(defenses):
    stack = train_defended(type(defenses[0]).mixed(defenses), job()).network.state_dict()
    for k, defense in enumerate(defenses):
        alone = train_defended(defense, job(pick=slice(k, k + 1)))
        for parameter, value in alone.network.state_dict().items():
            together = stack[parameter][k : k + 1]
            together = together if together.shape == value.shape else together[..., : value.shape[-1]]
            torch.testing.assert_close(together, value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", RANDOM)
def test_a_killed_run_resumes_to_the_same_end(name, tmp_path, monkeypatch):
    monkeypatch.setattr("mia_lib.training.train.CHECKPOINT_SECONDS", 0.0)
    path, given = tmp_path / "checkpoint.safetensors", job(epochs=3)

    def killed(network, features, batch):
        if batch.step == 7:
            raise KeyboardInterrupt
        return features

    with pytest.raises(KeyboardInterrupt):
        train_defended(make_defense(name), job(epochs=3, checkpoint=path, alterations=(killed,)))
    assert path.exists()
    resumed = train_defended(make_defense(name), job(epochs=3, checkpoint=path))
    same(train_defended(make_defense(name), given), resumed, rtol=1e-6, atol=1e-8)


def confidence_gaps(models, given):
    """Mean logit-scaled confidence on what a model trained on, minus that on the rest: [models]."""
    logits = models.network(given.features.to(given.dtype))
    loss = cross_entropy(logits, torch.from_numpy(given.labels))
    phi = -loss - torch.log(-torch.expm1(-loss.clamp_min(1e-12)))
    return np.array([phi[k, given.train[k]].mean() - phi[k, given.test[k]].mean() for k in range(len(phi))])


NOISY = dict(epochs=15, noise=2.0, dtype=torch.float32)


@pytest.fixture(scope="module")
def plain_gaps():
    return confidence_gaps(train_job(job(**NOISY), Objective()), job(**NOISY))


@pytest.mark.parametrize("name", NAMES)
def test_the_gap_between_members_and_non_members_shrinks(name, plain_gaps):
    models = train_defended(make_defense(f"{name}:{DEFENSES.get(name).strengths[-1]}"), job(**NOISY))
    gaps = confidence_gaps(models, job(**NOISY))
    assert (plain_gaps > 2).all() and (gaps < 0.8 * plain_gaps).all()


def test_early_stopping_trains_a_share_of_each_models_epochs():
    given = job(epochs=(2, 4, 10))
    models = train_defended(DEFENSES.get("early_stopping")((0.01, 0.5, 0.3)), given)
    assert models.config.epochs == (1, 2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_every_defense_has_a_sweep_that_grows_stronger_from_a_sane_default(name):
    defense = DEFENSES.get(name)
    away = [abs(strength - IDLE[name]) for strength in defense.strengths]
    assert away == sorted(away) and away[0] > 0 and defense.default in defense.strengths
    assert defense.trains and not defense.alters and make_defense(name).strength == defense.default


@pytest.mark.parametrize(
    "name", [f"{name}:-0.1" for name in NAMES] + [f"{name}:nan" for name in NAMES] + ["weight_decay:inf", "relaxloss:inf",
    "dropout:1", "label_smoothing:1", "mixup:1e9", "augmentation:1.1", "spec_augment:1.1", "hamp:1", "early_stopping:0"]
)  # fmt: skip
def test_a_senseless_strength_is_refused_in_one_sentence(name):
    with pytest.raises(UsageError, match=f"^defense {name.partition(':')[0]!r}: the strength must be a number"):
        make_defense(name)


def test_a_strength_per_model_must_be_one_per_model():
    with pytest.raises(UsageError, match="3 models need one strength, or one each, not 2"):
        train_defended(DEFENSES.get("label_smoothing")((0.1, 0.2)), job())


def test_a_combination_asks_for_the_copies_that_one_of_its_parts_needs():
    assert Combined([make_defense("augmentation")]).needs_augmented
    assert not Combined([make_defense("mixup")]).needs_augmented


# Alterations act together with any one other way to train


@pytest.mark.parametrize("other", ["weight_decay:0.05", "mixup:1", "distillation:2", "selena:2"])
def test_an_alteration_and_another_defense_act_together_in_either_order(other):
    both = train_defended(make_defense(f"spec_augment:0.5+{other}"), job())
    same(train_defended(make_defense(f"{other}+spec_augment:0.5"), job()), both)
    for alone in ("spec_augment:0.5", other):
        weight = train_defended(make_defense(alone), job()).network.hidden.weight
        assert (both.network.hidden.weight - weight).abs().max() > 1e-4
    same(train_defended(make_defense(f"spec_augment:0+{other}"), job()), train_defended(make_defense(other), job()))


def test_two_alterations_act_one_after_the_other():
    both = train_defended(make_defense("augmentation:1+spec_augment:0.5"), job())
    copies = job(augmented=torch.full_like(job().augmented, 3.0))
    blank = train_defended(make_defense("augmentation:1"), copies)
    masked = train_defended(make_defense("augmentation:1+spec_augment:0.5"), copies)
    assert (masked.network.hidden.weight - blank.network.hidden.weight).abs().max() > 1e-4
    assert (masked.network.hidden.weight - both.network.hidden.weight).abs().max() > 1e-4


def test_a_second_way_to_train_is_refused_in_one_sentence():
    with pytest.raises(UsageError, match=r"only one defense.*: augmentation, spec_augment"):
        make_defense("mixup:1+spec_augment:0.5+weight_decay:0.1")
