"""Heads on embeddings are what torch's own layers compute, and learn to tell embeddings apart."""

import numpy as np
import pytest
import torch

from mia_lib.models import MODELS
from mia_lib.training.job import TrainingConfig
from mia_lib.training.train import train_models

CLASSES = [4, 3]


def stack(name, bins=5):
    network = MODELS.get(name)(1, bins, CLASSES).double()
    network.initialise([1, 2])
    network.mean.copy_(torch.randn(2, bins))
    return network.eval()


def test_a_head_is_one_linear_map_of_the_normalised_embedding():
    network, x = stack("head"), torch.randn(7, 1, 5, dtype=torch.float64)
    for k, classes in enumerate(CLASSES):
        weight, bias = network.output.weight[k, :, :classes], network.output.bias[k, 0, :classes]
        torch.testing.assert_close(network(x)[k, :, :classes], (x[:, 0] - network.mean[k]) @ weight + bias)


def test_the_other_head_has_one_hidden_layer():
    network, x = stack("head_mlp"), torch.randn(7, 1, 5, dtype=torch.float64)
    for k, classes in enumerate(CLASSES):
        hidden = (x[:, 0] - network.mean[k]) @ network.hidden.weight[k] + network.hidden.bias[k, 0]
        hidden = torch.relu(hidden / np.sqrt(1 + 1e-5))  # as normalised before any training
        expected = hidden @ network.output.weight[k, :, :classes] + network.output.bias[k, 0, :classes]
        torch.testing.assert_close(network(x)[k, :, :classes], expected)
    assert network.hidden.weight.shape == (2, 5, 256)


@pytest.mark.parametrize("name", ["head", "head_mlp"])
def test_embeddings_are_told_apart_even_where_some_dimension_was_always_zero_in_training(name):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 20)
    x = rng.standard_normal((6, 16))[labels] + 0.3 * rng.standard_normal((120, 16))
    x[::2, 3], x[1::2, 3] = 0.0, 0.01  # as after a ReLU: no training embedding has anything there
    config = TrainingConfig(name, epochs=40, learning_rate=1e-2)
    features = torch.from_numpy(x).float()[:, None]
    train = [np.arange(0, 120, 2)] * 2
    models = train_models(features, np.tile(labels, (2, 1)), train, config, [1, 2])
    with torch.no_grad():
        logits = models.network.eval()(features)
    right = logits.argmax(-1).numpy() == labels
    assert logits.abs().max() < 50
    assert right[:, 1::2].mean() > 0.95
