"""A combined attack: a logistic model on the scores of other attacks, fitted on the reference models alone."""

from collections.abc import Callable

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import Attack, check_references
from mia_lib.attacks.lira import LiRA
from mia_lib.attacks.logistic import logistic
from mia_lib.attacks.metrics import Entropy, Gap, Loss
from mia_lib.attacks.modified_entropy import ModifiedEntropy
from mia_lib.attacks.rmia import RMIA
from mia_lib.attacks.shokri import Shokri
from mia_lib.attacks.threshold import best_threshold
from mia_lib.signals.signals import Signals

PARTS: tuple[Callable[..., Attack], ...] = (Entropy, Gap, LiRA, Loss, ModifiedEntropy, RMIA, Shokri)
PRETENDERS = 2  # reference models that play the target while the weights are learnt


def compress(scores: np.ndarray) -> np.ndarray:
    """sign(s) log(1 + |s|): keeps the order, tames the tails."""
    return np.sign(scores) * np.log1p(np.abs(scores))


class Combination:
    """Base of attacks that weigh the scores of several parts by a logistic model, learnt where references play the target."""

    calibrated = True

    def __init__(self, seed: int = 0):
        self.seed = seed

    def build_parts(self) -> list[Attack]:
        """The attacks that are combined, not yet fitted."""
        raise NotImplementedError

    def fit(self, references: Signals) -> "Combination":
        inside, _ = check_references(references)
        scores, members = [], []
        for k in np.flatnonzero((references.member >= 0).any(1))[:PRETENDERS]:
            known, others = references.member[k] >= 0, references.without(k)
            scores.append(self._scores(self._fitted(others), references.pick([k]))[0, known])
            members.append(inside[k, known])
        self.weights = logistic()
        x, member = np.concatenate(scores), np.concatenate(members)
        self.weights.fit(x, member)
        self.threshold = best_threshold(self.weights.decision_function(x), member)
        self.parts = self._fitted(references)
        return self

    def _fitted(self, references: Signals) -> list[Attack]:
        return [part.fit(references) for part in self.build_parts()]

    @staticmethod
    def _scores(parts: list[Attack], target: Signals) -> np.ndarray:
        """Scores of all parts, [K, N, parts]."""
        return np.stack([compress(part.score(target)) for part in parts], axis=-1)

    def score(self, target: Signals) -> np.ndarray:
        x = self._scores(self.parts, target)
        usable = np.isfinite(x).all(-1)  # elsewhere the references tell nothing of the fragment
        scores = np.full(x.shape[:2], np.nan)
        scores[usable] = self.weights.decision_function(x[usable])
        return scores


@ATTACKS.register("combined")
class Combined(Combination):
    """The other attacks' scores weighed by a logistic model, learnt where reference models play the target."""

    def build_parts(self) -> list[Attack]:
        return [part(seed=self.seed) for part in PARTS]
