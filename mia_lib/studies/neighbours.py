"""An identification experiment that takes a second: nearest neighbours on averaged features, to compare ways to split."""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from mia_lib.support.draws import generator


def nearest_neighbour_hits(vectors: np.ndarray, speakers: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Whether each vector outside the mask `train` [N] has a nearest training vector of its own speaker: float [n]."""
    scale = StandardScaler().fit(vectors[train])
    known = NearestNeighbors(n_neighbors=1).fit(scale.transform(vectors[train]))
    nearest = known.kneighbors(scale.transform(vectors[~train]), return_distance=False)[:, 0]
    return (speakers[train][nearest] == speakers[~train]).astype(float)


def half_of(clusters: np.ndarray, seed: int) -> np.ndarray:
    """Mask [N] of a random half of the clusters (whatever must stay together), given the cluster of each of N rows."""
    names, code = np.unique(clusters, return_inverse=True)
    return (generator(seed, "halves for nearest neighbours").permutation(len(names)) < len(names) / 2)[code]
