"""The baseline of defenses with extra recordings trains on these alone, for as many steps."""

import numpy as np
import pytest
import torch

from mia_lib.defenses.base import make_defense
from mia_lib.support.errors import UsageError
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.recipe import train_defended


def job(reference):
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(40) % 4, (2, 1))
    features = torch.from_numpy(rng.standard_normal((40, 94, 20)).astype(np.float32))
    train = [np.arange(0, 20), np.arange(4, 24)]
    return Job(features, labels, train, TrainingConfig(epochs=2, batch_size=8), [1, 2], reference=reference)


def test_it_never_hears_what_is_private():
    reference = [np.arange(24, 32), np.arange(28, 40)]
    plain = job(reference)
    altered = job(reference)
    altered.features[:24] = 1000.0
    one, other = (train_defended(make_defense("reference_only"), j).network.state_dict() for j in (plain, altered))
    assert all(torch.equal(one[name], other[name]) for name in one)
    changed = make_defense("reference_only").changed(plain)
    assert [rows.tolist() for rows in changed.train] == [rows.tolist() for rows in reference]
    assert changed.config.epochs == (5, 4)  # 40 fragments in all, of 8 and of 12


def test_without_reference_recordings_it_is_refused():
    with pytest.raises(UsageError, match="needs reference fragments"):
        make_defense("reference_only").changed(job(None))
