"""A stack that is read again is the one that was saved, in all that is known of it."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from test_bookkeeping import small

from mia_lib.training.objective import Objective
from mia_lib.training.train import train_job
from mia_lib.training.trained import TrainedModels


@pytest.mark.parametrize("epochs", [(2, 1), 1])
def test_a_stack_is_read_as_it_was_saved(tmp_path, epochs):
    models = train_job(small(epochs), Objective())
    models.save(tmp_path)
    again = TrainedModels.load(tmp_path)
    assert (again.config, again.seconds, again.network.classes) == (models.config, models.seconds, [3, 4])
    assert hash(again.config) == hash(models.config) and not again.network.training
    pd.testing.assert_frame_equal(again.history, models.history)
    for name, value in models.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value, rtol=0, atol=0)


class Keeping(Objective):
    """Keeps some numbers of its own, notes what it is given back, and may be interrupted."""

    def __init__(self, kept, last=99):
        self.kept, self.last, self.given = kept, last, None

    def tensors(self):
        return self.kept

    def restore(self, tensors):
        self.given = tensors

    def losses(self, network, features, labels, batch):
        if batch.step == self.last:
            raise KeyboardInterrupt
        return super().losses(network, features, labels, batch)


@pytest.mark.parametrize("kept", [{}, {"mean": torch.arange(3.0)}])
def test_an_objective_is_given_back_what_it_kept_be_it_nothing(tmp_path, monkeypatch, kept):
    monkeypatch.setattr("mia_lib.training.train.CHECKPOINT_SECONDS", 0.0)
    job, resumed = replace(small(), checkpoint=tmp_path / "checkpoint.safetensors"), Keeping({})
    with pytest.raises(KeyboardInterrupt):
        train_job(job, Keeping(kept, last=7))
    train_job(job, resumed)
    assert resumed.given.keys() == kept.keys()
    assert all(torch.equal(resumed.given[name], tensor) for name, tensor in kept.items())
