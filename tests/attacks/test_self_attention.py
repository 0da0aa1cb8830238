"""SAMIA: what it reads by hand, that it learns what only the sensitivity tells, and that a model without any is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from mia_lib.attacks.self_attention import TOKENS, SelfAttention, tokens
from mia_lib.signals.sensitivity import DRAWS, STEP, noisy, sensitivity
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError


def told(seed, n=600, models=3, classes=9, gain=2.0):
    """Signals whose posteriors say nothing; members' posteriors move less with noise, by a factor e^gain on average."""
    rng = np.random.default_rng(seed)
    member = rng.integers(2, size=(models, n))
    logits = rng.standard_normal((models, n, classes))
    moved = np.exp(rng.standard_normal(logits.shape) - gain * member[..., None])
    return Signals(logits, rng.integers(classes, size=(models, n)), member, sensitivity=moved)


def test_sensitivity_is_the_mean_shift_of_each_posterior_over_the_step():
    rng = np.random.default_rng(0)
    clean, moved = rng.standard_normal((2, 3, 4)), rng.standard_normal((5, 2, 3, 4))
    expected = sum(np.abs(softmax(one, -1) - softmax(clean, -1)) for one in moved) / 5 / 1e-3
    np.testing.assert_allclose(sensitivity(clean, iter(moved)), expected, rtol=1e-12)
    assert STEP == 1e-3 and DRAWS == 10


def test_noise_is_a_thousandth_of_each_bins_spread_and_repeats():
    features = torch.randn(40, 30, 2) * torch.tensor([1.0, 100.0]) + 5
    draws = list(noisy(features, 7))
    assert len(draws) == DRAWS
    shift = torch.stack(draws) - features
    torch.testing.assert_close(shift.std((0, 1, 2)) / features.std((0, 1)), torch.full((2,), 1e-3), rtol=0.03, atol=0)
    assert (shift[0] - shift[1]).abs().max() > 0
    torch.testing.assert_close(next(iter(noisy(features, 7))), draws[0], rtol=0, atol=0)


def test_a_linear_models_sensitivity_is_its_slope():
    """p of two classes with logit difference w.x: |dp| = p (1 - p) |w.u|, of mean sqrt(2 / pi) |w| for normal u."""
    x, w = torch.randn(500, 1, 1), 3.0

    def answer(features):
        z = w * features[:, :, 0].double()
        return torch.stack([z, torch.zeros_like(z)], -1).numpy().swapaxes(0, 1)

    found = sensitivity(answer(x), (answer(heard.double()) for heard in noisy(x, 1)))
    p = softmax(answer(x), -1)[..., 0]
    expected = p * (1 - p) * w * float(x.std()) * np.sqrt(2 / np.pi)
    assert np.median(found[..., 0] / expected) == pytest.approx(1, abs=0.05)


def test_the_own_class_is_read_first_and_then_the_likeliest():
    p, s = np.array([[[0.5, 0.3, 0.15, 0.05]]]), np.array([[[1.0, 2.0, 3.0, 4.0]]])
    for label, order in ((2, [2, 0, 1, 3]), (-1, [0, 1, 2, 3])):
        signals = Signals(np.log(p), np.array([[label]]), np.array([[1]]), sensitivity=s)
        read = tokens(signals)[0, 0]
        np.testing.assert_allclose(read[:4, 0], p[0, 0, order], rtol=1e-6)
        np.testing.assert_allclose(read[:4, 2], np.log(s[0, 0, order]) / np.log(1e-9), atol=1e-6)
        assert read[:, 3].tolist() == [1] + [0] * (TOKENS - 1) and (read[4:] == 0).all()


def test_it_learns_from_shadows_what_only_sensitivity_tells():
    attack = SelfAttention(seed=1).fit(told(0))
    target = told(1, models=1)
    scores = attack.score(target)
    member = target.member[0] == 1
    assert roc_auc_score(member, scores[0]) > 0.95
    assert ((scores[0] >= attack.threshold) == member).mean() > 0.85
    np.testing.assert_array_equal(SelfAttention(seed=1).fit(told(0)).score(target), scores)


def test_scores_do_not_depend_on_who_is_asked_beside():
    attack, target = SelfAttention().fit(told(0)), told(1, n=300, models=1)
    np.testing.assert_allclose(attack.score(target.columns(np.arange(7)))[0], attack.score(target)[0, :7], atol=1e-5)


def test_models_of_other_numbers_of_classes_are_read_alike():
    shadows = told(0)
    logits = np.pad(shadows.logits, ((0, 0), (0, 0), (0, 3)), constant_values=-np.inf)
    wider = Signals(
        logits, shadows.labels, shadows.member, sensitivity=np.pad(shadows.sensitivity, ((0, 0), (0, 0), (0, 3)))
    )
    np.testing.assert_allclose(tokens(wider), tokens(shadows), atol=1e-6)


def test_signals_without_sensitivity_are_refused_in_one_sentence():
    given = told(0)
    with pytest.raises(MiaError, match="sensitivity"):
        SelfAttention().fit(Signals(given.logits, given.labels, given.member))
    with pytest.raises(MiaError, match="sensitivity must have the shape"):
        Signals(given.logits, given.labels, given.member, sensitivity=given.sensitivity[..., :-1])


def test_a_study_asks_its_models_through_their_defense(monkeypatch):
    from mia_lib.studies.released import ReleasedSignals

    class Doubler(ReleasedSignals):
        def __init__(self):
            seed, device, features = 0, "cpu", torch.randn(5, 4, 2)
            network = SimpleNamespace()
            self.dataset = SimpleNamespace(seed=seed, device=device, features=features)
            self.pool = SimpleNamespace(models=SimpleNamespace(network=network), defense_name="none")
            self.defense = SimpleNamespace(alters=True)

        logits, _defended, _kinds = np.zeros((1, 5, 2)), {}, ()

        def answer(self, logits):
            return 2 * logits

        def _array(self, name, params, compute, uses=()):
            return compute()

    monkeypatch.setattr(
        "mia_lib.studies.released.query_models", lambda network, x, device: np.tile([STEP / 2, 0.0], (1, len(x), 1))
    )
    found = Doubler().sensitivity(np.array([1, 3]))
    np.testing.assert_allclose(
        found, 0.25, rtol=1e-3
    )  # logits move by STEP behind the defense, a posterior by a quarter
    assert found.shape == (1, 2, 2)
