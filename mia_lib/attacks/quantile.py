"""Quantile regression (Bertran et al., NeurIPS 2023): is the model surer than it is of non-members like this fragment?

No shadow models: the target itself answers fragments that the attacker knows it has not trained on (Signals.population), and
the distribution of its confidence is regressed on what a fragment is like (Signals.inputs) and on its speaker.
"""

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from mia_lib.attacks import ATTACKS
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError

FEWEST = 8  # fragments of the population, one for each speaker of the smallest corpus: fewer are nothing to regress on
PENALTIES = np.logspace(-3, 3, 13)  # of the ridge; leave-one-out chooses
SMALLEST_ERROR = 1e-6


def describe(inputs: np.ndarray, labels: np.ndarray, classes: int, population: np.ndarray) -> np.ndarray:
    """What is regressed on, [N, D + classes]: inputs standardised over the population, and the speaker as one of `classes`.

    Inputs are shrunk by sqrt(D), so that all of them together vary about as much as the speaker does.
    """
    x = StandardScaler().fit(inputs[population]).transform(inputs) / np.sqrt(inputs.shape[1])
    return np.hstack([x, labels[:, None] == np.arange(classes)])


def normal_quantiles(x: np.ndarray, phi: np.ndarray, population: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a non-member's phi given x [N, D]: two arrays [N], learnt on the `population`, bool [N].

    The mean is a ridge regression; the logarithm of the deviation another one, on the leave-one-out errors of the first, and
    is then scaled so that these errors have the variance 1.
    """
    mean = RidgeCV(PENALTIES, store_cv_results=True).fit(x[population], phi[population])
    squares = mean.cv_results_[:, np.flatnonzero(mean.alpha_ == PENALTIES)[0]] + SMALLEST_ERROR
    log_deviation = RidgeCV(PENALTIES).fit(x[population], np.log(squares) / 2)
    deviation = np.exp(log_deviation.predict(x))
    return mean.predict(x), deviation * np.sqrt((squares / deviation[population] ** 2).mean())


@ATTACKS.register("quantile")
class Quantile:
    """How far is the confidence above that of non-members with such features? Regressed on the target's own answers.

    The Gaussian variant: score = (phi - mean(x)) / deviation(x). A threshold t on it is the predicted quantile of level
    Phi(t) of every fragment's non-member distribution, so one score serves every false-positive rate 1 - Phi(t).
    """

    calibrated = False
    learns = False
    needs = ("inputs",)

    def __init__(self, seed: int = 0):
        del seed  # the fit is convex

    def fit(self, shadows: Signals) -> "Quantile":
        """Only checks: nothing is learnt from shadows."""
        _checked(shadows)
        return self

    def score(self, target: Signals) -> np.ndarray:
        inputs, population = _checked(target)
        phi = target.statistics.phi
        scores = np.empty_like(phi)
        for k, labels in enumerate(target.labels):
            x = describe(inputs, labels, target.logits.shape[2], population)
            mean, deviation = normal_quantiles(x, phi[k], population)
            scores[k] = (phi[k] - mean) / deviation
        return scores


def _checked(signals: Signals) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [N, D] and population, bool [N]; raises MiaError where the signals lack them."""
    if signals.inputs is None:
        raise MiaError("quantile regression needs signals that describe each fragment (inputs)")
    if signals.population is None or signals.population.sum() < FEWEST:
        raise MiaError(f"quantile regression needs at least {FEWEST} fragments known to be non-members (population)")
    return signals.inputs, signals.population
