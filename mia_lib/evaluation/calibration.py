"""How far a model's confidence is from its accuracy."""

import numpy as np

BINS = 15  # of the expected calibration error


def calibration_gaps(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Per example [n], the gap between accuracy and mean confidence of its bin; its mean is the expected calibration error.

    confidence: the largest posterior, in BINS bins of equal width (Guo et al., ICML 2017). correct: 0 or 1.
    """
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    count = np.maximum(np.bincount(place, minlength=BINS), 1)
    gap = np.bincount(place, correct, BINS) / count - np.bincount(place, confidence, BINS) / count
    return np.abs(gap)[place]
