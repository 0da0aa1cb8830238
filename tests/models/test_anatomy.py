"""A network's layers are read off the network itself."""

import pytest

from mia_lib.models import MODELS
from mia_lib.models.anatomy import layers_of


def test_the_papers_network_has_the_published_layers():
    network = MODELS.get("paper_mfcc")(94, 20, [30, 28])
    shapes = [shape for _, shape, _ in layers_of(network, model=1)]
    assert shapes == ["94 × 20", "23 × 40", "5 × 80", "160", "512", "28"]
    weights = [weights for *_, weights in layers_of(network, model=1)]
    assert weights == [0, 3 * 20 * 40, 3 * 40 * 80, 3 * 80 * 160, 161 * 512, 513 * 28]


@pytest.mark.parametrize("model", MODELS.names())
def test_every_network_begins_with_the_input_and_ends_with_its_own_classes(model):
    bins, frames = (150, 8) if model == "paper_stft" else (8, 70)
    layers = layers_of(MODELS.get(model)(frames, bins, [6, 4]), model=1)
    assert layers[0] == ("input", f"{frames} × {bins}", 0) and layers[-1][1] == "4" and layers[-1][2] > 0
