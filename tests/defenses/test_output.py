"""Output defenses: the speaker named stays, answers are distributions, fragments are answered singly, effects are real."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.defenses.base import Answers, make_defense
from mia_lib.defenses.hamp_output import random_answers, rearranged
from mia_lib.defenses.output import FLOOR, repeatable_draws
from mia_lib.defenses.rank_reciprocal import by_rank
from mia_lib.defenses.temperature import Temperature
from mia_lib.defenses.top_k import renormalised, spread, zeroed
from mia_lib.models import MODELS
from mia_lib.signals.signals import Signals
from mia_lib.signals.statistics import log_posteriors
from mia_lib.support.device import CHUNK_VALUES
from mia_lib.support.errors import UsageError

CLASSES, N, FRAMES, BINS = [12, 9, 12], 400, 70, 4
NAMES = ["top_k:1", "top_k:3", "rounding:0", "rounding:1", "rounding:3", "temperature:5", "temperature:1e6", "label_only",
         "rank_reciprocal:3", "rank_reciprocal:40", "hamp_output"]  # fmt: skip
SILENT = ["label_only", "rank_reciprocal:1", "rank_reciprocal:3", "rank_reciprocal:5"]  # give out no number


@pytest.fixture(scope="module")
def stack():
    """Three models with random weights, of which the second lacks three classes, and what an output defense is given."""
    network = MODELS.get("paper_mfcc")(FRAMES, BINS, CLASSES)
    network.initialise([1, 2, 3])
    network.mean.fill_(2.0)
    network.scale.fill_(3.0)
    return SimpleNamespace(network=network.eval()), SimpleNamespace(device="cpu", seeds=[1, 2, 3])


def answers(stack, ties=False, seed=0, n=N):
    """Members (the first half) are surer of their speaker than the others."""
    rng = np.random.default_rng(seed)
    labels, member = np.tile(rng.integers(9, size=n), (3, 1)), np.tile(np.arange(n) < n // 2, (3, 1)).astype(int)
    z = 1.5 * rng.standard_normal((3, n, 12))
    raised = np.where(member, 8, 5) + 2 * rng.standard_normal((3, n))
    np.put_along_axis(z, labels[..., None], raised[..., None], -1)
    if ties:
        z = np.rint(z / 3)
        z[:, 0] = 0.0  # all classes alike
        z[:, 1] = np.where(np.arange(12) == 7, 200.0, -200.0)  # posteriors that vanish
    z[1, :, 9:] = -np.inf
    models, job = stack
    return Answers(z.astype(np.float32), job, models), labels, member


def auc(attack, logits, labels, member):
    signals = Signals(logits[:1], labels[:1], member[:1])
    return roc_auc_score(member[0], ATTACKS.get(attack)().fit(signals).score(signals)[0])


@pytest.mark.parametrize("name", NAMES)
def test_the_speaker_named_is_kept_and_is_the_only_largest_also_where_logits_tie(stack, name):
    defense = make_defense(name)
    assert defense.keeps_argmax and defense.alters and not defense.trains
    for ties in (False, True):
        given, *_ = answers(stack, ties)
        out = defense.answer(given)
        assert out.dtype == np.float32 and out.shape == given.logits.shape
        np.testing.assert_array_equal(out.argmax(-1), given.logits.argmax(-1))
        assert ((out == out.max(-1, keepdims=True)).sum(-1) == 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_distributions_over_the_classes_that_a_model_has(stack, name):
    given, *_ = answers(stack, ties=True)
    out = make_defense(name).answer(given)
    np.testing.assert_array_equal(np.isneginf(out), np.isneginf(given.logits))
    np.testing.assert_allclose(np.exp(out.astype(float)).sum(-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_does_not_depend_on_which_other_fragments_are_asked_about(stack, name):
    given, *_ = answers(stack)
    whole = make_defense(name).answer(given)
    for chosen in (np.array([5]), np.array([399, 5, 17]), np.arange(N)[::-1]):
        part = Answers(given.logits[:, chosen], given.job, given.models)
        np.testing.assert_array_equal(make_defense(name).answer(part), whole[:, chosen])


@pytest.mark.parametrize("name", ["temperature:1", "top_k:12", "top_k:1000"])
def test_at_no_strength_nothing_changes_beyond_rounding(stack, name):
    given, *_ = answers(stack)
    np.testing.assert_allclose(make_defense(name).answer(given), log_posteriors(given.logits), atol=1e-5)


@pytest.mark.parametrize("name", ["top_k:3", "rounding:1", "temperature:5", *SILENT, "hamp_output"])
def test_the_strength_changes_what_is_given_out_and_the_floor_of_all_attacks_stays(stack, name):
    given, labels, member = answers(stack)
    out = make_defense(name).answer(given)
    assert np.abs(np.exp(out) - np.exp(log_posteriors(given.logits))).sum(-1).mean() > 0.01
    assert auc("gap", out, labels, member) == auc("gap", given.logits, labels, member) > 0.51


@pytest.mark.parametrize("name", SILENT)
@pytest.mark.parametrize("attack", ["largest_posterior", "entropy"])
def test_without_numbers_an_attack_that_reads_no_label_is_exactly_at_chance(stack, name, attack):
    given, labels, member = answers(stack)
    assert auc(attack, given.logits, labels, member) > 0.8
    assert auc(attack, make_defense(name).answer(given), labels, member) == 0.5


def test_hamp_leaves_the_largest_posterior_at_chance_and_the_order_as_it_was(stack):
    given, labels, member = answers(stack, n=4000)
    out = make_defense("hamp_output").answer(given)
    assert auc("largest_posterior", given.logits, labels, member) > 0.8
    assert auc("largest_posterior", out, labels, member) == pytest.approx(0.5, abs=0.04)
    assert len(np.unique(out[0].max(-1))) > 100
    np.testing.assert_array_equal(np.argsort(out[0], -1), np.argsort(given.logits[0], -1))


def test_hamp_by_hand():
    values, order = np.array([[5.0, 1.0, 3.0, -np.inf]]), np.array([[0.2, 0.7, 0.7, -np.inf]])
    assert rearranged(values, order).tolist() == [[1.0, 5.0, 3.0, -np.inf]]


def test_random_inputs_have_the_statistics_that_a_model_normalises_by_and_follow_its_seed_alone(stack, monkeypatch):
    models, job = stack
    seen = []
    monkeypatch.setattr(type(models.network), "forward", lambda self, x: seen.append(x) or x.mean((2, 3))[..., None])
    random_answers(models, job, 200)
    whole = seen[0]
    assert whole.mean().item() == pytest.approx(2.0, abs=0.05) and whole.std().item() == pytest.approx(3.0, abs=0.05)
    monkeypatch.setitem(CHUNK_VALUES, "cpu", 3 * FRAMES * BINS * 7)
    random_answers(models, job, 9)
    assert [len(part[0]) for part in seen[1:]] == [7, 2]
    np.testing.assert_array_equal(np.concatenate([part.numpy() for part in seen[1:]], 1), whole[:, :9].numpy())


def test_top_k_by_hand():
    p = np.array([0.5, 0.1, 0.1, 0.3])
    assert zeroed(p, 3).tolist() == [0.5, 0.1, 0.0, 0.3]
    np.testing.assert_allclose(renormalised(p, 2), [0.625, 0, 0, 0.375])
    log_p = np.append(np.log(p), -np.inf)  # a class that the model does not have gets no share
    np.testing.assert_allclose(np.exp(spread(log_p, 1)), [0.5, 0.5 / 3, 0.5 / 3, 0.5 / 3, 0])


def test_rank_reciprocal_by_hand(stack):
    np.testing.assert_allclose(by_rank(np.array([0.1, 0.6, 0.1, 0.2]), 3), [1 / 3, 1, 0, 1 / 2])
    np.testing.assert_allclose(by_rank(np.array([0.1, 0.6, -np.inf]), 3), [1 / 2, 1, 0])
    out = make_defense("rank_reciprocal").answer(answers(stack)[0])
    np.testing.assert_allclose(
        np.sort(np.exp(out[0, 0].astype(float)))[-4:], [1e-12, 2 / 11, 3 / 11, 6 / 11], rtol=1e-5
    )


def test_rounding_by_hand(stack):
    models, job = stack
    p = np.array([[[0.36, 0.35, 0.26, 0.03], [0.04, 0.98, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]])
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(p), -90).astype(np.float32)
    out = np.exp(make_defense("rounding:1").answer(Answers(logits, job, models))[0].astype(float))
    np.testing.assert_allclose(out[0], np.array([4, 4, 3, 0]) / 11, atol=1e-6)  # 0.36 and 0.35 tie
    np.testing.assert_allclose(out[1], [0, 1, 0, 0], atol=1e-6)
    assert out[0, 0] > out[0, 1] and out[1, 0] == pytest.approx(np.exp(FLOOR), rel=1e-5)
    nothing = np.exp(make_defense("rounding:0").answer(Answers(logits[:, :1], job, models))[0, 0].astype(float))
    np.testing.assert_allclose(nothing, 0.25, atol=1e-6)  # all round to zero


def test_draws_are_uniform_differ_between_models_and_survive_rounding():
    z = 5 * np.random.default_rng(0).standard_normal((4000, 10)).astype(np.float32)
    draws = repeatable_draws(z, 3, "one")
    counts = np.histogram(draws, 10, (0, 1))[0]
    assert counts.min() > 330 and counts.max() < 470 and draws.min() >= 0 and draws.max() < 1
    assert abs(np.corrcoef(draws, z.max(1))[0, 1]) < 0.06
    for other in (repeatable_draws(z, 4, "one"), repeatable_draws(z, 3, "two")):
        assert abs(np.corrcoef(draws, other)[0, 1]) < 0.06
    assert (repeatable_draws(z * np.float32(1 + 1e-6), 3, "one") == draws).mean() > 0.99
    padded = np.concatenate([z, np.full((4000, 2), -np.inf, np.float32)], 1)
    np.testing.assert_array_equal(repeatable_draws(padded, 3, "one"), draws)


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("top_k:1.5", "'top_k': the strength must be a whole number of at least 1, not 1.5"),
        ("top_k:0", "of at least 1, not 0"),
        ("rank_reciprocal:inf", "whole number"),
        ("rounding:-1", "between 0 and 10, not -1"),
        ("rounding:nan", "between 0 and 10"),
        ("temperature:0", "at least 0.01"),
        ("label_only:1", "'label_only': there is no strength to set"),
        ("hamp_output:2", "no strength"),
        ("memguard:2.5", "between 0 and 2"),
        ("top_k:few", "must be a number"),
    ],
)
def test_strengths_out_of_range_are_refused_in_one_sentence(name, sentence):
    with pytest.raises(UsageError, match=sentence):
        make_defense(name)


def test_two_output_defenses_follow_each_other(stack):
    given, *_ = answers(stack)
    both = make_defense("temperature:5+top_k:1").answer(given)
    softened = Answers(make_defense("temperature:5").answer(given), given.job, given.models)
    np.testing.assert_array_equal(both, make_defense("top_k:1").answer(softened))


def test_answers_are_altered_by_one_strength_for_all_models():
    defense = Temperature([2.0, 5.0])
    with pytest.raises(UsageError, match="one strength is needed for all models"):
        defense.alter(np.zeros((1, 3)))
    assert defense.part([1]).strength == [5.0]
