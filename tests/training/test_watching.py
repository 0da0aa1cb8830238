"""Looking at fragments while models train tells what they answer and changes nothing."""

import numpy as np
import torch

from mia_lib.training.job import TrainingConfig
from mia_lib.training.objective import Objective
from mia_lib.training.train import train_models
from mia_lib.training.watching import Watched

ROWS = [3, 17]


def trained(objective):
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.standard_normal((60, 70, 8)))
    labels, train = np.stack([np.arange(60) % 4] * 2), [np.arange(40), np.arange(10, 50)]
    config = TrainingConfig(epochs=3, batch_size=8)
    models = train_models(features, labels, train, config, [1, 2], objective=objective, dtype=torch.float64)
    return models, models.network(features[None, ROWS]).float().numpy()


def test_models_end_as_if_nobody_had_looked():
    watched, plain = (trained(objective)[0].network.state_dict() for objective in (Watched(ROWS, every=5), Objective()))
    for name, tensor in plain.items():
        torch.testing.assert_close(watched[name], tensor, rtol=0, atol=0)


def test_looks_are_spread_evenly_and_the_last_is_that_of_the_finished_models():
    objective = Watched(ROWS, every=5)
    models, answers = trained(objective)
    objective.look(models.network)
    assert [look.shape for look in objective.looks] == [
        (2, 2, 4)
    ] * 4  # 15 steps: before the first, sixth, eleventh; after
    np.testing.assert_allclose([epochs[0] for epochs in objective.epochs], [0, 1, 2], atol=1e-6)
    np.testing.assert_array_equal(objective.looks[-1], answers)
    assert np.abs(objective.looks[0] - answers).max() > 0.1
