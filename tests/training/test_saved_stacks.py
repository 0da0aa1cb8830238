"""A stack that is read again is the one that was saved, in all that is known of it."""

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
