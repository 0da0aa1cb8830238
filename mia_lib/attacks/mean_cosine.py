"""Is this person in the training set of an encoder? The mean cosine of the person's embeddings; nothing is learnt."""

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.persons import PersonAttack, Persons, directions, pair_cosines


@ATTACKS.register("mean_cosine")
class MeanCosine(PersonAttack):
    """Is the person in the training set? Mean cosine of all pairs of its embeddings (Tseng et al., Interspeech 2022).

    No shadow model is needed: `score` works without `fit`. A person with a single embedding has no pair, and gets the mean
    score of those who have one; 0 where nobody has.
    """

    needs = ("embeddings", "person")

    def judge(self, answers: np.ndarray, code: np.ndarray) -> np.ndarray:
        persons = Persons(code)
        scores = pair_cosines(persons.mean(directions(answers.astype(np.float64))), persons.counts)
        paired = persons.counts > 1
        return np.where(paired, scores, scores[paired].mean() if paired.any() else 0.0)
