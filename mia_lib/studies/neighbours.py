"""An identification experiment that takes a second: nearest neighbours on averaged features, to compare ways to split."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def nearest_neighbour_hits(vectors: np.ndarray, speakers: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Whether each vector outside the mask `train` [N] has a nearest training vector of its own speaker: float [n]."""
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(1))
    model.fit(vectors[train], speakers[train])
    return (model.predict(vectors[~train]) == speakers[~train]).astype(float)


def half_of(units: np.ndarray, seed: int) -> np.ndarray:
    """Mask [N] of a random half of the units (whatever must stay together), given the unit of each of N rows."""
    names, code = np.unique(units, return_inverse=True)
    return (np.random.default_rng([seed, 11]).permutation(len(names)) < len(names) / 2)[code]
