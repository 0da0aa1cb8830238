"""MemGuard: its classifier finds members, its noise hides them from it, within the budget, once and for all."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.defenses.base import Answers, make_defense
from mia_lib.defenses.memguard import (
    USED_C3,
    MembershipClassifier,
    classify,
    descent,
    fit_classifiers,
    noisy_log_posteriors,
    release_probability,
    search,
    undecided,
)
from mia_lib.signals.signals import Signals
from mia_lib.signals.statistics import log_posteriors
from mia_lib.support.errors import UsageError

MODELS, N, CLASSES = 3, 600, 12


def world(gain=4.0, seed=0):
    """Answers of three models, of which the second lacks three classes: first half members; last fragments not audited."""
    rng = np.random.default_rng(seed)
    member = np.tile(np.arange(N) % 2, (MODELS, 1))
    z = 1.5 * rng.standard_normal((MODELS, N, CLASSES))
    labels = np.tile(rng.integers(9, size=N), (MODELS, 1))
    raised = 5 + gain * member + 1.5 * rng.standard_normal((MODELS, N))
    np.put_along_axis(z, labels[..., None], raised[..., None], -1)
    z[1, :, 9:] = -np.inf
    z = z.astype(np.float32)
    own = np.arange(N) >= N // 2
    train, reference = ([np.flatnonzero(own & (m == side)) for m in member] for side in (1, 0))
    job = SimpleNamespace(train=train, reference=reference, seeds=[4, 5, 6])
    return Answers(z, job, None, z), labels, member


@pytest.fixture(scope="module")
def defended():
    given, labels, member = world()
    return given, labels, member, make_defense("memguard:1").answer(given)


def distortion(out, given):
    return np.abs(np.exp(out.astype(float)) - np.exp(log_posteriors(given.logits))).sum(-1)


def sorted_posteriors(logits):
    return torch.softmax(torch.from_numpy(logits).double(), -1).sort(-1).values


def test_the_classifier_finds_members_that_it_did_not_see_and_nothing_where_there_is_nothing():
    for gain, expected, width in ((4.0, 0.95, 0.05), (0.0, 0.5, 0.1)):
        given, _, member = world(gain)
        g = fit_classifiers(given.own, given.job.train, given.job.reference, given.job.seeds)
        v = g(sorted_posteriors(given.logits)).numpy()[:, : N // 2]
        aucs = [roc_auc_score(member[k, : N // 2], v[k]) for k in range(MODELS)]
        assert np.mean(aucs) == pytest.approx(expected, abs=width)


def test_a_classifier_ends_where_it_ends_alone():
    given, *_ = world()
    job = given.job
    together = fit_classifiers(given.own, job.train, job.reference, job.seeds)
    alone = fit_classifiers(given.own[2:], job.train[2:], job.reference[2:], job.seeds[2:])
    p = sorted_posteriors(given.logits)
    np.testing.assert_allclose(together(p)[2], alone(p[2:])[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("resort", [False, True])
def test_the_gradient_is_that_of_the_objective(resort):
    torch.manual_seed(0)
    g = MembershipClassifier(2, 6, (5, 4))
    g.initialise([1, 2])
    x0 = 2 * torch.randn(2, 50, 6, dtype=torch.float64)
    x, p0, c3 = x0.clone().requires_grad_(), torch.softmax(x0 + 0.3 * torch.randn_like(x0), -1), torch.rand(2, 50)
    p = torch.softmax(x, -1)
    read = p.sort(-1).values if resort else p
    rival = torch.relu(x[..., :-1].amax(-1) - x[..., -1])
    (g(read).abs() + 10 * rival + c3.double() * (p - p0).abs().sum(-1)).sum().backward()
    p = p.detach()
    v, slope = classify(g, p, resort)
    torch.testing.assert_close(descent(x0, p, p0, c3.double(), v, slope), x.grad, rtol=1e-9, atol=1e-11)


def test_noise_found_turns_the_classifier_keeps_the_speaker_and_shrinks_with_further_rounds():
    given, *_ = world()
    g = fit_classifiers(given.own, given.job.train, given.job.reference, given.job.seeds)
    x = torch.from_numpy(np.sort(given.logits[:, :80], -1)).double()
    before, noise = g(torch.softmax(x, -1)), []
    for largest in (0.1, 1e5):
        found, rounds = search(g, x, resort=True, largest_c3=largest)
        p = torch.softmax(found, -1)
        turned, hit = g(p.sort(-1).values) * before <= 0, rounds > 0
        assert hit.float().mean() > 0.9 and turned[hit].all()
        assert (found.argmax(-1) == CLASSES - 1).all()
        torch.testing.assert_close(found[~hit], x[~hit], rtol=0, atol=0)
        noise.append((p - torch.softmax(x, -1)).abs().sum(-1))
    assert (noise[1] <= noise[0] + 0.05).all() and noise[1].mean() < noise[0].mean()
    assert rounds.max() > 1


def test_release_probability_by_hand():
    before, after, noise = np.array([0.9, 0.9, 0.9, 0.5]), np.array([0.4, 0.6, 0.05, 0.5]), np.array([0.5, 0.2, 0.1, 0])
    np.testing.assert_allclose(release_probability(before, after, noise, 0.25), [0.5, 1.0, 0.0, 0.0])


def test_the_speaker_named_is_kept_and_answers_are_distributions(defended):
    given, _, _, out = defended
    np.testing.assert_array_equal(out.argmax(-1), given.logits.argmax(-1))
    np.testing.assert_array_equal(np.isneginf(out), np.isneginf(given.logits))
    np.testing.assert_allclose(np.exp(out.astype(float)).sum(-1), 1, atol=1e-5)
    assert out.dtype == np.float32


def test_its_own_classifier_is_left_undecided_on_fragments_that_it_never_saw(defended):
    given, _, member, out = defended
    g = fit_classifiers(given.own, given.job.train, given.job.reference, given.job.seeds)
    sides = member[:, : N // 2] == 1
    right = [((g(sorted_posteriors(z)).numpy()[:, : N // 2] > 0) == sides).mean() for z in (given.logits, out)]
    assert right[0] > 0.85 and 0.4 < right[1] < 0.65
    confidence = [np.median(np.abs(g(sorted_posteriors(z)).numpy())) for z in (given.logits, out)]
    assert confidence[1] < 1e-5 * confidence[0]


def test_the_more_budget_the_nearer_its_own_classifier_comes_to_chance_whichever_way_round_it_is_read():
    given, _, member = world(gain=2.5, seed=3)
    g = fit_classifiers(given.own, given.job.train, given.job.reference, given.job.seeds)
    z = given.logits[:, : N // 2]

    def leak(logits):
        scores = g(sorted_posteriors(logits)).numpy()
        values = np.array([roc_auc_score(m, v) for m, v in zip(member[:, : N // 2], scores, strict=True)])
        return np.maximum(values, 1 - values).mean()

    noisy, before, after = noisy_log_posteriors(g, z)
    noise = np.abs(np.exp(noisy) - np.exp(log_posteriors(z))).sum(-1)
    draws, leaks = np.random.default_rng(0).random(noise.shape), [leak(z)]
    for budget in (0.1, 0.5, 2.0):
        released = draws < release_probability(before, after, noise, budget)
        leaks.append(leak(np.where(released[..., None], noisy.astype(np.float32), log_posteriors(z))))
    assert leaks[0] > 0.8 and leaks[1] < leaks[0] - 0.05 and leaks[2] < leaks[1] - 0.05 and leaks[3] < 0.57
    published, _ = search(g, torch.from_numpy(np.sort(z, -1)).double(), resort=True, largest_c3=USED_C3)
    assert leak(published.numpy()) > 0.65  # turned round, not undecided


def test_noise_taken_back_to_the_change_of_sign_keeps_the_speaker_and_what_was_not_found():
    given, *_ = world()
    g = fit_classifiers(given.own, given.job.train, given.job.reference, given.job.seeds)
    x = torch.from_numpy(np.sort(given.logits[:, :80], -1)).double()
    found, rounds = search(g, x, resort=True, largest_c3=USED_C3)
    found[:, :5], rounds[:, :5] = x[:, :5], 0  # as if nothing had been found
    between = undecided(g, x, found, resort=True)
    hit = rounds > 0
    v = g(torch.softmax(between, -1).sort(-1).values)
    assert hit.sum() > 150 and v[hit].abs().max() < 1e-9
    assert (between.argmax(-1) == CLASSES - 1).all()
    torch.testing.assert_close(between[~hit], x[~hit], rtol=0, atol=0)
    assert (between.isneginf() == x.isneginf()).all() and not between.isnan().any()
    moved = x.isneginf().logical_not()
    share = ((between - x) / (found - x))[moved & hit[..., None] & ((found - x).abs() > 1e-6)]
    assert (share > 0).all() and (share <= 1 + 1e-6).all()


def test_what_an_attacker_sees_changes_and_correctness_does_not(defended):
    given, labels, member, out = defended
    plain, noisy = (Signals(z, labels, member) for z in (given.logits, out))
    scores = {n: [ATTACKS.get(n)().fit(s).score(s)[0] for s in (plain, noisy)] for n in ("largest_posterior", "gap")}
    aucs = [roc_auc_score(member[0], s) for s in scores["largest_posterior"]]
    assert aucs[0] > 0.9 and aucs[1] < aucs[0] - 0.2
    np.testing.assert_array_equal(*scores["gap"])


@pytest.mark.parametrize("chosen", [np.array([7]), np.array([500, 3, 11]), np.arange(N)[::-2]])
def test_asking_again_alone_or_among_others_gives_the_same_answer(defended, chosen):
    given, _, _, out = defended
    again = make_defense("memguard:1").answer(Answers(given.logits[:, chosen], given.job, None, given.own))
    np.testing.assert_array_equal(again, out[:, chosen])


def test_averaging_many_questions_does_not_undo_noise_that_is_released_now_and_then(defended):
    given = defended[0]
    defense = make_defense("memguard:0.1")
    rows = np.arange(40)
    many = Answers(given.logits[:, np.tile(rows, 10)], given.job, None, given.own)
    out = defense.answer(many).reshape(MODELS, 10, 40, CLASSES)
    np.testing.assert_array_equal(out, np.broadcast_to(out[:, :1], out.shape))
    noisy = distortion(out[:, 0], Answers(given.logits[:, rows], None, None)) > 1e-3
    assert 0.1 < noisy.mean() < 0.9


def test_the_expected_distortion_keeps_to_the_budget_and_at_none_nothing_changes(defended):
    given = defended[0]
    spent = {e: distortion(make_defense(f"memguard:{e}").answer(given), given).mean() for e in (0, 0.05, 0.2)}
    assert spent[0] < 1e-6 and 0.03 < spent[0.05] < 0.06 and spent[0.05] < spent[0.2] < 0.22


def test_noise_of_a_class_that_is_absent_is_none_and_probabilities_are_of_the_released_order():
    given, *_ = world()
    g = fit_classifiers(given.own, given.job.train, given.job.reference, given.job.seeds)
    noisy, before, after = noisy_log_posteriors(g, given.logits[:, :50])
    assert np.isneginf(noisy[1, :, 9:]).all() and np.isfinite(noisy[1, :, :9]).all()
    for logits, probability in ((given.logits[:, :50], before), (noisy, after)):
        v = g(sorted_posteriors(logits)).sigmoid().numpy()
        np.testing.assert_allclose(v, probability, rtol=1e-9)


def test_noise_leaves_the_classifier_undecided_also_where_it_changes_the_order_of_the_other_speakers():
    given, *_ = world()
    flat = np.random.default_rng(1).standard_normal(given.logits.shape) * np.where(np.arange(N) % 2, 1.0, 0.3)[:, None]
    z = np.where(np.isinf(given.logits), -np.inf, flat).astype(np.float32)
    g = fit_classifiers(z, given.job.train, given.job.reference, given.job.seeds)
    noisy, before, after = noisy_log_posteriors(g, z[:, :200])
    assert (np.sort(noisy[0], -1) != noisy[0][np.arange(200)[:, None], np.argsort(z[0, :200], -1)]).any()
    assert (np.abs(after - 0.5) < 1e-6).mean() > 0.95 < (np.abs(before - 0.5) > 1e-3).mean()


def test_without_reference_fragments_it_is_refused_in_one_sentence():
    given, *_ = world()
    assert make_defense("memguard").needs_reference
    for reference, sentence in (
        (None, "needs reference fragments"),
        ([*given.job.reference[:-1], np.zeros(0, int)], "; model 2 has none"),
    ):
        given.job.reference = reference
        with pytest.raises(UsageError, match=sentence):
            make_defense("memguard").answer(given)
    with pytest.raises(UsageError, match="every fragment of the job"):
        make_defense("memguard").answer(replace(given, own=None))
