"""Losses are noted while models train, change nothing, and are those of the right fragments."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from defenses.noisy_voices import toy

from mia_lib.training.objective import Objective
from mia_lib.training.traces import FollowedLosses, interquartile_range
from mia_lib.training.train import train_job


def test_following_losses_changes_no_weight_and_fills_every_pass():
    job, followed = toy(epochs=4), FollowedLosses()
    one, other = train_job(job, followed), train_job(job, Objective())
    torch.testing.assert_close(one.network.hidden.weight, other.network.hidden.weight)
    for k, own in enumerate(job.train):
        trace = followed.of(k)
        assert trace.shape[0] == len(own) and (~np.isnan(trace)).sum(1).min() >= 4
        means = one.history[one.history["model"] == k]["loss"].to_numpy()
        assert np.nanmean(trace[:, :4], 0) == pytest.approx(means, rel=1e-5)


def test_a_model_that_is_finished_before_the_others_of_its_stack_has_the_losses_that_it_would_have_alone():
    job = toy((4, 4), epochs=3)
    job = replace(job, train=[job.train[0][:20], job.train[1]])
    together, alone = FollowedLosses(), FollowedLosses()
    train_job(job, together)
    train_job(job.pick([0]), alone)
    np.testing.assert_allclose(together.of(0), alone.of(0), rtol=1e-4)


def test_the_losses_belong_to_their_fragments():
    job = toy((4,), epochs=12, n=48)
    odd = job.train[0][5]
    job.labels[0, odd] = (job.labels[0, odd] + 1) % 4  # learnt late, by heart
    trace = FollowedLosses()
    train_job(job, trace)
    assert np.nanmean(trace.of(0)[:, 3:], 1).argsort()[-8:].tolist().count(5) == 1


def test_the_spread_by_hand():
    losses = np.array([[4.0, 3, 2, 1, 0], [1, 1, 1, 1, np.nan]])
    assert interquartile_range(losses).tolist() == [2.0, 0.0]
