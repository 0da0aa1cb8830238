"""Confidences at several temperatures at once, which only costs less."""

import numpy as np

from mia_lib.signals.statistics import confidence, confidences


def test_confidences_at_several_temperatures_are_those_of_each():
    random = np.random.default_rng(3)
    logits, labels = 30 * random.standard_normal((50, 7)), random.integers(-1, 7, 50)
    logits[:, 5] = np.where(random.random(50) < 0.5, -np.inf, logits[:, 5])
    logits[0], labels[0] = -np.inf, 2
    logits[0, 2] = 1.0  # one class only
    temperatures = (1.0, 2.0, 4.0, 8.0, 16.0)
    wanted = [confidence(logits[None], labels[None], t)[0] for t in temperatures]
    np.testing.assert_allclose(confidences(logits, labels, temperatures), wanted, rtol=1e-12, atol=1e-12)
