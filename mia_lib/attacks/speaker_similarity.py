"""Is this person in the training set of an encoder? Similarities of embeddings within a person and to other people."""

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.persons import LearntPersonAttack, Persons, closeness, directions

ROWS = 4096  # compared with all persons at once


def nearest_others(unit: np.ndarray, centroid: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Largest cosine of each vector to another person's centroid, float64 [n]; 0 without others.

    unit: [n, D] of length 1. centroid: [persons, D] of length 1. code: int [n], whose each vector is.
    """
    if len(centroid) < 2:
        return np.zeros(len(unit))
    largest = np.empty(len(unit))
    for start in range(0, len(unit), ROWS):
        rows = slice(start, start + ROWS)
        cosines = unit[rows] @ centroid.T
        cosines[np.arange(len(cosines)), code[rows]] = -np.inf
        largest[rows] = cosines.max(1)
    return largest


def similarity_features(embeddings: np.ndarray, code: np.ndarray) -> np.ndarray:
    """What embeddings [n, D] say of each person, float64 [persons, 10]; code int [n] numbers persons from 0.

    `closeness`; smallest and largest cosine of a person's embeddings to their centroid; deviation of the centroid's cosines
    to other persons' centroids; mean and largest, over a person's embeddings, of the cosine to the nearest other centroid.
    """
    persons, vectors = Persons(code), embeddings.astype(np.float64)
    unit = directions(vectors)
    centroid = directions(persons.mean(unit))
    own = (unit * centroid[code]).sum(-1)
    count = len(centroid)
    across = (centroid @ centroid.T)[~np.eye(count, dtype=bool)].reshape(count, count - 1)
    nearest = nearest_others(unit, centroid, code)
    columns = [*closeness(vectors, persons), persons.smallest(own), -persons.smallest(-own)]
    columns += [across.std(1) if count > 1 else np.zeros(1), persons.mean(nearest), -persons.smallest(-nearest)]
    return np.stack(columns, axis=1)


@ATTACKS.register("speaker_similarity")
class SpeakerSimilarity(LearntPersonAttack):
    """Is the person in the training set? Similarities of embeddings within and between persons (SLMIA-SR, NDSS 2024)."""

    needs = ("embeddings", "person")

    def features(self, answers: np.ndarray, code: np.ndarray) -> np.ndarray:
        return similarity_features(answers, code)
