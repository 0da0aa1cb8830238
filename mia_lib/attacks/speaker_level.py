"""Is this person in the training set? All of a person's fragments judged at once, after SLMIA-SR (Chen et al., NDSS 2024).

SLMIA-SR looks at embeddings of voices: how close a person's lie to each other, and how far from other people's. Here a model
gives posteriors over a closed set of speakers, which stand in for the embeddings. A person is one example; the score is the
same for all of a person's fragments.
"""

import numpy as np
from scipy.sparse import csr_array

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.logistic import logistic
from mia_lib.signals.signals import Signals
from mia_lib.signals.statistics import log_posteriors
from mia_lib.support.errors import MiaError

SMALLEST_LOG = -30.0  # log posteriors below, and those of classes that were answered with 0, count as this
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


def bounded_log_posteriors(logits: np.ndarray) -> np.ndarray:
    """Log posteriors float64 [n, C] of logits [n, C], at least SMALLEST_LOG."""
    return np.maximum(log_posteriors(logits), SMALLEST_LOG)


def _directions(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def closeness(vectors: np.ndarray, persons: Persons) -> list[np.ndarray]:
    """How close vectors [n, C] of a person are to each other, and the person's centroid to others': five times [persons].

    Cosines: mean and deviation of a vector's to its person's centroid; mean over pairs of a person's vectors (1 for a single
    one); largest and mean of the centroid's to other persons' centroids (0 without others).
    """
    unit = _directions(vectors)
    mean = persons.mean(unit)
    centroid = _directions(mean)
    own = (unit * centroid[persons.code]).sum(-1)
    n, size = persons.counts, (mean**2).sum(-1)
    pairs = np.where(n > 1, (n * size - 1) / np.maximum(n - 1, 1), 1.0)
    across = centroid @ centroid.T
    np.fill_diagonal(across, 0.0)
    average = across.sum(1) / max(len(n) - 1, 1)
    np.fill_diagonal(across, -np.inf if len(n) > 1 else 0.0)
    return [persons.mean(own), persons.deviation(own), pairs, across.max(1), average]


def person_features(logits: np.ndarray, code: np.ndarray) -> np.ndarray:
    """What one model's answers say of each person, float64 [persons, 17]; logits [n, C], code int [n] numbers persons from 0.

    Closeness of posteriors and of log posteriors (around their mean over the classes that the model has); share of fragments
    given the person's most frequent class; mean, smallest and deviation of the largest posterior; mean entropy; mean and
    smallest margin between the two largest log posteriors.
    """
    persons, log_p = Persons(code), bounded_log_posteriors(logits)
    present = np.isfinite(logits).any(0)
    margin = np.diff(np.partition(log_p, -2, axis=1)[:, -2:])[:, 0]
    log_p = log_p[:, present]
    p = np.exp(log_p)
    votes = persons.mean(np.eye(p.shape[1])[p.argmax(1)])
    largest = p.max(1)
    columns = closeness(p, persons) + closeness(log_p - log_p.mean(1, keepdims=True), persons)
    columns += [votes.max(1), persons.mean(largest), persons.smallest(largest), persons.deviation(largest)]
    columns += [persons.mean(-(p * log_p).sum(1)), persons.mean(margin), persons.smallest(margin)]
    return np.stack(columns, axis=1)


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
    needs = ("person",)

    def __init__(self, seed: int = 0):
        del seed  # nothing is drawn

    def fit(self, shadows: Signals) -> "PersonAttack":
        known = [known_persons(shadows, k) for k in range(len(shadows.member))]
        member = np.concatenate([who for _, _, who in known])
        if member.all() or not member.any():
            missing = "non-members" if member.size and member.all() else "members"
            raise MiaError(f"the shadow signals hold no {missing} among the persons")
        x = [person_features(shadows.logits[k, rows], code) for k, (rows, code, _) in enumerate(known) if len(rows)]
        self.learn(np.concatenate(x), member)
        return self

    def learn(self, features: np.ndarray, member: np.ndarray) -> None:
        """From features [persons, F] of the shadows' persons and their membership, bool [persons]."""

    def judge(self, logits: np.ndarray, code: np.ndarray) -> np.ndarray:
        """Score of every person, [persons], from one model's logits [n, C] on the fragments of persons `code` [n]."""
        raise NotImplementedError

    def score(self, target: Signals) -> np.ndarray:
        person, use = _in_use(target)
        _, code = np.unique(person[use], return_inverse=True)
        scores = np.full(target.labels.shape, np.nan)
        for row, logits in zip(scores, target.logits, strict=True):
            row[use] = self.judge(logits[use], code)[code]
        return scores


@ATTACKS.register("speaker_level")
class SpeakerLevel(PersonAttack):
    """Is the person in the training set? How a person's fragments lie to each other and to others' (SLMIA-SR, NDSS 2024)."""

    def learn(self, features: np.ndarray, member: np.ndarray) -> None:
        self.model = logistic(C=STRENGTH, class_weight="balanced", max_iter=1000).fit(features, member)

    def judge(self, logits: np.ndarray, code: np.ndarray) -> np.ndarray:
        return self.model.decision_function(person_features(logits, code))


@ATTACKS.register("mean_posterior")
class MeanPosterior(PersonAttack):
    """Is the person in the training set? The largest posterior, averaged over the person's fragments: the baseline."""

    def judge(self, logits: np.ndarray, code: np.ndarray) -> np.ndarray:
        return Persons(code).mean(np.exp(bounded_log_posteriors(logits)).max(1))
