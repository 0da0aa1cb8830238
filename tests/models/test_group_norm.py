"""Normalisation of each example by itself: exact, independent of the batch, and leaving something to learn from."""

import numpy as np
import pytest
import torch
from torch.nn.functional import group_norm

from mia_lib.models import MODELS
from mia_lib.models.norms import GroupNorm
from mia_lib.support.errors import UsageError
from mia_lib.training.job import TrainingConfig
from mia_lib.training.train import train_models
from mia_lib.training.trained import TrainedModels


def test_it_is_torchs_group_normalisation_of_each_model():
    torch.manual_seed(0)
    x = torch.randn(2, 5, 7, 40, dtype=torch.float64) * 3 + 1
    layer = GroupNorm(2, 40).double()
    layer.weight.data, layer.bias.data = torch.randn(2, 40).double(), torch.randn(2, 40).double()
    assert layer.groups == 8
    for k in range(2):
        expected = group_norm(x[k].transpose(1, 2), 8, layer.weight[k], layer.bias[k]).transpose(1, 2)
        torch.testing.assert_close(layer(x)[k], expected)


@pytest.mark.parametrize("channels, groups", [(3, 1), (8, 2), (94, 2), (160, 8), (31, 1)])
def test_a_group_has_at_least_four_channels_where_there_are_so_many(channels, groups):
    layer = GroupNorm(1, channels)
    assert layer.groups == groups
    x = torch.randn(1, 6, channels)
    assert layer(x).std() > 0.5  # a group of one channel would leave zeros where there is no length


@pytest.mark.parametrize("model", MODELS.names())
def test_an_answer_in_training_does_not_depend_on_the_rest_of_the_batch(model):
    bins, frames = (150, 8) if model == "paper_stft" else (8, 70)
    network = MODELS.get(model)(frames, bins, [3, 4], "group").double().train()
    network.initialise([1, 2])
    x = torch.randn(2, 5, frames, bins, dtype=torch.float64)
    torch.testing.assert_close(network(x)[:, :1], network(x[:, :1]))


@pytest.mark.parametrize("model", MODELS.names())
def test_plain_models_with_it_still_learn_in_every_seed(model, tmp_path):
    bins, frames, voice, epochs = (150, 8, 2.0, 8) if model == "paper_stft" else (8, 64, 0.7, 4)
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(120) % 4, (3, 1))
    voices = rng.standard_normal((4, 1, bins)) * voice
    features = torch.from_numpy(rng.standard_normal((120, frames, bins)) + voices[labels[0]]).float()
    train, test = [np.arange(80)] * 3, [np.arange(80, 120)] * 3
    config = TrainingConfig(model, epochs=epochs, batch_size=8, norm="group")
    models = train_models(features, labels, train, config, [1, 2, 3], test=test)
    assert models.history.groupby("model")["test_accuracy"].last().min() > 0.9
    models.save(tmp_path)
    again = TrainedModels.load(tmp_path)
    assert again.config.norm == "group" and not any("running" in name for name in again.network.state_dict())
    torch.testing.assert_close(again.network(features[:3]), models.network(features[:3]))


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(UsageError, match="unknown normalisation 'layer'"):
        MODELS.get("paper_mfcc")(70, 8, [3], "layer")
