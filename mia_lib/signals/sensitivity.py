"""How far a model's posteriors move when its input does a little: what SAMIA reads (Yuan and Zhang, USENIX Security 2022)."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from mia_lib.signals.statistics import posteriors
from mia_lib.support.draws import generator

DRAWS, STEP = 10, 1e-3  # as published: so many draws of noise, this large


def noisy(features: Tensor, seed: int) -> Iterator[Tensor]:
    """The features [n, frames, bins] with DRAWS normal noises, one after the other.

    Noise is STEP standard deviations of a bin over all fragments and frames: the paper's inputs were normalised.
    """
    spread = STEP * features.std((0, 1))
    for draw in range(DRAWS):
        noise = generator(seed, "noise of sensitivity", draw).standard_normal(features.shape, dtype=np.float32)
        yield features + spread * torch.from_numpy(noise)


def sensitivity(logits: np.ndarray, altered: Iterable[np.ndarray]) -> np.ndarray:
    """Mean over draws of |p(x + STEP u) - p(x)| / STEP of each class, float64 [K, N, C].

    logits: [K, N, C] of the fragments as they are. altered: the same with each draw of noise.
    """
    clean = posteriors(logits)
    return np.mean([np.abs(posteriors(moved) - clean) / STEP for moved in altered], axis=0)
