"""Is this person in the training set? From the posteriors over a closed set of speakers, which stand in for embeddings."""

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.persons import LearntPersonAttack, PersonAttack, Persons, closeness
from mia_lib.signals.statistics import log_posteriors

SMALLEST_LOG = -30.0  # log posteriors below, and those of classes that were answered with 0, count as this


def bounded_log_posteriors(logits: np.ndarray) -> np.ndarray:
    """Log posteriors float64 [n, C] of logits [n, C], at least SMALLEST_LOG."""
    return np.maximum(log_posteriors(logits), SMALLEST_LOG)


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


@ATTACKS.register("speaker_level")
class SpeakerLevel(LearntPersonAttack):
    """Is the person in the training set? How a person's fragments lie to each other and to others' (SLMIA-SR, NDSS 2024)."""

    def features(self, answers: np.ndarray, code: np.ndarray) -> np.ndarray:
        return person_features(answers, code)


@ATTACKS.register("mean_posterior")
class MeanPosterior(PersonAttack):
    """Is the person in the training set? The largest posterior, averaged over the person's fragments: the baseline."""

    def judge(self, answers: np.ndarray, code: np.ndarray) -> np.ndarray:
        return Persons(code).mean(np.exp(bounded_log_posteriors(answers)).max(1))
