"""The paper's main attack: a small network on the three largest posteriors, adversary 1 of ML-Leaks (NDSS 2019)."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_shadows
from mia_lib.signals.signals import Signals
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError

TOP, HIDDEN, BATCH = 3, 64, 512
MOST = 50_000  # examples to learn from; more of them change the AUC in the third decimal


def top_posteriors(signals: Signals) -> np.ndarray:
    """The three largest posteriors in descending order, [K, N, 3]; raises MiaError where there are fewer classes."""
    if signals.logits.shape[2] < TOP:
        raise MiaError(
            f"the attack reads the {TOP} largest posteriors, but there are {signals.logits.shape[2]} classes"
        )
    return signals.statistics.top


@ATTACKS.register("top3_network")
class Top3Network:
    """A 3-64-1 network on the three largest posteriors, sorted (ML-Leaks, adversary 1; arXiv 1911.01888)."""

    calibrated = False

    def __init__(self, seed: int = 0):
        self.seed = seed
        self.network = MLPClassifier((HIDDEN,), alpha=0.0, learning_rate_init=1e-2, max_iter=30, random_state=seed)

    def fit(self, shadows: Signals) -> "Top3Network":
        check_shadows(shadows)
        mask, member = shadows.audited()
        x = top_posteriors(shadows)[mask]
        if len(x) > MOST:
            kept = generator(self.seed, "examples of the top-3 network").permutation(len(x))[:MOST]
            x, member = x[kept], member[kept]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is fixed, as in the paper
            self.network.set_params(batch_size=min(BATCH, len(member)))
            self.network.fit(x, member)
        return self

    def score(self, target: Signals) -> np.ndarray:
        x = top_posteriors(target)
        return self.network.predict_proba(x.reshape(-1, TOP))[:, 1].reshape(x.shape[:-1])
