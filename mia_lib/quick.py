"""An identification experiment that takes a second: nearest neighbours on averaged features, to compare ways to split."""

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def summary_vectors(features: torch.Tensor) -> np.ndarray:
    """Mean and standard deviation over time of features [N, frames, bins]: float [N, 2 bins]."""
    deviation, mean = torch.std_mean(features.float(), dim=1)
    return torch.cat([mean, deviation], dim=1).numpy()


def nearest_neighbour_hits(vectors: np.ndarray, speakers: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Whether each vector outside the mask `train` [N] has a nearest training vector of its own speaker: float [n]."""
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(1))
    model.fit(vectors[train], speakers[train])
    return (model.predict(vectors[~train]) == speakers[~train]).astype(float)


def half_of(units: np.ndarray, seed: int) -> np.ndarray:
    """Mask [N] of a random half of the units (whatever must stay together), given the unit of each of N rows."""
    names, code = np.unique(units, return_inverse=True)
    return (np.random.default_rng([seed, 11]).permutation(len(names)) < len(names) / 2)[code]
