"""Attacks on persons: is this person in the training set? All of a person's fragments are judged at once, by one score.

What SLMIA-SR (Chen et al., NDSS 2024) looks at: how close a person's answers lie to each other, and how far from other
people's. Answers are embeddings of voices or what stands in for them, such as the posteriors over a closed set of speakers.
"""

import numpy as np
from scipy.sparse import csr_array

from mia_lib.attacks.logistic import logistic
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError

STRENGTH = 0.1  # inverse of the ridge penalty: persons are few


class Persons:
    """Averages over the fragments of each person; `code` int [n] numbers the persons of n fragments from 0."""

    def __init__(self, code: np.ndarray):
        self.code, self.counts = code, np.bincount(code)
        weights = (1 / self.counts[code], (code, np.arange(len(code))))
        self.average = csr_array(weights, shape=(len(self.counts), len(code)))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """[n, ...] -> [persons, ...]."""
        return self.average @ values

    def deviation(self, values: np.ndarray) -> np.ndarray:
        """Standard deviation of values [n], ddof 0: [persons]; 0 where a person has one fragment."""
        return np.sqrt(self.mean((values - self.mean(values)[self.code]) ** 2))

    def smallest(self, values: np.ndarray) -> np.ndarray:
        """[n] -> [persons]."""
        out = np.full(len(self.counts), np.inf)
        np.minimum.at(out, self.code, values)
        return out


def directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., D] at length 1; a vector of zeros stays one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def pair_cosines(mean: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean cosine over all pairs of each person's vectors, [persons], 1 for a single one.

    mean: [persons, D], the mean of a person's vectors at length 1: the squared length of the sum of n of them is n and twice
    the sum over pairs. counts: n, int [persons].
    """
    return np.where(counts > 1, (counts * (mean**2).sum(-1) - 1) / np.maximum(counts - 1, 1), 1.0)


def closeness(vectors: np.ndarray, persons: Persons) -> list[np.ndarray]:
    """How close vectors [n, C] of a person are to each other, and the person's centroid to others': five times [persons].

    Cosines: mean and deviation of a vector's to its person's centroid; mean over pairs of a person's vectors (1 for a single
    one); largest and mean of the centroid's to other persons' centroids (0 without others).
    """
    unit = directions(vectors)
    mean = persons.mean(unit)
    centroid = directions(mean)
    own = (unit * centroid[persons.code]).sum(-1)
    n = persons.counts
    across = centroid @ centroid.T
    np.fill_diagonal(across, 0.0)
    average = across.sum(1) / max(len(n) - 1, 1)
    np.fill_diagonal(across, -np.inf if len(n) > 1 else 0.0)
    return [persons.mean(own), persons.deviation(own), pair_cosines(mean, n), across.max(1), average]


def _in_use(signals: Signals) -> tuple[np.ndarray, np.ndarray]:
    """Persons, int [N], and the mask [N] of known ones; raises MiaError where the signals name none."""
    if signals.person is None:
        raise MiaError("an attack on persons needs signals that say whose voice each fragment is (person)")
    if not (signals.person >= 0).any():
        raise MiaError(
            "an attack on persons needs fragments of at least one person, but every person is -1 (not in use)"
        )
    return signals.person, signals.person >= 0


def known_persons(shadows: Signals, model: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The audited fragments of a shadow, int [n]; the person of each, numbered from 0, int [n]; each one's membership, bool.

    Raises MiaError where a person is half in the training set.
    """
    person, use = _in_use(shadows)
    rows = np.flatnonzero(use & (shadows.member[model] >= 0))
    if not len(rows):
        return rows, rows, rows.astype(bool)
    names, code = np.unique(person[rows], return_inverse=True)
    share = Persons(code).mean((shadows.member[model, rows] == 1).astype(float))
    mixed = np.flatnonzero((share > 1e-9) & (share < 1 - 1e-9))
    if len(mixed):
        raise MiaError(f"person {names[mixed[0]]} is member and non-member of model {model}: use the protocol speaker")
    return rows, code, share > 0.5


class PersonAttack:
    """Base: one score per person, given to all of the person's fragments, NaN where no person is known."""

    calibrated = False
    learns = False
    needs: tuple[str, ...] = ("person",)

    def __init__(self, seed: int = 0):
        del seed  # nothing is drawn

    def answers(self, signals: Signals) -> np.ndarray:
        """What the attack looks at, [K, N, ...]: embeddings if it needs them, else logits; raises MiaError without them."""
        if "embeddings" not in self.needs:
            return signals.answered_logits
        if signals.embeddings is None:
            raise MiaError("this attack needs signals that hold embeddings")
        return signals.embeddings

    def fit(self, shadows: Signals) -> "PersonAttack":
        answers, known = self.answers(shadows), [known_persons(shadows, k) for k in range(len(shadows.member))]
        member = np.concatenate([who for _, _, who in known])
        if member.all() or not member.any():
            missing = "non-members" if member.size and member.all() else "members"
            raise MiaError(f"the shadow signals hold no {missing} among the persons")
        self.learn([(answers[k, rows], code) for k, (rows, code, _) in enumerate(known) if len(rows)], member)
        return self

    def learn(self, shadows: list[tuple[np.ndarray, np.ndarray]], member: np.ndarray) -> None:
        """From each shadow's answers [n, ...] and codes of persons [n], and the membership, bool, of all these persons."""

    def judge(self, answers: np.ndarray, code: np.ndarray) -> np.ndarray:
        """Score of every person, [persons], from one model's answers [n, ...] on the fragments of persons `code` [n]."""
        raise NotImplementedError

    def score(self, target: Signals) -> np.ndarray:
        person, use = _in_use(target)
        _, code = np.unique(person[use], return_inverse=True)
        scores = np.full(target.labels.shape, np.nan)
        for row, answers in zip(scores, self.answers(target), strict=True):
            row[use] = self.judge(answers[use], code)[code]
        return scores


class LearntPersonAttack(PersonAttack):
    """Base of attacks that weigh what is measured of a person by a logistic model."""

    learns = True

    def features(self, answers: np.ndarray, code: np.ndarray) -> np.ndarray:
        """What one model's answers say of each person, float64 [persons, F]."""
        raise NotImplementedError

    def learn(self, shadows: list[tuple[np.ndarray, np.ndarray]], member: np.ndarray) -> None:
        x = np.concatenate([self.features(answers, code) for answers, code in shadows])
        self.model = logistic(C=STRENGTH, class_weight="balanced", max_iter=1000).fit(x, member)

    def judge(self, answers: np.ndarray, code: np.ndarray) -> np.ndarray:
        return self.model.decision_function(self.features(answers, code))
