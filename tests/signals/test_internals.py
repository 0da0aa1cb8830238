"""What the owner reads in K stacked models at once is what a plain loop of autograd reads in one model at a time."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from mia_lib.models import MODELS
from mia_lib.models.layers import Linear
from mia_lib.models.network import StackedNetwork
from mia_lib.signals import white_box as internals
from mia_lib.signals.internals import INTERNALS
from mia_lib.signals.statistics import confidence
from mia_lib.signals.white_box import read_internals
from mia_lib.support.errors import MiaError
from mia_lib.training.objective import cross_entropy

CLASSES = [4, 6, 5]
COLUMN = {name: i for i, name in enumerate(INTERNALS)}


def stack(model, dtype=torch.float64, n=5):
    """Three models whose normalisation has seen some data; features of n fragments, and labels, one of them unknown."""
    bins, frames = (150, 8) if model == "paper_stft" else (6, 66)
    torch.manual_seed(0)
    network = MODELS.get(model)(frames, bins, CLASSES).to(dtype)
    network.initialise([1, 2, 3])
    network(torch.randn(8, frames, bins, dtype=dtype))
    labels = np.stack([np.arange(n) % c for c in CLASSES])
    labels[1, 2] = -1
    return network.eval(), torch.randn(n, frames, bins, dtype=dtype), labels


def alone(network, k):
    """Model k by itself."""
    single = type(network)(network.frames, network.bins, CLASSES[k : k + 1]).to(network.mean.dtype).eval()
    own = network.state_dict()
    for name, value in single.state_dict().items():
        value.copy_(own[name][k : k + 1][..., : value.shape[-1]])
    return single


@pytest.mark.parametrize("model", MODELS.names())
def test_all_models_and_fragments_at_once_equal_a_loop_of_autograd(model):
    network, x, labels = stack(model)
    read = read_internals(network, x, labels)
    assert read.shape == (3, 5, len(INTERNALS)) and read.dtype == np.float64
    for k in range(3):
        single = alone(network, k)
        for i in range(5):
            single.zero_grad()
            logits = single(x[i : i + 1])
            y = labels[k, i] if labels[k, i] >= 0 else int(logits.argmax())
            cross_entropy(logits, torch.tensor([[y]])).sum().backward()
            for name, layer in (("log_gradient_norm", single), ("log_output_gradient_norm", single.output)):
                square = sum(p.grad.square().sum() for p in layer.parameters())
                assert read[k, i, COLUMN[name]] == pytest.approx(float(square.log()) / 2, abs=1e-8), name


@pytest.mark.parametrize("model", MODELS.names())
def test_hidden_activations_explain_the_logits(model):
    network, x, labels = stack(model)
    length, cosine = (read_internals(network, x, labels)[..., COLUMN[n]] for n in ("hidden_norm", "class_cosine"))
    logits, rows = network(x).detach(), np.arange(5)
    for k in range(3):
        y = np.where(labels[k] >= 0, labels[k], logits[k].argmax(1))
        vectors = network.output.weight[k].detach().numpy()[:, y]
        bias = network.output.bias[k, 0].detach().numpy()[y]
        expected = length[k] * cosine[k] * np.linalg.norm(vectors, axis=0) + bias
        np.testing.assert_allclose(logits[k].numpy()[rows, y], expected, rtol=1e-9)


def test_neither_the_chunks_nor_the_neighbours_of_a_fragment_matter(monkeypatch):
    network, x, labels = stack("paper_mfcc")
    whole = read_internals(network, x, labels)
    monkeypatch.setattr(internals, "CHUNK_VALUES", 1)
    np.testing.assert_allclose(read_internals(network, x, labels), whole, rtol=1e-9)
    np.testing.assert_allclose(read_internals(network, x[3:], labels[:, 3:]), whole[:, 3:], rtol=1e-9)


def test_a_model_in_training_mode_is_read_in_evaluation_mode():
    network, x, labels = stack("paper_mfcc")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    expected = read_internals(network, x, labels)
    np.testing.assert_array_equal(read_internals(network.train(), x, labels), expected)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_gradient_of_a_sure_model_is_finite_and_falls_as_its_confidence_rises():
    network, x, _ = stack("paper_mfcc", torch.float32)
    labels = network(x).argmax(-1).numpy()
    with torch.no_grad():
        for parameter in network.output.parameters():
            parameter.mul_(3e4)
    read = read_internals(network, x, labels)
    assert (network(x).softmax(-1).amax(-1) == 1).any() and np.isfinite(read).all()
    order = np.argsort(read[..., COLUMN["log_gradient_norm"]], axis=None)
    phi = confidence(network(x).detach().numpy(), labels).ravel()
    assert phi[order[0]] > 50 and spearmanr(phi, read[..., COLUMN["log_output_gradient_norm"]].ravel())[0] < -0.99


def test_an_architecture_without_an_output_layer_is_refused():
    class Nameless(StackedNetwork):
        def build(self, models, frames, bins, classes):
            self.last = Linear(models, frames * bins, max(classes), classes)

    with pytest.raises(MiaError, match="Nameless must call its last layer 'output'"):
        read_internals(Nameless(2, 3, [2, 2]), torch.zeros(1, 2, 3), np.zeros((2, 1), int))
