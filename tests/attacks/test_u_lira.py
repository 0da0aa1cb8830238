"""U-LiRA: fair where there is nothing to find, whatever is odd about the answers; found where a trace is left."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mia_lib.attacks.lira import LiRA
from mia_lib.attacks.u_lira import u_lira, without_class
from mia_lib.signals.signals import Signals

GROUP, N, CLASSES = 6, 150, 4


def signals(seed=0, shift=0.0, spread=1.0, models=2 * GROUP):
    """Random answers; in the first half, the true class's logit is moved by `shift` and varies `spread` times as much."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((models, N, CLASSES)) + rng.standard_normal((1, N, CLASSES)) * 3
    labels = np.tile(np.arange(N) % CLASSES, (models, 1))
    logits[:GROUP, np.arange(N), labels[0]] += shift + (spread - 1) * rng.standard_normal((GROUP, N))
    return Signals(logits, labels, np.full(labels.shape, -1, np.int8), aligned=True)


def auc(scores):
    member = np.repeat([1, 0], N)
    return np.mean([roc_auc_score(member, np.concatenate(pair)) for pair in scores])


def test_where_both_sides_are_alike_nothing_is_found():
    found = [auc(u_lira(signals(seed))) for seed in range(12)]
    assert abs(np.mean(found) - 0.5) < 3 * np.std(found) / np.sqrt(12) and np.std(found) < 0.03


@pytest.mark.parametrize("trace", [dict(shift=1.5), dict(shift=-1.5), dict(spread=4.0)])
def test_a_trace_is_found_whether_the_model_is_too_sure_or_too_unsure_or_neither(trace):
    assert auc(u_lira(signals(**trace))) > 0.65


def test_a_pair_is_attacked_by_means_of_all_others():
    answers, i = signals(shift=1.0), 2
    others = [k for k in range(2 * GROUP) if k not in (i, GROUP + i)]
    member = np.where(np.arange(2 * GROUP) < GROUP, 1, 0).astype(np.int8)[:, None].repeat(N, 1)
    fitted = LiRA().fit(answers.with_members(member).pick(others))
    inside, outside = u_lira(answers)[i]
    np.testing.assert_allclose(inside, fitted.score(answers.pick([i]))[0])
    np.testing.assert_allclose(outside, fitted.score(answers.pick([GROUP + i]))[0])


def test_controls_stand_in_the_place_of_those_who_were_trained_on_it():
    world = signals(shift=3.0, models=2 * GROUP + 4)
    answers, controls = world.pick(list(range(2 * GROUP))), world.pick(list(range(2 * GROUP, 2 * GROUP + 4)))
    assert auc(u_lira(answers)) > 0.85
    scores = u_lira(answers, controls)
    assert len(scores) == 4 and abs(auc(scores) - 0.5) < 0.05
    np.testing.assert_array_equal(scores[1][1], u_lira(answers)[1][1])


def test_without_its_class_an_example_is_judged_by_who_is_named_instead():
    logits, labels = np.array([[[1.0, 9.0, 3.0]]]), np.array([[1]])
    left = without_class(Signals(logits, labels, np.full((1, 1), -1, np.int8), aligned=True))
    assert left.statistics.phi[0, 0] == pytest.approx(3 - 1) and left.labels.tolist() == [[-1]] and left.aligned
