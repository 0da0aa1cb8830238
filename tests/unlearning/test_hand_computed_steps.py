"""Every method's loss, and the slope that one step follows, against a few lines of NumPy on three people and two numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from unlearning.leavers import (
    FEATURES,
    LEAVE,
    STAY,
    WEIGHTS,
    job,
    network,
    slope_of_cross_entropy,
    slope_of_divergence,
    softmax,
    step,
)

from mia_lib.support.errors import UsageError
from mia_lib.training.objective import Objective
from mia_lib.unlearning import make_method
from mia_lib.unlearning.scrub import STEPS
from mia_lib.unlearning.sides import LEAVING, divergence
from mia_lib.unlearning.sisa import mean_answers, shards_of

TURN = np.resize(LEAVE, LEAVING)  # the fragments of who leaves that a step sees


def objective(name):
    method = make_method(name)
    return method.objective(method.changed(job(start=[{}])))


def test_fine_tuning_is_plain_training_on_those_who_stay():
    changed = make_method("fine_tune:2").changed(job(start=[{}]))
    assert changed.train[0].tolist() == STAY.tolist() and changed.config.epochs == (2,)
    assert changed.start == [{}] and changed.config.schedule == "constant"
    assert type(objective("fine_tune")) is Objective


def test_gradient_ascent_climbs_the_loss_of_who_leaves():
    method = make_method("gradient_ascent:5")
    changed = method.changed(job(start=[{}]))
    assert changed.train[0].tolist() == LEAVE.tolist() and changed.config.epochs == (5,)
    loss, slope = step(objective("gradient_ascent"))
    expected, direction = slope_of_cross_entropy(STAY)  # the batch that it is given here
    assert loss == pytest.approx(-expected)
    np.testing.assert_allclose(slope, -direction, rtol=1e-9)


def test_neg_grad_weighs_descent_against_ascent():
    loss, slope = step(objective("neg_grad:0.25"))
    (stay, down), (leave, up) = slope_of_cross_entropy(STAY), slope_of_cross_entropy(TURN)
    assert loss == pytest.approx(0.75 * stay - 0.25 * leave)
    np.testing.assert_allclose(slope, 0.75 * down - 0.25 * up, rtol=1e-9)


AWAY = np.array([[0.1, 0.0, -0.2], [0.0, 0.3, 0.1]])  # how far the student has gone from its teacher


def test_scrub_keeps_near_its_teacher_and_labels_on_those_who_stay_and_goes_from_it_on_who_leaves():
    made, scrubbing = network(), objective("scrub:1")
    scrubbing.begin(job(), made)
    first, slope = step(scrubbing, made)
    stay, down = slope_of_cross_entropy(STAY)
    assert first == pytest.approx(stay)  # at the teacher itself the divergence is nothing
    np.testing.assert_allclose(slope, down, rtol=1e-9)

    with torch.no_grad():
        made.output.weight[0] += torch.from_numpy(AWAY)
    near, pull = slope_of_divergence(STAY, WEIGHTS, WEIGHTS + AWAY)
    own, down = slope_of_cross_entropy(STAY, WEIGHTS + AWAY)
    far, push = slope_of_divergence(TURN, WEIGHTS, WEIGHTS + AWAY)
    kept, slope = step(scrubbing, made, step=1)
    assert kept == pytest.approx(near + own)
    np.testing.assert_allclose(slope, pull + down, rtol=1e-9)
    for at in range(STEPS):
        away, slope = step(scrubbing, made, step=2 + at, epoch=1)
        assert away == pytest.approx(-far)
        np.testing.assert_allclose(slope, -push, rtol=1e-9)
    assert step(scrubbing, made, step=2 + STEPS, epoch=1)[0] == pytest.approx(near + own)
    assert make_method("scrub:3").changed(job(start=[{}])).config.epochs == (4,)


def test_the_bad_teacher_is_random_on_who_leaves_and_the_model_itself_on_those_who_stay():
    teachers = objective("bad_teacher")
    loss, slope = step(teachers)
    bad = teachers.bad.output
    logits = FEATURES[TURN] @ bad.weight[0].detach().numpy() + bad.bias[0].detach().numpy()
    taught, p = softmax(logits), softmax(FEATURES[TURN] @ WEIGHTS)
    n = len(STAY) + LEAVING
    assert loss == pytest.approx((taught * np.log(taught / p)).sum() / n)  # nothing from those who stay
    np.testing.assert_allclose(slope, FEATURES[TURN].T @ (p - taught) / n, rtol=1e-9)
    assert not np.allclose(bad.weight[0].detach().numpy(), WEIGHTS)


def test_the_divergence_leaves_out_classes_that_a_model_does_not_have():
    teacher, student = torch.tensor([[[0.0, 1.0, -torch.inf]]]), torch.tensor([[[1.0, 0.0, -torch.inf]]])
    p = np.exp([0, 1]) / np.exp([0, 1]).sum()
    assert float(divergence(teacher, student)) == pytest.approx((p * np.log(p / p[::-1])).sum(), rel=1e-6)


def test_retraining_starts_anew_on_those_who_stay():
    changed = make_method("retrain").changed(job(start=[{}]))
    assert changed.start is None and changed.leaving is None and changed.train[0].tolist() == STAY.tolist()


def test_sisa_averages_posteriors_and_leaves_the_other_shards_as_they_were():
    p = np.array([[0.9, 0.1], [0.5, 0.5]])
    np.testing.assert_allclose(np.exp(mean_answers(np.log(p)[None, :, None])), [[[0.7, 0.3]]], rtol=1e-6)
    assert sorted(np.bincount(shards_of(7, 3, 0)).tolist()) == [2, 2, 3]

    sisa, whole = make_method("sisa:2"), job()
    everybody = np.arange(4)
    full, less = (sisa.expanded(replace(whole, train=[rows])) for rows in (everybody, STAY))
    gone = shards_of(3, 2, 0)[2]
    assert full.seeds == less.seeds and len(full.train) == 2
    assert full.train[1 - gone].tolist() == less.train[1 - gone].tolist()
    assert sorted([*full.train[0], *full.train[1]]) == everybody.tolist()
    assert full.train[gone].tolist() != less.train[gone].tolist()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("scrub:x", "must be a number, not 'x'"),
        ("fine_tune:0", "method 'fine_tune': the strength must be a whole number of at least 1, not 0"),
        ("retrain:1", "method 'retrain': there is no strength to set"),
        ("forget", "unknown unlearning method 'forget': choose one of bad_teacher, fine_tune"),
    ],
)
def test_what_is_no_method_is_refused_in_a_sentence(name, fault):
    with pytest.raises(UsageError, match=fault):
        make_method(name)


def test_without_fragments_to_forget_there_is_nothing_to_do():
    with pytest.raises(UsageError, match="needs fragments that are to be forgotten; model 0 has none"):
        make_method("gradient_ascent").changed(replace(job(), leaving=[np.array([], int)]))
