"""How far a model's confidence is from its accuracy."""

import numpy as np

from mia_lib.evaluation.intervals import Measure, bootstrap_weights, interval_of_share
from mia_lib.support.draws import generator

BINS = 15  # of the expected calibration error


def calibration_error(
    confidences: list[np.ndarray], corrects: list[np.ndarray], clusters: list[np.ndarray], draws: int, seed: int
) -> Measure:
    """The expected calibration error, mean over models, with an interval that computes it anew in each draw.

    confidences, corrects: as `calibration_gaps` takes them, clusters: as `mean_measure` does; one each per model.
    """
    weights, drawn = bootstrap_weights(clusters, draws, generator(seed, "interval of a calibration error")), []
    for weight, confidence, correct in zip(weights, confidences, corrects, strict=True):
        off = np.zeros((len(confidence), BINS))
        off[np.arange(len(confidence)), _bins(confidence)] = correct - confidence
        drawn.append(np.abs(weight @ off).sum(1) / weight.sum(1))
    value = float(np.mean([calibration_gaps(*pair).mean() for pair in zip(confidences, corrects, strict=True)]))
    low, high = interval_of_share(np.stack(drawn, axis=1), min(len(set(own)) for own in clusters))
    return Measure(value, min(low, value), max(high, value), sum(map(len, corrects)))


def _bins(confidence: np.ndarray) -> np.ndarray:
    return np.minimum((confidence * BINS).astype(int), BINS - 1)


def calibration_gaps(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Per example [n], the gap between accuracy and mean confidence of its bin; its mean is the expected calibration error.

    confidence: the largest posterior, in BINS bins of equal width (Guo et al., ICML 2017). correct: 0 or 1.
    """
    place = _bins(confidence)
    count = np.maximum(np.bincount(place, minlength=BINS), 1)
    gap = np.bincount(place, correct, BINS) / count - np.bincount(place, confidence, BINS) / count
    return np.abs(gap)[place]
